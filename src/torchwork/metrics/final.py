"""The metrics of a finished run: scikit-learn's, computed from nothing but the table of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from torchwork.metrics import arrays
from torchwork.metrics.final_labels import of_labels
from torchwork.metrics.table import read_columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def from_predictions(path: Path, data: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a split as flat numbers for ``metrics.json``.

    Args:
        path: A ``predictions-<split>.csv``; the arrays of outputs stand beside it, in ``arrays/outputs-<split>.npz``.
        data: The content of the run's ``data.json``; of it, ``task`` and ``loss`` (without them classes or numbers),
            ``classes`` and ``target_names``.

    Returns:
        Of classes: ``accuracy``, ``balanced_accuracy`` (the mean recall of the classes that occur), ``precision``,
        ``recall`` and ``f1`` each as ``_macro`` and ``_weighted``, ``roc_auc`` and ``log_loss`` where there are
        scores, and ``precision/<class>``, ``recall/<class>``, ``f1/<class>``, ``support/<class>``.
        Of numbers: ``mae``, ``rmse``, ``r2``, ``explained_variance``; where there are several targets, the mean over
        them under these names, and ``mae/<target>`` and so on. Of counts (PoissonNLLLoss) also ``poisson_deviance``.
        Of labels, orders, vectors and sequences: see `torchwork.metrics.final_labels` and `torchwork.metrics.arrays`.

    A metric that is not defined on these samples is left out, so that none is ever NaN: R² and explained variance of
    a constant target, the area under the ROC curve where a class does not occur or is the only one, everything of a
    prediction that is NaN or infinite. Classes that neither occur nor are predicted have no metrics and no part in the
    means. What scikit-learn divides by nothing is 0: the precision of a class that is never predicted, the recall of
    one that is predicted but never occurs. ``log_loss`` takes a probability of 0 for 2e-16, as scikit-learn does.
    """
    columns = read_columns(path)
    if not next(iter(columns.values()), ()):
        return {}
    task, loss = data.get("task"), data.get("loss", "")
    if task == "multilabel":
        return of_labels(path, columns, data["target_names"], loss)
    if task == "ranking":
        return arrays.of_order(path, columns)
    if task == "embedding":
        return arrays.of_vectors(path, loss)
    if task == "sequence":
        return arrays.of_sequences(columns, data["classes"])
    if task in ("classification", "binary") or (task is None and data.get("classes") is not None):
        return _classification(columns, data.get("classes") or data["target_names"])
    return _regression(columns, data.get("target_names") or (), counts=loss == "PoissonNLLLoss")


def classification_report(path: Path, classes: Sequence[str]) -> str:
    """Return scikit-learn's table of precision, recall, F1 and support by class, in the order of ``classes``.

    Classes that neither occur nor are predicted are left out.

    Args:
        path: A ``predictions-<split>.csv`` of a classification, with one row or more.
        classes: All the class names of the run.
    """
    labels = _labels(read_columns(path), classes)
    return metrics.classification_report(
        labels.target,
        labels.prediction,
        labels=labels.present,
        target_names=[labels.names[index] for index in labels.present],
        digits=4,
        zero_division=0.0,
    )


class _Labels(NamedTuple):
    """Targets and predictions as indices into ``names``; ``present`` are those that occur on either side."""

    names: list[str]
    target: Integers
    prediction: Integers
    present: Integers


def _labels(columns: Mapping[str, Sequence[str]], classes: Sequence[str]) -> _Labels:
    names = list(dict.fromkeys([*map(str, classes), *columns["target"], *columns["prediction"]]))
    places = {name: place for place, name in enumerate(names)}
    target, prediction = (
        np.array([places[name] for name in columns[side]], np.int64) for side in ("target", "prediction")
    )
    return _Labels(names, target, prediction, np.union1d(target, prediction))


def _classification(columns: Mapping[str, Sequence[str]], classes: Sequence[str]) -> dict[str, float]:
    labels = _labels(columns, classes)
    known = {"labels": labels.present, "zero_division": 0.0}
    by_class = metrics.precision_recall_fscore_support(labels.target, labels.prediction, average=None, **known)
    precision, recall, f1, support = by_class
    found = {
        "accuracy": float(metrics.accuracy_score(labels.target, labels.prediction)),
        "balanced_accuracy": float(recall[support > 0].mean()),
    }
    for average in ("macro", "weighted"):
        means = metrics.precision_recall_fscore_support(labels.target, labels.prediction, average=average, **known)
        found |= {f"{n}_{average}": float(v) for n, v in zip(("precision", "recall", "f1"), means[:3], strict=True)}
    found |= _of_scores(columns, classes, labels)
    for place, index in enumerate(labels.present):
        name = labels.names[index]
        found[f"precision/{name}"] = float(precision[place])
        found[f"recall/{name}"] = float(recall[place])
        found[f"f1/{name}"] = float(f1[place])
        found[f"support/{name}"] = int(support[place])
    return found


def _of_scores(columns: Mapping[str, Sequence[str]], classes: Sequence[str], labels: _Labels) -> dict[str, float]:
    """Return the area under the ROC curve and the log loss, as far as there are scores and they are defined."""
    names = [f"score_{name}" for name in classes]
    if not all(name in columns for name in names):
        return {}
    scores: Floats = np.array([columns[name] for name in names], np.float64).T
    if not np.isfinite(scores).all() or labels.target.max() >= len(classes):
        return {}
    found = {}
    hits = labels.target[:, None] == np.arange(len(classes))
    if len(classes) > 1 and hits.any(0).all():
        # one class against the rest; two classes have the same area from either side
        areas = [metrics.roc_auc_score(hit, score) for hit, score in zip(hits.T, scores.T, strict=True)]
        found["roc_auc"] = float(np.mean(areas))
    totals = scores.sum(1)
    if len(classes) > 1 and scores.min() >= 0 and np.allclose(totals, 1.0, atol=1e-5):
        rounded = scores / totals[:, None]  # nine digits are written, and scikit-learn wants sums of 1 to the last one
        found["log_loss"] = float(metrics.log_loss(labels.target, rounded, labels=np.arange(len(classes))))
    return found


def _regression(
    columns: Mapping[str, Sequence[str]], target_names: Sequence[str], *, counts: bool = False
) -> dict[str, float]:
    ends = [("", "")] if "target" in columns else [(f"_{name}", f"/{name}") for name in target_names]
    by_target = []
    for end, _ in ends:
        target, prediction = (np.array(columns[f"{side}{end}"], np.float64) for side in ("target", "prediction"))
        by_target.append(_of_numbers(target, prediction))
        if counts and by_target[-1] and (prediction > 0).all():
            by_target[-1]["poisson_deviance"] = float(metrics.mean_poisson_deviance(target, prediction))
    names = [name for name in by_target[0] if all(name in found for found in by_target)]
    means = {name: float(np.mean([found[name] for found in by_target])) for name in names}
    if len(ends) == 1:
        return means
    return means | {f"{n}{e}": v for (_, e), found in zip(ends, by_target, strict=True) for n, v in found.items()}


def _of_numbers(target: Floats, prediction: Floats) -> dict[str, float]:
    if not (np.isfinite(target).all() and np.isfinite(prediction).all()):
        return {}
    found = {
        "mae": float(metrics.mean_absolute_error(target, prediction)),
        "rmse": float(metrics.root_mean_squared_error(target, prediction)),
    }
    if (target != target[0]).any():
        found["r2"] = float(metrics.r2_score(target, prediction))
        found["explained_variance"] = float(metrics.explained_variance_score(target, prediction))
    return found
