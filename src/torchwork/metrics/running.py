"""The metrics of a running epoch: terms of each sample that add up, whatever the batches, and what their sums say.

Each function from outputs to terms returns float64 [B, m], made of single elements alone, so that a sample has the same
terms in any batch. Each function from sums to metrics takes what the rows add up to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MOST_COLUMNS = 25  # numbers of a sample that have figures of their own
_EXACT = 1e-9  # share of a mean square below which a variance is lost in rounding


def right(predicted: Tensor, target: Tensor) -> Tensor:
    """Return how many of each sample's classes are right, and how many count: negative ones do not.

    >>> right(torch.tensor([1, 1, 0]), torch.tensor([1, 0, -100])).tolist()
    [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    """
    counted = (target >= 0).flatten(1) if target.ndim > 1 else (target >= 0)[:, None]
    same = (predicted == target).reshape(counted.shape) & counted
    return torch.stack([same.sum(1), counted.sum(1)], dim=1).double()


def share(sums: Sequence[float]) -> float:
    """Return the share that the two columns of `right` add up to; NaN where nothing counts."""
    return sums[0] / sums[1] if sums[1] else math.nan


def numbers(prediction: Tensor, target: Tensor) -> Tensor:
    """Return of each sample and column the absolute and the squared error, the target and its square; last a 1.

    Of more than 25 columns only the mean absolute error over them, and a 1.
    """
    x, y = (t.double().reshape(len(t), -1) for t in (prediction, target))
    error, one = x - y, torch.ones(len(y), 1, dtype=torch.float64, device=y.device)
    if error.shape[1] > MOST_COLUMNS:  # added up one after the other: the order must not depend on the batch
        return torch.cat([error.abs().cumsum(1)[:, -1:] / error.shape[1], one], dim=1)
    return torch.cat([error.abs(), error**2, y, y**2, one], dim=1)


def of_numbers(sums: Sequence[float]) -> dict[str, float]:
    """Return MAE, RMSE and R² as `torchwork.metrics.epoch.regression` does, from what `numbers` adds up to.

    R² is NaN also where the targets' spread is so small beside their size that it is lost in the sums.

    >>> of_numbers(numbers(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0])).sum(0).tolist())
    {'mae': 0.5, 'rmse': 0.7071067811865476, 'r2': -1.0}
    """
    count, columns = sums[-1], (len(sums) - 1) // 4
    if not count:
        return dict.fromkeys(("mae", "rmse", "r2") if columns else ("mae",), math.nan)
    if not columns:
        return {"mae": sums[0] / count}
    kinds = [[value / count for value in sums[kind * columns : (kind + 1) * columns]] for kind in range(4)]
    absolute, squared, mean, square = kinds
    spread = [s - m * m for m, s in zip(mean, square, strict=True)]
    explained = [
        1 - e / v if v > _EXACT * s else math.nan for e, v, s in zip(squared, spread, square, strict=True)
    ]  # fmt: skip
    return {
        "mae": sum(absolute) / columns,
        "rmse": sum(map(math.sqrt, squared)) / columns,
        "r2": sum(explained) / columns,
    }


def with_deviance(terms: Tensor, rate: Tensor, target: Tensor) -> Tensor:
    """Return terms [B, m] with the Poisson deviance of each sample, averaged over its columns, as one more."""
    x, y = (t.double().reshape(len(t), -1) for t in (rate, target))
    each = 2 * (torch.xlogy(y, y) - torch.xlogy(y, x) - y + x)
    return torch.cat([terms, each.cumsum(1)[:, -1:] / each.shape[1]], dim=1)


def in_order(difference: Tensor, sign: Tensor) -> Tensor:
    """Return of pairs whether the difference of scores [B] has the sign [B] asked for, 0.5 where it has none; and a 1.

    A pair without a sign has 0 for both.

    >>> in_order(torch.tensor([0.5, -0.1, 0.0, 1.0]), torch.tensor([1.0, 1.0, -1.0, 0.0])).sum(0).tolist()
    [1.5, 3.0]
    """
    counted = (sign != 0).double()
    met = (torch.sign(difference.double()) * sign.double() + 1) / 2
    return torch.stack([met * counted, counted], dim=1)


def exact(read: Sequence[bool]) -> Tensor:
    """Return of each sample whether it was read exactly, and a 1."""
    return torch.tensor([[float(hit), 1.0] for hit in read], dtype=torch.float64).reshape(-1, 2)
