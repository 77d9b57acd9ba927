"""The metrics of one class a sample, as scikit-learn's, in numpy: its import alone would take longer than all of them.

Tests hold each equal to scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from torchwork.metrics import probabilities
from torchwork.metrics.areas import areas
from torchwork.metrics.found import Found, said, without
from torchwork.metrics.scores import are_probabilities
from torchwork.metrics.table import Columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

AT_HAND = ("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro")
PROBABLE = ("log_loss", "brier", "calibration_error")
AREAS = ("roc_auc", "average_precision")


class Labels(NamedTuple):
    """Targets and predictions as indices into ``names``; ``present`` are those that occur on either side.

    The first ``num_classes`` names are the run's classes, any others are unknown to it.
    """

    names: list[str]
    num_classes: int
    target: Integers
    prediction: Integers
    present: Integers


def labels_of(columns: Columns, classes: Sequence[str]) -> Labels:
    """Return the labels that the columns ``target`` and ``prediction`` of a table name."""
    own = list(dict.fromkeys(map(str, classes)))
    names = list(dict.fromkeys([*own, *columns["target"], *columns["prediction"]]))
    place_of = {name: place for place, name in enumerate(names)}
    target, prediction = (
        np.fromiter(map(place_of.__getitem__, columns[side]), np.int64) for side in ("target", "prediction")
    )
    return Labels(names, len(own), target, prediction, np.union1d(target, prediction))


def of_classes(labels: Labels, scores: Floats | None) -> Found:
    """Return the metrics of predicted classes and, where there are scores [N, K], of these."""
    if not len(labels.target):
        return without((*AT_HAND, *AREAS, *PROBABLE), "there are no samples")
    return _of_predictions(labels) | _of_scores(labels, scores)


def each_share(name: str, values: Sequence[float], chosen: int, support: int, absent: str) -> Found:
    """Return precision, recall, F1 and support of one class or label, as ``precision/<name>``, where they are defined.

    Args:
        name: Of the class.
        values: Its `shares`.
        chosen: How often it was predicted.
        support: How many samples are of it.
        absent: What to say where no sample is.

    >>> each_share("cat", [0.0, 0.0, 0.0], 0, 2, "it does not occur").undefined
    {'precision/cat': 'it is never predicted'}
    """
    reasons = ("" if chosen else _UNPREDICTED, "" if support else absent, "" if chosen or support else absent)
    known: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for share, value, why in zip(("precision", "recall", "f1"), values, reasons, strict=True):
        if why:
            undefined[f"{share}/{name}"] = why
        else:
            known[f"{share}/{name}"] = value
    return Found(known | {f"support/{name}": support}, undefined)


_UNPREDICTED = "it is never predicted"


def shares(hits: Integers, chosen: Integers, support: Integers) -> Floats:
    """Return precision, recall and F1, float64 [3, K], from how often each was hit, predicted and there.

    What is divided by nothing is 0.

    >>> shares(np.array([1, 0]), np.array([2, 0]), np.array([1, 1])).tolist()
    [[0.5, 0.0], [1.0, 0.0], [0.6666666666666666, 0.0]]
    """
    parts = [(hits, chosen), (hits, support), (2 * hits, chosen + support)]
    return np.array([above / np.maximum(below, 1) for above, below in parts])


def _of_predictions(labels: Labels) -> Found:
    count, present = len(labels.names), labels.present
    right = labels.target == labels.prediction
    hits, chosen, support = (
        np.bincount(places, minlength=count)[present]
        for places in (labels.target[right], labels.prediction, labels.target)
    )
    by_class = shares(hits, chosen, support)
    found = {"accuracy": float(right.mean()), "balanced_accuracy": float(by_class[1][support > 0].mean())}
    for average, weights in (("macro", None), ("weighted", support)):
        means = np.average(by_class, axis=1, weights=weights)
        found |= {f"{n}_{average}": float(v) for n, v in zip(("precision", "recall", "f1"), means, strict=True)}
    undefined: dict[str, str] = {}
    for index, values, times, num in zip(present, by_class.T.tolist(), chosen.tolist(), support.tolist(), strict=True):
        own = each_share(labels.names[index], values, times, num, "it does not occur")
        found |= own.metrics
        undefined |= own.undefined
    return Found(found, undefined)


def _of_scores(labels: Labels, scores: Floats | None) -> Found:
    names = (*AREAS, *PROBABLE)
    if scores is None:
        return without(names, "there are no scores of the classes")
    if labels.num_classes < 2:
        return without(names, "there is one class only")
    unknown = sorted({labels.names[place] for place in labels.target if place >= labels.num_classes})
    if unknown:
        return without(names, f"the model knows no class {said(unknown)}")
    bad = int((~np.isfinite(scores)).any(1).sum())
    if bad:
        return without(names, f"the scores of {bad} of {len(scores)} samples are NaN or infinite")
    return _of_areas(labels, scores) | _of_ranks(labels, scores) | _of_probabilities(labels, scores)


def _of_areas(labels: Labels, scores: Floats) -> Found:
    """Return the areas of each class against the rest and their mean; of two classes those of the second."""
    count = labels.num_classes
    by_class = areas(scores, (labels.target == place for place in range(count)))
    absent = [labels.names[place] for place in np.flatnonzero(np.isnan(by_class[:, 1]))]
    if len(absent) == count - 1:
        reason = "there is one class only"
    else:
        reason = f"{len(absent)} of {count} classes do not occur: {said(absent)}"
    found: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for column, name in enumerate(AREAS):
        if absent:
            undefined[name] = reason
        else:
            found[name] = float(by_class[1, column] if count == 2 else by_class[:, column].mean())
        for place, value in enumerate(by_class[:, column]):
            key = f"{name}/{labels.names[place]}"
            if np.isnan(value):
                undefined[key] = "it does not occur" if np.isnan(by_class[place, 1]) else "no other class occurs"
            else:
                found[key] = float(value)
    return Found(found, undefined)


def _of_ranks(labels: Labels, scores: Floats) -> Found:
    """Return how often the true class is among the best five, of three to five classes among the best two."""
    count = labels.num_classes
    if count < 3:
        return Found({}, {})
    best = 5 if count > 5 else 2
    own = scores[np.arange(len(scores)), labels.target][:, None]
    above = (scores > own) | ((scores == own) & (np.arange(count) > labels.target[:, None]))  # as scikit-learn's ties
    return Found({f"top_{best}_accuracy": float((above.sum(1) < best).mean())}, {})


def _of_probabilities(labels: Labels, scores: Floats) -> Found:
    if not are_probabilities(scores, rows=True):
        return without(PROBABLE, "the scores are no probabilities")
    rounded = scores / scores.sum(1, keepdims=True)  # nine digits are written: no sum is 1 to the last bit
    found = {
        "log_loss": probabilities.log_loss(rounded, labels.target),
        "brier": probabilities.brier(rounded, labels.target),
        "calibration_error": probabilities.calibration_error(rounded.max(1), labels.target == labels.prediction),
    }
    return Found(found, {})
