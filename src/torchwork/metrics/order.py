"""How well scores order samples: ROC AUC, Kendall's tau, pairs in the right order; in float64, from tensors."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

_CHUNK = 1024


def roc_auc(scores: Tensor, positive: Tensor) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative, ties counting half.

    AUC = (R - P (P + 1) / 2) / (P Q) with R the sum of the positives' ranks (equal scores share the middle rank), P the
    number of positives and Q of negatives. NaN where there is none of either, or a score is NaN.

    Args:
        scores: [N].
        positive: bool [N].

    >>> roc_auc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([False, False, True, True]))
    0.75
    """
    number, others = int(positive.sum()), int((~positive).sum())
    if not number or not others or bool(torch.isnan(scores).any()):
        return math.nan
    ordered = scores.sort().values
    sought = scores[positive].contiguous()
    below, upto = (torch.searchsorted(ordered, sought, right=right) for right in (False, True))
    ranks = (below + upto + 1).double() / 2
    return float((ranks.sum() - number * (number + 1) / 2) / (number * others))


def equal_error_rate(scores: Tensor, positive: Tensor) -> float:
    """Return the rate at which as many negatives are taken for positives as positives are missed.

    It is where the ROC curve meets the line false positive rate = 1 - true positive rate; between two thresholds the
    curve is straight, as that of scikit-learn's ``roc_curve``. NaN where there is none of either, or a score is NaN.

    Args:
        scores: [N].
        positive: bool [N].

    >>> equal_error_rate(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([False, False, True, True]))
    0.5
    """
    number, others = int(positive.sum()), int((~positive).sum())
    if not number or not others or bool(torch.isnan(scores).any()):
        return math.nan
    values, counts = (-scores[positive]).unique(return_counts=True)
    ordered = (-scores[~positive]).sort().values
    below, upto = (torch.searchsorted(ordered, values, right=right) for right in (False, True))
    return meeting(*corners(counts, below, upto, others))


def corners(counts: Tensor, below: Tensor, upto: Tensor, others: int) -> tuple[Tensor, Tensor]:
    """Return the corners of a ROC curve, false and true positive rates float64 [2 V + 1], from its start to (1, 1).

    Args:
        counts: How many positives have each of V distinct distances, the nearest first, int64 [V].
        below: How many negatives are nearer than that, int64 [V].
        upto: How many are nearer or as near, int64 [V].
        others: How many negatives there are.
    """
    true = counts.cumsum(0).double() / counts.sum()
    before = torch.cat([torch.zeros(1, dtype=torch.float64), true[:-1]])
    one = torch.ones(1, dtype=torch.float64)
    false_rate = torch.cat([torch.stack([below, upto], 1).flatten().double() / others, one])
    return false_rate, torch.cat([torch.stack([before, true], 1).flatten(), one])


def meeting(false_rate: Tensor, true_rate: Tensor) -> float:
    """Return the false positive rate at which a ROC curve has as many misses: where the two rates add up to 1."""
    return float(np.interp(1.0, (false_rate + true_rate).numpy(), false_rate.numpy()))


def _agreement(scores: Tensor, target: Tensor) -> tuple[int, int, int, int]:
    """Return over all pairs: those in one order, those in opposite orders, ties in the scores, ties in the targets."""
    found = [0, 0, 0, 0]
    for start in range(0, len(scores), _CHUNK):
        rows = slice(start, start + _CHUNK)
        x, y = (torch.sign(values[rows, None] - values[None]).to(torch.int8) for values in (scores, target))
        later = torch.arange(len(scores))[None] > torch.arange(len(scores))[rows, None]
        product = (x * y)[later]
        found[0] += int((product > 0).sum())
        found[1] += int((product < 0).sum())
        found[2] += int((x[later] == 0).sum())
        found[3] += int((y[later] == 0).sum())
    return found[0], found[1], found[2], found[3]


def kendall_tau(scores: Tensor, target: Tensor) -> float:
    """Return Kendall's tau-b of scores and targets, [N] each: 1 in the same order, -1 in the opposite one.

    tau = (C - D) / sqrt((n - X) (n - Y)) over all n pairs: C in one order, D in opposite orders, X with equal scores,
    Y with equal targets. NaN where all scores or all targets are equal, or one is NaN. The time goes with N².

    Source: Kendall: "The treatment of ties in ranking problems", 1945.

    >>> kendall_tau(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0, 30.0, 20.0]))  # doctest: +ELLIPSIS
    0.3333...
    """
    if bool(torch.isnan(scores).any() | torch.isnan(target).any()):
        return math.nan
    same, opposite, score_ties, target_ties = _agreement(scores.double(), target.double())
    pairs = len(scores) * (len(scores) - 1) // 2
    below = math.sqrt(pairs - score_ties) * math.sqrt(pairs - target_ties)
    return (same - opposite) / below if below else math.nan


def pairs_in_order(scores: Tensor, target: Tensor) -> float:
    """Return the part of all pairs with different targets whose scores are in the same order; equal scores count half.

    NaN where all targets are equal, or a number is NaN.

    >>> pairs_in_order(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0, 30.0, 20.0]))  # doctest: +ELLIPSIS
    0.6666...
    """
    if bool(torch.isnan(scores).any() | torch.isnan(target).any()):
        return math.nan
    same, opposite, _, target_ties = _agreement(scores.double(), target.double())
    pairs = len(scores) * (len(scores) - 1) // 2 - target_ties
    level = pairs - same - opposite
    return (same + level / 2) / pairs if pairs else math.nan


def signs_met(difference: Tensor, sign: Tensor) -> float:
    """Return the part of pairs whose difference of scores [N] has the sign ±1 [N] that was asked for; 0 counts half.

    >>> signs_met(torch.tensor([0.5, -0.1, 0.0]), torch.tensor([1.0, 1.0, -1.0]))
    0.5
    """
    kept = sign != 0
    met = (torch.sign(difference[kept].double()) * sign[kept].double() + 1) / 2
    return float(met.mean())


def once(ids: Tensor, *columns: Tensor) -> tuple[Tensor, ...]:
    """Return ids and columns with each id once (its first row), in the order of the ids.

    >>> once(torch.tensor([3, 1, 3]), torch.tensor([0.3, 0.1, 0.9]))
    (tensor([1, 3]), tensor([0.1000, 0.3000]))
    """
    order = torch.argsort(ids, stable=True)
    ordered = ids[order]
    first = torch.ones(len(ids), dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first], *(column[order][first] for column in columns)
