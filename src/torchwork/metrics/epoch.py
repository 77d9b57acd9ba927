"""The metrics of every epoch, from tensors, without scikit-learn's import; tests hold them equal to scikit-learn's."""

from __future__ import annotations

import torch
from torch import Tensor


def classification(scores: Tensor, target: Tensor) -> dict[str, float]:
    """Return the accuracy of scores [N, K] against classes int64 [N]: the part of highest scores that are right.

    NaN where there are no samples.

    >>> classification(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
    {'accuracy': 0.5}
    """
    return {"accuracy": float((scores.argmax(dim=1) == target).double().mean())}


def regression(prediction: Tensor, target: Tensor) -> dict[str, float]:
    """Return MAE, RMSE and R² of predictions [N, k] against targets [N, k], in float64, averaged over the k columns.

    mae = mean |x - y|; rmse = sqrt(mean (x - y)²), of each column, then averaged; r2 = 1 - sum((y - x)²) /
    sum((y - mean y)²). R² is NaN where a column of the targets is constant, as there is nothing to explain then (so
    too for a single sample); everything is NaN where there are no samples, or a prediction is NaN.

    >>> regression(torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [2.0]]))["mae"]
    0.5
    """
    x, y = (t.double().reshape(len(t), -1) for t in (prediction, target))
    error = x - y
    # the sum of squares tells it not: the mean of equal numbers may differ from them in the last bit
    constant = (y == y[:1]).all(0)
    r2 = torch.where(constant, torch.nan, 1 - (error**2).sum(0) / ((y - y.mean(0)) ** 2).sum(0))
    return {
        "mae": float(error.abs().mean()),
        "rmse": float((error**2).mean(0).sqrt().mean()),
        "r2": float(r2.mean()),
    }
