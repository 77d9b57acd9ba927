"""What is found and what is taken for it by mistake, at every threshold on a score: the points of ROC and PR curves.

The same points as scikit-learn's ``roc_curve`` and ``precision_recall_curve``, without its import, which takes longer
than all the plots of a report.
"""

from __future__ import annotations

import numpy as np


def roc_points(present: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates at falling thresholds, from (0, 0) to (1, 1), without points on straights.

    Args:
        present: bool [N], with some of either kind.
        scores: float [N], finite.

    >>> [rates.tolist() for rates in roc_points(np.array([0, 0, 1, 1]) > 0, np.array([0.1, 0.4, 0.35, 0.8]))]
    [[0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0]]
    """
    found, mistaken = _counts(present, scores)
    if len(found) > 2:
        bends = (np.diff(mistaken, 2) != 0) | (np.diff(found, 2) != 0)
        kept = np.concatenate([[True], bends, [True]])
        found, mistaken = found[kept], mistaken[kept]
    return np.append(0, mistaken) / mistaken[-1], np.append(0, found) / found[-1]


def precision_recall_points(present: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall at rising thresholds, and (1, 0) at the end; of equal recalls the first and the last.

    Args:
        present: bool [N], with one at least.
        scores: float [N], finite.

    >>> found = precision_recall_points(np.array([0, 0, 1, 1]) > 0, np.array([0.1, 0.4, 0.35, 0.8]))
    >>> [values.round(2).tolist() for values in found]
    [[0.5, 0.67, 0.5, 1.0, 1.0], [1.0, 1.0, 0.5, 0.5, 0.0]]
    """
    found, mistaken = _counts(present, scores)
    if len(found) > 2:
        moves = np.diff(found) != 0
        kept = np.concatenate([[True], moves[:-1] | moves[1:], [True]])
        found, mistaken = found[kept], mistaken[kept]
    precision, recall = found / (found + mistaken), found / found[-1]
    return np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0)


def area(x: np.ndarray, y: np.ndarray) -> float:
    """Return the area under straight lines between points.

    >>> area(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    0.5
    """
    return float((np.diff(x) * (y[1:] + y[:-1])).sum() / 2)


def average_precision(precision: np.ndarray, recall: np.ndarray) -> float:
    """Return the sum over thresholds of precision times the gain in recall.

    >>> average_precision(np.array([0.5, 1.0]), np.array([1.0, 0.0]))
    0.5
    """
    return float(-(np.diff(recall) * precision[:-1]).sum())


def _counts(present: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many are found, and how many mistaken for them, from each different score on, the highest first."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(present[order])[last]
    return found, last + 1 - found
