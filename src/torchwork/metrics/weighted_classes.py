"""The metrics of classes and labels as functions of weights, for resampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from torchwork.metrics.resampling import Floats, Integers, Weighted

LEAST_SUPPORT = 10  # a class with fewer samples has no F1 of its own that could be resampled


def of_classes(target: Integers, prediction: Integers, names: Sequence[str]) -> Weighted:
    """Return accuracy, balanced accuracy and the means of precision, recall and F1, and these of each larger class.

    Args:
        target: The classes int64 [N], places among the names.
        prediction: The same, as predicted.
        names: Of all K classes.
    """
    right = np.where(target == prediction, target, -1)
    sums = [_sums(places, len(names)) for places in (target, prediction, right)]
    alone = np.flatnonzero(np.bincount(target, minlength=len(names)) >= LEAST_SUPPORT).tolist()

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        support, predicted, hits = (each @ weights for each in sums)
        total = weights.sum(0)
        found = {"accuracy": hits.sum(0) / total}
        recall = _over(hits, support)
        found["balanced_accuracy"] = recall.sum(0) / (support > 0).sum(0)
        by_class = {"precision": _over(hits, predicted), "recall": recall, "f1": _over(2 * hits, support + predicted)}
        present = (support + predicted > 0).sum(0)
        for name, values in by_class.items():
            found[f"{name}_macro"] = values.sum(0) / present
            found[f"{name}_weighted"] = (values * support).sum(0) / total
            found |= {f"{name}/{names[k]}": values[k] for k in alone}
        return found

    return weighted


def of_labels(target: NDArray[np.bool_], prediction: NDArray[np.bool_], names: Sequence[str]) -> Weighted:
    """Return accuracy over all labels, exact match, macro and micro means of precision, recall and F1, and each.

    Args:
        target: bool [N, K], which labels each sample has.
        prediction: The same, as predicted.
        names: Of the labels; none where there are no metrics by label.
    """
    right = target & prediction
    counted = [array.T.astype(np.float64) for array in (target, prediction, right)]
    accuracy, exact = (target == prediction).mean(1), (target == prediction).all(1).astype(np.float64)

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        support, predicted, hits = (each @ weights for each in counted)
        total = weights.sum(0)
        found = {"accuracy": accuracy @ weights / total, "exact_match": exact @ weights / total}
        pairs = {"precision": (hits, predicted), "recall": (hits, support), "f1": (2 * hits, support + predicted)}
        for name, (above, below) in pairs.items():
            by_label = _over(above, below)
            found[f"{name}_macro"] = by_label.mean(0)
            found |= {f"{name}/{label}": values for label, values in zip(names, by_label, strict=bool(names))}
            found[f"{name}_micro"] = _over(above.sum(0), below.sum(0))
        return found

    return weighted


def _sums(places: Integers, num: int) -> sparse.csr_array:
    """Return the matrix [num, N] that adds up the weights of the samples at each place; -1 is none."""
    rows = np.flatnonzero(places >= 0)
    return sparse.csr_array((np.ones(len(rows)), (places[rows], rows)), shape=(num, len(places)))


def _over(above: Floats, below: Floats) -> Floats:
    """Divide; what is divided by nothing is 0, as scikit-learn has it."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
