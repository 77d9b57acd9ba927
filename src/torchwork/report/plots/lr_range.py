"""The learning-rate range test: the loss over a rate that grows from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def loss_over_rate(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float | None = None
) -> Figure:
    """Draw the loss, as it was and smoothed, over the learning rate on a logarithmic axis; mark the suggested one.

    Args:
        rates: [S], growing.
        losses: [S], before the update by each rate.
        smoothed: [S], the same, smoothed.
        suggestion: A rate to mark.

    The loss axis ends where the smoothed loss has risen by as much again as it fell.

    >>> len(loss_over_rate([1e-3, 1e-2, 1e-1], [2.0, 1.0, 3.0], [2.0, 1.5, 2.2], 1e-2).axes[0].lines)
    3
    """
    if not len(rates):
        return style.nothing(["The loss was not finite from the first step on."])
    with style.applied():
        figure, (axes,) = style.stacked([2.1], [], below=0.75)
        axes.plot(rates, losses, color=style.MUTED, linewidth=0.8, alpha=0.6, label="loss")
        axes.plot(rates, smoothed, color=style.BLUE, label="smoothed")
        if suggestion is not None:
            axes.axvline(
                suggestion, color=style.VERMILLION, linewidth=1.2, linestyle="--", label=f"suggested: {suggestion:.2g}"
            )
        axes.set_xscale("log")
        known = np.asarray(smoothed)
        low, first = float(known.min()), float(known[0])
        reach = max(first - low, 0.1 * abs(first), 1e-12)
        axes.set_ylim(low - 0.15 * reach, min(float(max(known.max(), max(losses))), first + reach) + 0.05 * reach)
        style.plain([axes.set_title("loss over a growing learning rate")])
        axes.set_xlabel("learning rate")
        figure.legend(loc="lower left", ncols=3, borderaxespad=0.2)
    return figure
