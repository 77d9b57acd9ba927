"""Numbers over pairs of samples as functions of weights, for resampling: by how much each sample takes part.

A sum over all pairs under weights is taken to first order, sum over i of (2 w_i - 1) r_i with r_i what sample i is part
of, divided by 2: the remainder goes with 1/N, and each resample costs N and not N².
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import spatial

from torchwork.metrics import order, retrieval
from torchwork.metrics.resampling import Floats, Integers, Weighted

MOST = 3000  # samples: each is set against each other one
_CHUNK = 512
_THRESHOLDS = 200  # of each kind of pairs, between which an error rate is taken to be straight


def of_order(scores: Floats, target: Floats) -> Weighted:
    """Return Kendall's tau-b and the part of pairs in the right order, of scores [N] against numbers [N]."""
    same, scored, ranked, level = np.zeros((4, len(target)))
    for start in range(0, len(target), _CHUNK):
        rows = slice(start, start + _CHUNK)
        x, y = (np.sign(values[rows, None] - values[None]) for values in (scores, target))
        same[rows], scored[rows], ranked[rows] = (x * y).sum(1), (x != 0).sum(1), (y != 0).sum(1)
        level[rows] = ((x == 0) & (y != 0)).sum(1)
    parts = np.stack([same, scored, ranked, level])

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        agreed, by_score, by_target, tied = parts @ (weights - 0.5)
        with np.errstate(invalid="ignore", divide="ignore"):
            tau = agreed / np.sqrt(by_score * by_target)
            return {"kendall_tau": tau, "pairs_in_order": ((agreed + by_target - tied) / 2 + tied / 2) / by_target}

    return weighted


def distances(vectors: Floats, metric: str) -> Floats:
    """Return the distances of vectors [N, D] to each other, [N, N], infinite to themselves."""
    found = spatial.distance.cdist(vectors, vectors, metric)
    np.fill_diagonal(found, np.inf)
    return found


def between(first: Floats, second: Floats, metric: retrieval.Metric) -> Floats:
    """Return the distances of vectors [N, D] to others, row by row: [N]."""
    return retrieval.distance(torch.from_numpy(first), torch.from_numpy(second), metric).numpy()


def of_neighbours(apart: Floats, classes: Integers) -> tuple[NDArray[np.bool_], dict[str, Floats]]:
    """Return which samples count, those whose class has another one, and what each of them finds among its nearest.

    ``recall_at_<k>``: 1 where one of the k nearest is of its class; ``mean_average_precision``: the mean precision at
    the ranks of those of its class; ``map_at_r``: the same among as many nearest as its class has others, over that
    number.

    Args:
        apart: The distances [N, N], infinite on the diagonal.
        classes: int64 [N].
    """
    order = np.argsort(apart, axis=1, kind="stable")[:, :-1]
    hits = classes[order] == classes[:, None]
    others = hits.sum(1)
    counted = others > 0
    precision = hits * hits.cumsum(1) / np.arange(1, len(classes))
    within = np.arange(len(classes) - 1) < others[:, None]
    least = np.maximum(others, 1)
    found = {f"recall_at_{k}": hits[:, :k].any(1).astype(np.float64) for k in retrieval.RECALL_AT}
    return counted, {
        **found,
        "mean_average_precision": precision.sum(1) / least,
        "map_at_r": (precision * within).sum(1) / least,
    }


def of_distances(apart: Floats, classes: Integers) -> Weighted:
    """Return the ROC AUC, over all pairs of samples, of telling by distance [N, N] whether two are of one class.

    To first order: the mean over pairs of one class of how many others are farther, and over these of how many of one
    class are nearer, each under the weights of its pairs, less the area itself.
    """
    first, second = np.triu_indices(len(classes), 1)
    distance, alike = apart[first, second], classes[first] == classes[second]
    near, far = np.sort(distance[alike]), np.sort(distance[~alike])
    sums = []
    for kind, won in ((alike, 1 - _below(far, distance[alike])), (~alike, _below(near, distance[~alike]))):
        ends = np.concatenate([first[kind], second[kind]])
        sums += [np.bincount(ends, parts, len(classes)) for parts in (np.tile(won, 2), None)]
    area = float((1 - _below(far, near)).mean()) if len(near) and len(far) else np.nan

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        near_won, nears, far_won, fars = np.stack(sums) @ (weights - 0.5)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"roc_auc": near_won / nears + far_won / fars - area}

    return weighted


def of_same_pairs(distance: Floats, same: NDArray[np.bool_]) -> Weighted:
    """Return the equal error rate of pairs as given, by their distances [N] and whether each is of one kind, bool [N].

    As `of_errors` has it, over every pair's own weight.
    """
    marks = _thresholds(distance[same], distance[~same])
    missed = (distance > marks[:, None]) & same
    taken = (distance <= marks[:, None]) & ~same
    rates = of_errors(np.stack([missed, taken]).astype(np.float64), np.stack([same, ~same]).astype(np.float64))
    exact = order.equal_error_rate(torch.from_numpy(-distance), torch.from_numpy(same))
    return _shifted(rates, len(distance), exact)


def of_all_pairs(apart: Floats, classes: Integers) -> Weighted:
    """Return the equal error rate, over all pairs of samples, of telling by distance [N, N] whether two are of a class.

    As `of_errors` has it, with of each sample the pairs that it is in, to first order.
    """
    first, second = np.triu_indices(len(classes), 1)
    distance, alike = apart[first, second], classes[first] == classes[second]
    marks = _thresholds(distance[alike], distance[~alike])
    missed, taken = np.zeros((2, len(marks), len(classes)))
    kin = classes[:, None] == classes
    np.fill_diagonal(kin, val=False)
    for place, (row, own) in enumerate(zip(apart, kin, strict=True)):
        missed[:, place] = own.sum() - np.searchsorted(np.sort(row[own]), marks, "right")
        taken[:, place] = np.searchsorted(np.sort(row[~own]), marks, "right")  # itself is infinitely far
    others = kin.sum(1).astype(np.float64)
    rates = of_errors(np.stack([missed, taken]), np.stack([others, len(classes) - 1 - others]), 0.5)
    exact = order.equal_error_rate(torch.from_numpy(-distance), torch.from_numpy(alike))
    return _shifted(rates, len(classes), exact)


def of_errors(errors: Floats, pairs: Floats, less: float = 0.0) -> Weighted:
    """Return where two rates of errors meet, of which one falls and the other rises over the thresholds.

    Args:
        errors: [2, Q, N]: how many pairs each of N is missed in, and is wrongly taken in, at each of Q thresholds of
            distance, the smallest first.
        pairs: [2, N]: how many pairs of either kind there are.
        less: What is subtracted from each weight.

    The rates are straight between two thresholds; before the first one nothing is taken, after the last one all is.
    """

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw may lack all pairs of a kind
            missed, taken = (
                part @ (weights - less) / (total @ (weights - less)) for part, total in zip(errors, pairs, strict=True)
            )
            ends = np.zeros((1, weights.shape[1]))
            missed, taken = np.concatenate([1 - ends, missed, ends]), np.concatenate([ends, taken, 1 - ends])
            above = (taken - missed >= 0).argmax(0)  # at the last one at the latest
            at = np.arange(weights.shape[1])
            before, after = ((missed - taken)[step, at] for step in (above - 1, above))
            part = before / np.maximum(before - after, 1e-300)
        return {"equal_error_rate": taken[above - 1, at] + part * (taken[above, at] - taken[above - 1, at])}

    return weighted


def _thresholds(near: Floats, far: Floats) -> Floats:
    """Return distances at which to look: of either kind of pairs all that there are, or some quantiles."""
    levels = np.linspace(0, 1, _THRESHOLDS)
    each = [np.quantile(kind, levels) if len(kind) > _THRESHOLDS else kind for kind in (near, far) if len(kind)]
    return np.unique(np.concatenate(each)) if each else np.zeros(0)


def _shifted(rates: Weighted, num: int, exact: float) -> Weighted:
    """Return rates moved by what the thresholds between those that are looked at make at equal weights."""
    once = float(rates(np.ones((num, 1)))["equal_error_rate"][0])
    return lambda weights: {name: values + (exact - once) for name, values in rates(weights).items()}


def _below(ordered: Floats, values: Floats) -> Floats:
    """Return of each value which part of the ordered ones lies below it, ties counting half."""
    low, high = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (low + high) / 2 / max(len(ordered), 1)
