"""Telling same from different: how near pairs of either kind are, and how well a threshold parts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from torchwork.report.plots import style
from torchwork.report.plots.class_curves import thinned
from torchwork.report.plots.thresholds import area, roc_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 40


def verification(same: Any, likeness: Any) -> Figure:
    """Draw how alike pairs of the same and of different kind are, and the ROC curve with the equal error rate.

    Args:
        same: Whether the two of each of N pairs are the same: bool, or above 0 for same.
        likeness: The higher, the more alike [N]: a score, a cosine, a distance below 0.

    The equal error rate is where as many different pairs are taken for the same as the other way round, on the line
    between the two nearest points of the ROC curve. Pairs whose likeness is not finite are left out.

    >>> figure = verification([1, 1, 0, 0], [0.9, 0.6, 0.7, 0.1])
    >>> figure.axes[2].get_title(loc="left")
    'equal error rate 50.0%, area 0.750'
    """
    alike = np.asarray(likeness, np.float64).reshape(-1)
    truth = np.asarray(same).reshape(-1) > 0
    if len(truth) != len(alike):
        raise ValueError(f"same has {len(truth)} pairs and likeness {len(alike)}; they must be equal")
    finite = np.isfinite(alike)
    notes = [f"{(~finite).sum():,} of {len(finite):,} pairs left out: not finite"] if not finite.all() else []
    truth, alike = truth[finite], alike[finite]
    if truth.all() or not truth.any():
        return style.nothing(["There is nothing to tell apart: it needs pairs of the same and of different.", *notes])
    x, y = roc_points(truth, alike)
    rate = equal_error_rate(x, y)
    with style.applied():
        figure, (different, equal, below) = style.stacked([0.9, 0.9, 3.3], [0.32, 0.75], notes=notes)
        low, high = alike.min(), alike.max()
        edges = np.linspace(low, high, _BINS + 1) if high > low else np.linspace(low - 0.5, low + 0.5, _BINS + 1)
        for axes, held, colour, name in (
            (different, alike[~truth], style.VERMILLION, "different"),
            (equal, alike[truth], style.BLUE, "same"),
        ):
            axes.hist(held, list(edges), color=colour, edgecolor=style.PAPER, linewidth=0.4)
            axes.set_title(f"{len(held):,} pairs of {'the same' if name == 'same' else 'different ones'}")
            style.counted(axes)
        different.sharex(equal)
        different.tick_params(labelbottom=False)
        equal.set_xlabel("likeness")
        below.plot(*thinned(x, y), color=style.BLUE)
        below.plot([0, 1], [1, 0], color=style.MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
        below.plot([rate], [1 - rate], "o", color=style.VERMILLION, markersize=6)
        below.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        below.set(xlabel="different, taken for the same", ylabel="same, found")
        below.set_title(f"equal error rate {rate:.1%}, area {area(x, y):.3f}")
    return figure


def equal_error_rate(false_alarms: np.ndarray, found: np.ndarray) -> float:
    """Return where a ROC curve, from (0, 0) to (1, 1), meets the line on which misses equal false alarms.

    >>> equal_error_rate(np.array([0.0, 0.2, 1.0]), np.array([0.0, 0.8, 1.0]))
    0.2
    """
    gap = false_alarms - (1 - found)  # rises from -1 to 1
    place = int(np.argmax(gap >= 0))
    share = -gap[place - 1] / (gap[place] - gap[place - 1])
    return float(false_alarms[place - 1] + share * (false_alarms[place] - false_alarms[place - 1]))
