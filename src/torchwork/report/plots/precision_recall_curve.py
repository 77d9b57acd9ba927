"""Precision against recall: how many of those called a class are of it, as more and more are called it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchwork.report.plots import class_curves, style
from torchwork.report.plots.class_curves import Curve
from torchwork.report.plots.decisions import decisions
from torchwork.report.plots.thresholds import average_precision, precision_recall_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def precision_recall(target: Any, scores: Any, classes: Sequence[Any] = ()) -> Figure:
    """Draw the precision-recall curve of each class against the rest, and their averages, with average precisions.

    Args:
        target: The class of each of N samples, by name or place; or [N, K] of 0 and 1 where a sample may have several.
        scores: [N, K]; or [N], of the second of two classes, whose curve alone is drawn then.
        classes: The K names.

    Average precision is the sum over thresholds of precision times the gain in recall, which is the area under the
    steps. The macro average is the mean of the classes' curves at each recall, and its average precision the mean of
    theirs; the micro average takes all N·K decisions as one. A class without samples has no curve. Points as by
    `sklearn.metrics.precision_recall_curve
    <https://scikit-learn.org/stable/modules/generated/sklearn.metrics.precision_recall_curve.html>`_.

    >>> figure = precision_recall([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], ["ham", "spam"])
    >>> figure.legends[0].get_texts()[0].get_text()
    '0.833  spam (2 of 4)'
    """
    found = decisions(target, scores, classes)
    present, values, names = found.present, found.scores, found.names
    if np.ndim(scores) == 1 and len(names) == 2:
        present, values, names = present[:, 1:], values[:, 1:], names[1:]
    there = np.asarray(present.any(0)) if len(present) else np.zeros(len(names), bool)
    notes = list(found.notes)
    if len(present) and not there.all():
        notes.append(f"{(~there).sum():,} of {len(there):,} classes left out: no sample is of them")
    if not there.any():
        return style.nothing(["There is no precision-recall curve: no sample is of any class.", *notes])
    curves = []
    for place in np.flatnonzero(there):
        precision, recall = precision_recall_points(present[:, place], values[:, place])
        count = f" ({present[:, place].sum():,} of {len(present):,})"
        curves.append(Curve(names[place], recall, precision, average_precision(precision, recall), count))
    averages = []
    if len(curves) > 1:
        x, y = macro(curves)
        averages = [Curve(f"mean of {len(curves):,} classes (macro)", x, y, float(np.mean([c.area for c in curves])))]
        precision, recall = precision_recall_points(present.ravel(), values.ravel())
        area = average_precision(precision, recall)
        averages.append(Curve("all decisions together (micro)", recall, precision, area))
    axis_names = "found (recall)", "right among those found (precision)"
    return class_curves.draw(averages, curves, axis_names=axis_names, area="average precision", notes=notes, steps=True)


def macro(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of steps, whose x falls and whose y holds from its x down to the next, on every x of theirs.

    >>> a = Curve("a", np.array([1.0, 0.5, 0.0]), np.array([0.5, 1.0, 1.0]), 0.75)
    >>> b = Curve("b", np.array([1.0, 0.0]), np.array([0.5, 1.0]), 0.5)
    >>> [values.tolist() for values in macro([a, b])]
    [[1.0, 0.5, 0.0], [0.5, 0.75, 1.0]]
    """
    grid = np.unique(np.concatenate([curve.x for curve in curves]))
    total = np.zeros(len(grid))
    for curve in curves:
        x, y = curve.x[::-1], curve.y[::-1]
        total += y[np.searchsorted(x, grid)]
    return grid[::-1], total[::-1] / len(curves)
