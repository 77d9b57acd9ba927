"""How well vectors keep classes together: recall@k, MAP, MAP@R, and telling the same class from different ones.

All of them set every sample against every other, so that time goes with N²; memory does not, but for the pairs of one
class in `same_or_different`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from torchwork.metrics import order

Metric = Literal["euclidean", "cosine"]
RECALL_AT = (1, 5, 10)
_CHUNK = 512


def distance(first: Tensor, second: Tensor, metric: Metric) -> Tensor:
    """Return the distances of vectors [N, D] to others [N, D], row by row, float64 [N]: Euclidean, or 1 - cosine."""
    first, second = first.double(), second.double()
    if metric == "cosine":
        return 1 - F.cosine_similarity(first, second)
    return (first - second).norm(dim=1)


def _distances(vectors: Tensor, metric: Metric) -> Iterator[tuple[slice, Tensor]]:
    """Yield slices of the samples with their distances to all samples, infinite to themselves."""
    vectors = vectors.double()
    if metric == "cosine":
        vectors = F.normalize(vectors)
    for start in range(0, len(vectors), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(vectors)))
        if metric == "cosine":
            found = 1 - vectors[rows] @ vectors.T
        else:
            found = torch.cdist(vectors[rows], vectors, compute_mode="donot_use_mm_for_euclid_dist")
        places = torch.arange(rows.start, rows.stop)
        found[places - rows.start, places] = torch.inf
        yield rows, found


def nearest(vectors: Tensor, metric: Metric = "euclidean") -> Tensor:
    """Return the place of each sample's nearest other one, int64 [N].

    >>> nearest(torch.tensor([[0.0], [1.0], [5.0]])).tolist()
    [1, 0, 1]
    """
    return torch.cat([found.argmin(1) for _, found in _distances(vectors, metric)])


def recall_at_1(vectors: Tensor, classes: Tensor, metric: Metric = "euclidean") -> float:
    """Return how often the nearest other sample is of the sample's class.

    Samples that are the only ones of their class have none to find and do not count; NaN where no others are left.

    Args:
        vectors: [N, D].
        classes: int64 [N].
        metric: ``euclidean`` or ``cosine``.
    """
    _, place, sizes = torch.unique(classes, return_inverse=True, return_counts=True)
    counted = sizes[place] > 1
    if not bool(counted.any()):
        return math.nan
    hits = classes[nearest(vectors, metric)] == classes
    return float(hits[counted].double().mean())


def map_at_r(vectors: Tensor, classes: Tensor, metric: Metric = "euclidean") -> float:
    """Return the mean average precision at R, where R is the number of other samples of a sample's class.

    For each sample: 1/R times the sum, over ranks i from 1 to R, of the precision at i where the i-th nearest is of its
    class, else 0. Samples that are the only ones of their class do not count; NaN where no others are left.

    Source: Musgrave, Belongie and Lim: "A metric learning reality check", 2020, section 3.2.
    """
    _, place, sizes = torch.unique(classes, return_inverse=True, return_counts=True)
    others = sizes[place] - 1
    most = int(others.max()) if len(others) else 0
    if most == 0:
        return math.nan
    total, counted = 0.0, int((others > 0).sum())
    ranks = torch.arange(1, most + 1)
    for rows, found in _distances(vectors, metric):
        closest = found.argsort(dim=1, stable=True)[:, :most]
        hits = (classes[closest] == classes[rows, None]) & (ranks <= others[rows, None])
        precision = hits.cumsum(1).double() / ranks
        total += float(((precision * hits).sum(1) / others[rows].clamp(min=1)).sum())
    return total / counted


def ranked(vectors: Tensor, classes: Tensor, metric: Metric = "euclidean") -> dict[str, float]:
    """Return ``recall_at_1``, ``_5`` and ``_10``, ``map_at_r`` and ``mean_average_precision``, by one sort a sample.

    Recall@k is how often a sample of the same class is among the k nearest others. Average precision of a sample is the
    mean, over the others of its class, of the precision at their ranks; equally near ones rank in the samples' order.
    Samples that are the only ones of their class do not count. What is not defined is NaN: all where no others are
    left, recall@k where there are fewer than k other samples.
    """
    _, place, sizes = torch.unique(classes, return_inverse=True, return_counts=True)
    others, last = sizes[place] - 1, len(vectors) - 1
    names = [f"recall_at_{k}" for k in RECALL_AT]
    counted = int((others > 0).sum())
    if not counted:
        return dict.fromkeys((*names, "map_at_r", "mean_average_precision"), math.nan)
    ranks, totals = torch.arange(1, last + 1), dict.fromkeys((*names, "map_at_r", "mean_average_precision"), 0.0)
    for rows, found in _distances(vectors, metric):
        closest = found.argsort(dim=1, stable=True)[:, :last]  # each is infinitely far from itself, and comes last
        hits = classes[closest] == classes[rows, None]
        number = others[rows, None]
        gains = hits.cumsum(1).double() / ranks * hits / number.clamp(min=1)
        totals["mean_average_precision"] += float(gains.sum())
        totals["map_at_r"] += float((gains * (ranks <= number)).sum())
        for k, name in zip(RECALL_AT, names, strict=True):
            totals[name] += float(hits[:, :k].any(1).sum()) if k <= last else math.nan
    return {name: total / counted for name, total in totals.items()}


def same_or_different(vectors: Tensor, classes: Tensor, metric: Metric = "euclidean") -> tuple[float, float]:
    """Return ROC AUC and equal error rate of telling by distance, over all pairs, whether two are of one class.

    The area is how often a pair of one class is closer than a pair of two classes, ties counting half. NaN where there
    is no pair of either kind.
    """
    near = torch.cat([torch.empty(0, dtype=torch.float64), *_upper(vectors, classes, metric, same=True)])
    values, counts = near.unique(return_counts=True)
    steps = torch.zeros(2, len(values) + 1, dtype=torch.int64)
    for far in _upper(vectors, classes, metric, same=False):
        for row, right in enumerate((True, False)):  # nearer than a value; nearer or as near
            steps[row] += torch.searchsorted(values, far, right=right).bincount(minlength=len(values) + 1)
    others = int(steps[0].sum())
    if not len(values) or not others:
        return math.nan, math.nan
    below, upto = steps.cumsum(1)[:, :-1]
    false_rate, true_rate = order.corners(counts, below, upto, others)
    return float(torch.trapezoid(true_rate, false_rate)), order.meeting(false_rate, true_rate)


def _upper(vectors: Tensor, classes: Tensor, metric: Metric, *, same: bool) -> Iterator[Tensor]:
    """Yield the distances of pairs i < j of one class, or of two."""
    for rows, found in _distances(vectors, metric):
        later = torch.arange(len(vectors))[None] > torch.arange(len(vectors))[rows, None]
        alike = classes[rows, None] == classes[None]
        yield found[later & (alike if same else ~alike)]


def triplets_in_order(vectors: Tensor, metric: Metric = "euclidean") -> float:
    """Return how often the anchor is closer to the positive than to the negative, from [N, 3, D]; ties count half."""
    near, far = (distance(vectors[:, 0], vectors[:, place], metric) for place in (1, 2))
    return float(((torch.sign(far - near) + 1) / 2).mean())
