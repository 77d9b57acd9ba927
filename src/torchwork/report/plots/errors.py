"""How large errors are: their histogram, and what share of the samples stays below each size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchwork.report.names import label
from torchwork.report.plots import style
from torchwork.report.plots.class_curves import thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_OUTPUTS = 3
_BINS = 40


def error_quantiles(target: Any, prediction: Any, *, names: Sequence[str] = ()) -> Figure:
    """Draw the histogram of prediction − true, and below it the share of samples whose absolute error is at most x.

    Args:
        target: The true numbers [N] or [N, k].
        prediction: The predicted numbers, of the same shape.
        names: What the k numbers are called.

    The median and the 90% quantile of the absolute error are marked, as ``median_absolute_error`` and
    ``absolute_error_q90`` have them: between two errors interpolated. Pairs that are not finite are left out, and the
    title says how many. Of more than 3 outputs the first 3 are drawn.

    >>> figure = error_quantiles([1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 2.0, 4.25])
    >>> figure.axes[1].lines[0].get_xydata().tolist()
    [[0.0, 0.25], [0.25, 0.5], [0.5, 0.75], [1.0, 1.0]]
    """
    true, predicted = np.asarray(target, np.float64), np.asarray(prediction, np.float64)
    if true.shape != predicted.shape:
        raise ValueError(f"target has shape {true.shape} and prediction {predicted.shape}; they must be equal")
    if not np.isfinite(true - predicted).any():
        return style.nothing(["There are no errors to draw: no sample has a true and a predicted number."])
    errors = (predicted - true).reshape(len(true), -1)
    num = min(errors.shape[1], MOST_OUTPUTS)
    with style.applied():
        figure, panels = style.stacked([1.2, 1.6] * num, [0.6, 0.85] * (num - 1) + [0.6], left=0.75)
        for output in range(num):
            held = errors[np.isfinite(errors[:, output]), output]
            above, below = panels[2 * output : 2 * output + 2]
            said = label(names[output], 40) if output < len(names) else f"output {output}" if num > 1 else "all samples"
            if len(held) < len(errors):
                said += f"; {len(errors) - len(held):,} not finite, left out"
            if output == num - 1 and errors.shape[1] > num:
                said += f"; {errors.shape[1] - num} more outputs are not drawn"
            style.plain([above.set_title(said)])
            if len(held):
                _histogram(above, held)
                _shares(below, np.abs(held))
    return figure


def _histogram(axes: Axes, errors: np.ndarray) -> None:
    low, high = errors.min(), errors.max()
    edges = np.linspace(low, high, _BINS + 1) if high > low else np.linspace(low - 0.5, low + 0.5, _BINS + 1)
    axes.hist(errors, list(edges), color=style.BLUE, edgecolor=style.PAPER, linewidth=0.4)
    axes.axvline(0, color=style.MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
    mean = float(errors.mean())
    axes.axvline(mean, color=style.VERMILLION, linewidth=1.2, label=f"mean {mean:.3g}")
    axes.legend(loc="upper right")
    style.counted(axes)
    axes.set(xlabel="predicted − true", ylabel="samples")


def _shares(axes: Axes, sizes: np.ndarray) -> None:
    x = np.sort(sizes)
    share = np.arange(1, len(x) + 1) / len(x)
    span = x[-1] or 1.0
    kept_x, kept_y = thinned(x / span, share)
    axes.plot(kept_x * span, kept_y, color=style.BLUE, drawstyle="steps-post")
    for level, colour in ((0.5, style.GREEN), (0.9, style.VERMILLION)):
        size = float(np.quantile(sizes, level))
        name = "median" if level == 0.5 else "90% quantile"
        axes.plot([size], [level], "o", color=colour, markersize=6, label=f"{name} {size:.3g}")
    axes.legend(loc="lower right")
    axes.set(ylim=(0, 1.02), xlabel="absolute error at most", ylabel="share of samples")
    axes.set_xlim(left=0)
