"""The metrics of a finished run, computed from nothing but the table of predictions and the arrays beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchwork.metrics import arrays, final_classes, final_numbers
from torchwork.metrics.final_labels import of_labels
from torchwork.metrics.found import Found
from torchwork.metrics.scores import read_scores
from torchwork.metrics.table import Columns, read_columns


def from_predictions(path: Path, data: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a split as flat numbers for ``metrics.json``: the first half of `of_split`."""
    return of_split(path, data).metrics


def of_split(path: Path, data: Mapping[str, Any]) -> Found:
    """Return the metrics of a split as flat numbers, and the reasons of those that are not defined on its samples.

    Args:
        path: A ``predictions-<split>.csv``; the arrays of outputs stand beside it, in ``arrays/outputs-<split>.npz``.
        data: The content of the run's ``data.json``; of it, ``task`` and ``loss`` (without them classes or numbers),
            ``classes`` and ``target_names``.

    Returns:
        Of classes: ``accuracy``, ``balanced_accuracy`` (the mean recall of the classes that occur), ``precision``,
        ``recall`` and ``f1`` each as ``_macro`` and ``_weighted``, and ``precision/<class>``, ``recall/<class>``,
        ``f1/<class>``, ``support/<class>``. Of their scores ``roc_auc`` and ``average_precision``, each class against
        the rest, as the mean over all classes (of two classes the area and precision of the second) and as
        ``/<class>``; ``log_loss``, ``brier`` and ``calibration_error`` (see `torchwork.metrics.probabilities`);
        ``top_5_accuracy`` where there are more than five classes, of three to five ``top_2_accuracy``.
        Of numbers: ``mae``, ``rmse``, ``r2``, ``explained_variance`` and of the absolute error its median
        ``median_absolute_error`` and quantiles ``absolute_error_q90`` and ``absolute_error_q95``; where there are
        several targets, the mean over them under these names, and ``mae/<target>`` and so on. Of counts
        (PoissonNLLLoss) also ``poisson_deviance``.
        Of labels, orders, vectors and sequences: see `torchwork.metrics.final_labels` and `torchwork.metrics.arrays`.

    What is not defined on these samples is left out of the metrics, so that none is ever NaN: R² and explained variance
    of a constant target, the area under the ROC curve where a class does not occur or is the only one, everything of a
    prediction that is NaN or infinite. Classes that neither occur nor are predicted have no metrics and no part in the
    means of precision, recall and F1. Where there is nothing to divide by, a class has no value of its own: no
    precision if it is never predicted, no recall if it is predicted but never occurs. In the means over classes it
    counts 0 there, as with scikit-learn's ``zero_division=0``.
    """
    columns = read_columns(path)
    task, loss = data.get("task"), data.get("loss", "")
    if task == "multilabel":
        return _labels(path, columns, data)
    if task == "ranking":
        return arrays.of_order(path, columns)
    if task == "embedding":
        return arrays.of_vectors(path, loss)
    if task == "sequence":
        return arrays.of_sequences(columns, data["classes"])
    if task in ("classification", "binary") or (task is None and data.get("classes") is not None):
        return _classes(path, columns, data)
    names = data.get("target_names") or ()
    target, prediction = final_numbers.pairs_of(columns, names)
    return final_numbers.of_numbers(target, prediction, names, counts=loss == "PoissonNLLLoss")


def _classes(path: Path, columns: Columns, data: Mapping[str, Any]) -> Found:
    labels = final_classes.labels_of(columns, data.get("classes") or data["target_names"])
    scores = read_scores(path, data, columns)
    return final_classes.of_classes(labels, None if scores is None else scores.scores)


def _labels(path: Path, columns: Columns, data: Mapping[str, Any]) -> Found:
    scores = read_scores(path, data, columns)
    if scores is None:
        raise ValueError(f"{path} has no scores of the labels, and there are no arrays beside it")
    prediction = scores.prediction > 0 if data.get("loss") != "MultiLabelMarginLoss" else None
    return of_labels(scores.classes, scores.target > 0, prediction, scores.scores)
