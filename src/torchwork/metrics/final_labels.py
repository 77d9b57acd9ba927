"""The metrics of a finished run of labels, each there or not: scikit-learn's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from torchwork.metrics.table import outputs_beside

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def of_labels(path: Path, columns: Mapping[str, Sequence[str]], names: Sequence[str], loss: str) -> dict[str, float]:
    """Return the metrics of labels: from the columns ``target_<label>`` and ``score_<label>``, or from the arrays.

    ``accuracy`` over all labels of all samples, ``exact_match`` (all labels of a sample right), ``precision``,
    ``recall`` and ``f1`` as ``_macro`` and ``_micro``, all at a probability of 0.5; ``roc_auc``, the mean over the
    labels that some samples have and others have not, and ``roc_auc/<label>``; ``lrap``, the label ranking average
    precision. MultiLabelMarginLoss orders labels without a threshold: it has ``lrap`` and ``roc_auc`` alone.
    """
    target, scores, threshold = _read(path, columns, names, loss)
    if not np.isfinite(scores).all():
        return {}
    found = {} if loss == "MultiLabelMarginLoss" else _at_threshold(target, scores >= threshold)
    mixed = [place for place in range(len(names)) if target[:, place].any() and not target[:, place].all()]
    areas = {names[place]: float(metrics.roc_auc_score(target[:, place], scores[:, place])) for place in mixed}
    if areas:
        found["roc_auc"] = float(np.mean(list(areas.values())))
    if len(names) > 1:
        found["lrap"] = float(metrics.label_ranking_average_precision_score(target, scores))
        found |= {f"roc_auc/{name}": area for name, area in areas.items()}
    return found


def _read(
    path: Path, columns: Mapping[str, Sequence[str]], names: Sequence[str], loss: str
) -> tuple[Bools, Floats, float]:
    if f"score_{names[0]}" in columns:
        target, scores = (
            np.array([columns[f"{kind}_{name}"] for name in names], np.float64).T for kind in ("target", "score")
        )
        return target > 0, scores, 0.5
    arrays = outputs_beside(path)  # more labels than the table has columns for
    return arrays["target"] > 0, arrays["output"].astype(np.float64), 0.5 if loss == "BCELoss" else 0.0


def _at_threshold(target: Bools, prediction: Bools) -> dict[str, float]:
    found = {
        "accuracy": float((target == prediction).mean()),
        "exact_match": float(metrics.accuracy_score(target, prediction)),
    }
    for average in ("macro", "micro"):
        kept = {"average": average, "zero_division": 0.0}
        if target.shape[1] == 1:  # one label: scikit-learn takes it for two classes
            kept["average"] = "binary"
        means = metrics.precision_recall_fscore_support(target, prediction, **kept)
        found |= {f"{n}_{average}": float(v) for n, v in zip(("precision", "recall", "f1"), means[:3], strict=True)}
    return found
