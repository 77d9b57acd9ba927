"""The receiver operating characteristic: what share of a class is found at which share of false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchwork.report.plots import class_curves, style
from torchwork.report.plots.class_curves import Curve
from torchwork.report.plots.decisions import decisions
from torchwork.report.plots.thresholds import area, roc_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def roc(target: Any, scores: Any, classes: Sequence[Any] = ()) -> Figure:
    """Draw the ROC curve of each class against the rest, and their averages, with the area under each in the legend.

    Args:
        target: The class of each of N samples, by name or place; or [N, K] of 0 and 1 where a sample may have several.
        scores: [N, K]; or [N], of the second of two classes. Of two classes the second one's curve is drawn.
        classes: The K names.

    The macro average is the mean of the classes' curves at each false-positive rate, and its area the mean of their
    areas; the micro average takes all N·K decisions as one. A class that no sample or every sample is of has no curve.
    Of more than 6 classes the averages, the worst 3 and the best 2 are drawn. Points as by
    `sklearn.metrics.roc_curve <https://scikit-learn.org/stable/modules/generated/sklearn.metrics.roc_curve.html>`_.

    >>> figure = roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], ["ham", "spam"])
    >>> figure.legends[0].get_texts()[0].get_text()
    '0.750  spam (2 of 4)'
    """
    found = decisions(target, scores, classes)
    present, values, names = found.present, found.scores, found.names
    if found.exclusive and len(names) == 2:
        present, values, names = present[:, 1:], values[:, 1:], names[1:]
    mixed = np.asarray(present.any(0) & ~present.all(0)) if len(present) else np.zeros(len(names), bool)
    notes = list(found.notes)
    if len(present) and not mixed.all():
        notes.append(f"{(~mixed).sum():,} of {len(mixed):,} classes left out: no sample or every one is of them")
    if not mixed.any():
        return style.nothing(["There is no ROC curve: it needs samples of a class and samples of others.", *notes])
    curves = []
    for place in np.flatnonzero(mixed):
        x, y = roc_points(present[:, place], values[:, place])
        curves.append(Curve(names[place], x, y, area(x, y), f" ({present[:, place].sum():,} of {len(present):,})"))
    averages = []
    if len(curves) > 1:
        x, y = macro(curves)
        averages = [Curve(f"mean of {len(curves):,} classes (macro)", x, y, float(np.mean([c.area for c in curves])))]
        x, y = roc_points(present.ravel(), values.ravel())
        averages.append(Curve("all decisions together (micro)", x, y, area(x, y)))
    axis_names = "false alarms (share of the others)", "found (share of the class)"
    said = "area under the curve"
    return class_curves.draw(averages, curves, axis_names=axis_names, area=said, notes=notes, chance=True)


def macro(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of curves that rise and may jump, on every x of theirs: the y before a jump and the one after.

    >>> a = Curve("a", np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]), 1.0)
    >>> b = Curve("b", np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0.5)
    >>> [values.tolist() for values in macro([a, b])]
    [[0.0, 0.0, 1.0, 1.0], [0.0, 0.5, 1.0, 1.0]]
    """
    grid = np.unique(np.concatenate([curve.x for curve in curves]))
    before, after = np.zeros(len(grid)), np.zeros(len(grid))
    for curve in curves:  # of several points at one x, numpy takes the last
        before += np.interp(-grid, -curve.x[::-1], curve.y[::-1])
        after += np.interp(grid, curve.x, curve.y)
    return np.repeat(grid, 2), np.stack([before, after], axis=1).ravel() / len(curves)
