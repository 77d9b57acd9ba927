"""What the layers of a model give, from the first to the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from torchwork.report.names import inches, labels
from torchwork.report.plots import style

MOST_LAYERS = 40
_LOG_RATIO = 30.0


def activations(layers: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw how the outputs of each layer are spread, and how many of its units never answer, the first layer on top.

    Args:
        layers: For each ``layer`` (name), ``quantiles`` (those of 1, 25, 50, 75 and 99%) and ``dead``, the share of
            units that the ReLU behind the layer made 0 everywhere, None where there is no ReLU.

    A thin line goes from the 1st to the 99th percentile, a thick one from the 25th to the 75th, and a point is the
    median. Of more than 40 layers 40 are drawn, evenly spread, and the title says so.

    >>> rows = [{"layer": "fc1", "quantiles": [-2, -1, 0, 1, 2], "dead": 0.25}]
    >>> [float(bar.get_width()) for bar in activations(rows).axes[1].patches]
    [0.25]
    """
    if not layers:
        return style.nothing(["There are no activations to draw: no layer was seen at work."])
    places = np.unique(np.linspace(0, len(layers) - 1, min(len(layers), MOST_LAYERS)).round().astype(int))
    shown = [layers[place] for place in places]
    named = labels([row["layer"] for row in shown], 26)
    names = [named[row["layer"]] for row in shown]
    spread = np.array([row["quantiles"] for row in shown], np.float64).reshape(-1, 5)
    dead = [row.get("dead") for row in shown]
    rectified = any(share is not None for share in dead)
    points = 8.0 if len(shown) <= 20 else 6.0
    left = max((inches(name, points) for name in names), default=0.3) + 0.15
    height = len(shown) * points * 1.9 / 72
    size = (style.WIDTH, height + 0.95)
    with style.applied():
        figure = Figure(figsize=size)
        room = size[0] - left - 0.12
        first = room * 0.62 if rectified else room
        box = (left / size[0], 0.55 / size[1], first / size[0], height / size[1])
        axes = figure.add_axes(box)
        _spread(axes, spread)
        axes.set_yticks(range(len(names)), names, fontsize=points)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        style.plain(axes.get_yticklabels())
        less = f", {len(shown)} of {len(layers)} layers" if len(shown) < len(layers) else ""
        axes.set_title(f"outputs{less}")
        if rectified:
            right = (left + first + 0.2) / size[0]
            other = figure.add_axes((right, box[1], 0.965 - right, box[3]))
            _dead(other, dead)
            other.set_ylim(axes.get_ylim())
    return figure


def _spread(axes: Any, spread: np.ndarray) -> None:
    rows = np.arange(len(spread))
    axes.hlines(rows, spread[:, 0], spread[:, 4], color=style.BLUE, linewidth=1)
    axes.hlines(rows, spread[:, 1], spread[:, 3], color=style.BLUE, linewidth=4)
    axes.plot(spread[:, 2], rows, "o", color=style.VERMILLION, markersize=3.5)
    axes.axvline(0, color=style.MUTED, linewidth=0.8)
    reach = np.abs(spread[:, [0, 4]]).max(1) if len(spread) else np.ones(1)
    reach = reach[np.isfinite(reach) & (reach > 0)]
    if len(reach) and reach.max() / reach.min() > _LOG_RATIO:
        axes.set_xscale("symlog", linthresh=float(reach.min()), linscale=0.5)
        top = 10.0 ** np.floor(np.log10(reach.max()))
        axes.set_xticks([-top, 0, top], [f"−{top:g}", "0", f"{top:g}"])
    axes.set_xlabel("value")
    axes.tick_params(axis="y", length=0)


def _dead(axes: Any, dead: Sequence[float | None]) -> None:
    there = [(row, share) for row, share in enumerate(dead) if share is not None]
    axes.barh([row for row, _ in there], [share for _, share in there], color=style.VERMILLION, height=0.6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_yticks([])
    axes.set_title("dead units")
