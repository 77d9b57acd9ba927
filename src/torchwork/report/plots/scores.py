"""How scores are spread: of right and of wrong predictions, or of two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchwork.report.names import labels
from torchwork.report.plots import style
from torchwork.report.plots.decisions import decisions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 40


def score_histograms(
    target: Any, scores: Any, classes: Sequence[Any] = (), *, threshold: float | None = None
) -> Figure:
    """Draw how the scores are spread, in a panel for each group, as the groups differ much in size.

    Args:
        target: The class of each of N samples, by name or place; or [N, K] of 0 and 1 where a sample may have several.
        scores: [N, K]; or [N], of the second of two classes.
        classes: The K names.
        threshold: Of two classes: from which score on a sample is taken for the second; marked by a line.

    Of two classes: the score of the second one, in a panel for the samples of each. Of more classes: the score of the
    true class, of right and of wrong predictions; and of the wrong ones also the score of the class that was predicted.
    Of labels: the scores of those that a sample has and of those that it has not.

    >>> figure = score_histograms([0, 0, 1], [0.1, 0.4, 0.8], ["ham", "spam"])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['2 of ham', '1 of spam']
    """
    found = decisions(target, scores, classes)
    if not found.scores.size:
        return style.nothing(["There are no scores to draw.", *found.notes])
    if not found.exclusive:
        kinds = {"labels that a sample has": found.present, "labels that it has not": ~found.present}
        return _panels({name: found.scores[kind] for name, kind in kinds.items()}, "score of a label", found.notes)
    if len(found.names) == 2:
        names = labels(found.names).values()
        groups = {f"of {name}": found.scores[found.present[:, k], 1] for k, name in enumerate(names)}
        if len(groups) == 2:
            return _panels(groups, f"score of {[*names][1]}", found.notes, threshold)
    rows, best = np.arange(len(found.scores)), found.scores.argmax(1)
    right = found.present[rows, best]
    of_true, of_best = found.scores[rows, found.present.argmax(1)], found.scores[rows, best]
    groups = {
        "right: score of the true class": of_true[right],
        "wrong: score of the true class": of_true[~right],
        "wrong: score of the class taken for it": of_best[~right],
    }
    return _panels(groups, "score", found.notes)


def _panels(
    groups: Mapping[str, np.ndarray], what: str, notes: Sequence[str], threshold: float | None = None
) -> Figure:
    values = np.concatenate(list(groups.values()))
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(0, 1, _BINS + 1) if low >= 0 and high <= 1 else _edges(low, high)
    with style.applied():
        figure, panels = style.stacked([1.1] * len(groups), [0.32] * (len(groups) - 1), left=0.6, notes=notes)
        for axes, (name, held), colour in zip(panels, groups.items(), _colours(len(groups)), strict=True):
            axes.hist(held, list(edges), color=colour, edgecolor=style.PAPER, linewidth=0.4)
            style.plain([axes.set_title(f"{len(held):,} {name}")])
            style.counted(axes)
            axes.sharex(panels[-1])
            axes.tick_params(labelbottom=axes is panels[-1])
            if threshold is not None:
                axes.axvline(threshold, color=style.INK, linewidth=0.9, linestyle=(0, (4, 3)))
        style.plain([panels[-1].set_xlabel(what)])
    return figure


def _edges(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, _BINS + 1) if high > low else np.linspace(low - 0.5, low + 0.5, _BINS + 1)


def _colours(num: int) -> Sequence[str]:
    return (style.BLUE, style.VERMILLION, style.ORANGE)[:num]
