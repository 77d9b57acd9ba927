"""The areas under curves of scores as functions of weights, for resampling; and means over the samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from torchwork.metrics.resampling import Floats, Weighted


def of_means(terms: Mapping[str, Floats]) -> Weighted:
    """Return the weighted mean of each of several terms [N]."""

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        total = weights.sum(0)
        return {name: term @ weights / total for name, term in terms.items()}

    return weighted


def of_ratios(terms: Mapping[str, tuple[Floats, Floats]]) -> Weighted:
    """Return the weighted sum of one term [N] over that of another; NaN where that is 0."""

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        found = {}
        for name, (above, below) in terms.items():
            total = below @ weights
            found[name] = np.divide(above @ weights, total, out=np.full(len(total), np.nan), where=total > 0)
        return found

    return weighted


def of_scores(positive: NDArray[np.bool_], scores: Floats, names: Sequence[str], headline: int | None) -> Weighted:
    """Return ROC AUC and average precision of each class that some samples are of and others not, and one for all.

    With the weights as ranks: AUC = 1 - sum over positives of w (negatives above + half of those level) / (P Q), and
    average precision = sum over the positives' scores of w times the precision at that score, over P. Samples are put
    in order once; for each resample there is a step for each different score of a positive.

    Args:
        positive: bool [N, K].
        scores: [N, K].
        names: Of the classes.
        headline: The class that stands for all; None or -1: the mean over them.
    """
    mixed = np.flatnonzero(positive.any(0) & ~positive.all(0)).tolist()
    ladders = {k: _ladder(positive[:, k], scores[:, k]) for k in mixed}

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        by_class = {k: _areas(*(step @ weights for step in ladder)) for k, ladder in ladders.items()}
        found: dict[str, Floats] = {}
        for place, kind in enumerate(("roc_auc", "average_precision")):
            values = {k: areas[place] for k, areas in by_class.items()}
            found |= {f"{kind}/{names[k]}": value for k, value in values.items()}
            if headline in values:
                found[kind] = values[headline]
            elif values and headline in (None, -1):
                found[kind] = _mean_of_known(list(values.values()))
        return found

    return weighted


def of_calibration(confidence: Floats, correct: NDArray[np.bool_], num_bins: int) -> Weighted:
    """Return the expected calibration error over bins of equal width, each open below and closed above."""
    place = (np.ceil(confidence * num_bins) - 1).clip(0, num_bins - 1).astype(np.int64)
    gaps = np.zeros((num_bins, len(confidence)))
    gaps[place, np.arange(len(confidence))] = correct - confidence

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        return {"calibration_error": np.abs(gaps @ weights).sum(0) / weights.sum(0)}

    return weighted


def ranked_precision(scores: Floats, present: NDArray[np.bool_]) -> Floats:
    """Return the label ranking average precision of each sample, [N], as `epoch.label_ranking_average_precision`."""
    found = np.ones(len(scores))
    for start in range(0, len(scores), 256):
        rows, labels = scores[start : start + 256], present[start : start + 256]
        above = rows[:, None, :] >= rows[:, :, None]
        precision = (above & labels[:, None, :]).sum(2) / above.sum(2)
        number = labels.sum(1)
        mean = (precision * labels).sum(1) / np.maximum(number, 1)
        found[start : start + 256] = np.where((number == 0) | (number == labels.shape[1]), 1.0, mean)
    return found


def _mean_of_known(values: Sequence[Floats]) -> Floats:
    """Return the mean over classes, of those that a resample has; NaN where it has none."""
    stacked = np.stack(values)
    known = np.isfinite(stacked)
    with np.errstate(invalid="ignore"):
        return np.where(known, stacked, 0.0).sum(0) / known.sum(0)


def _ladder(positive: NDArray[np.bool_], scores: Floats) -> list[sparse.csr_array]:
    """Return matrices that sum weights by the positives' S different scores, the highest first.

    The positives of each score [S, N], the negatives of it [S, N], and the negatives between it and the score before
    [S + 1, N], the last row those below all positives.
    """
    steps = np.unique(-scores[positive])
    step = np.searchsorted(steps, -scores)
    level = np.append(steps, np.inf)[step] == -scores
    kinds = ((positive, len(steps)), (~positive & level, len(steps)), (~positive & ~level, len(steps) + 1))
    found = []
    for kind, height in kinds:
        rows = np.flatnonzero(kind)
        found.append(sparse.csr_array((np.ones(len(rows)), (step[rows], rows)), shape=(height, len(scores))))
    return found


def _areas(hits: Floats, level: Floats, between: Floats) -> tuple[Floats, Floats]:
    """Return ROC AUC and average precision from the weights on a ladder, NaN where undefined."""
    above = between[:-1].cumsum(0) + level.cumsum(0) - level
    positives, negatives = hits.sum(0), level.sum(0) + between.sum(0)
    found = hits.cumsum(0)
    precision = hits * found / np.maximum(found + above + level, 1e-300)
    lost = (hits * (above + level / 2)).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - lost / (positives * negatives), precision.sum(0) / positives
