"""The trials of a sweep: how they went, what they reached, which keys mattered, and which values go with which."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from torchwork.report.names import label, metric
from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOG_RATIO = 30.0
_BEST_PART = 4  # one of so many is drawn in colour
_MOST_AXES = 9
NARROW = 4  # axes that stand beside another plot
_MOST_TICKS = 6


def values_of_trials(values: Sequence[float | None], states: Sequence[str], *, name: str, higher: bool) -> Figure:
    """Draw what each trial reached, in the order in which they began, and the best so far as a line.

    Args:
        values: [T], the best figure of each trial; None where it has none.
        states: [T], ``complete``, ``pruned``, ``failed`` or ``running``.
        name: The figure's name.
        higher: Whether a higher one is better.

    >>> figure = values_of_trials([0.5, None, 0.3], ["complete", "failed", "complete"], name="val_loss", higher=False)
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [0.5, 0.5, 0.3]
    """
    y = np.array([math.nan if value is None else value for value in values], np.float64)
    if not np.isfinite(y).any():
        return style.nothing(["No trial has a figure yet."])
    ended = np.where([state == "complete" for state in states], y, math.nan)
    with style.applied():
        figure, (axes,) = style.stacked([1.7], [], below=0.75)
        best = _running_best(ended, higher)
        axes.plot(np.arange(len(y)), best, color=style.BLUE, linewidth=1.5, drawstyle="steps-post", zorder=2)
        looks = {"complete": (style.BLUE, "o"), "pruned": (style.ORANGE, "x"), "running": (style.MUTED, ".")}
        handles = [Line2D([], [], color=style.BLUE, label="best so far")]
        for state, (colour, marker) in looks.items():
            chosen = np.array([own == state for own in states]) & np.isfinite(y)
            if chosen.any():
                options: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4, "linestyle": ""}
                axes.plot(np.flatnonzero(chosen), y[chosen], zorder=3, **options)
                handles.append(Line2D([], [], label=f"{state} ({chosen.sum()})", **options))
        _scaled(axes, y)
        style.plain([axes.set_title(metric(name))])
        axes.set_xlabel("trial")
        style.whole_numbers(axes)
        figure.legend(handles=handles, loc="lower left", ncols=4, borderaxespad=0.2, columnspacing=1.0)
    return figure


def _running_best(values: np.ndarray, higher: bool) -> np.ndarray:
    """Return the best of each value and those before it; NaN before the first."""
    filled = np.where(np.isfinite(values), values, -math.inf if higher else math.inf)
    best = (np.maximum if higher else np.minimum).accumulate(filled)
    return np.where(np.isfinite(best), best, math.nan)


def curves_of_trials(curves: Sequence[Mapping[int, float]], *, name: str, best: int | None = None) -> Figure:
    """Draw the figure of each trial over its epochs; the best trial stands out.

    Args:
        curves: [T], from epochs to values.
        name: The figure's name.
        best: Which of them is the best.

    >>> len(curves_of_trials([{1: 0.5, 2: 0.4}, {1: 0.6}], name="val_loss", best=0).axes[0].lines)
    2
    """
    if not any(curves):
        return style.nothing(["No trial has finished an epoch yet."])
    with style.applied():
        figure, (axes,) = style.stacked([1.7], [], below=0.75)
        drawn = []
        order = sorted(range(len(curves)), key=lambda place: place == best)
        for place in order:
            epochs = [int(epoch) for epoch in curves[place]]
            values = np.array(list(curves[place].values()), np.float64)
            look = (style.BLUE, 2.0, 1.0) if place == best else (style.MUTED, 0.8, 0.6)
            marker = "." if len(epochs) == 1 else ""
            axes.plot(epochs, values, color=look[0], linewidth=look[1], alpha=look[2], marker=marker, markersize=4)
            drawn.append(values)
        _scaled(axes, np.concatenate(drawn))
        style.plain([axes.set_title(metric(name))])
        axes.set_xlabel("epoch")
        style.whole_numbers(axes)
        handles = [Line2D([], [], color=style.MUTED, linewidth=0.8, label="a trial")]
        if best is not None:
            handles.insert(0, Line2D([], [], color=style.BLUE, label=f"trial {best}, the best"))
        figure.legend(handles=handles, loc="lower left", ncols=2, borderaxespad=0.2)
    return figure


def importances_of_keys(shares: Mapping[str, float]) -> Figure:
    """Draw what share of the spread of the figure each key explains.

    >>> bars = importances_of_keys({"optimizer.lr": 0.8, "model.hidden": 0.2}).axes[0].patches
    >>> [float(bar.get_width()) for bar in bars]
    [0.8, 0.2]
    """
    if not shares:
        return style.nothing(["No key's importance is known."])
    names = [label(name, 26) for name in shares]
    with style.applied(**{"axes.grid.axis": "x"}):
        left = 0.25 + 0.075 * max(map(len, names))
        figure, (axes,) = style.stacked([0.26 * len(names)], [], left=left, above=0.15, below=0.5)
        places = np.arange(len(names))
        axes.barh(places, list(shares.values()), height=0.62, color=style.BLUE)
        for place, share in enumerate(shares.values()):
            axes.text(share + 0.01, place, f"{share:.2f}", va="center", color=style.INK, fontsize=style.FONT_POINTS - 1)
        axes.set_yticks(places, names)
        style.plain(axes.get_yticklabels())
        axes.invert_yaxis()
        axes.set_xlim(0, 1.1 * max(*shares.values(), 0.01))
        axes.set_xlabel("share of the spread that it explains")
        axes.tick_params(axis="y", length=0)
    return figure


def parallel_coordinates(
    columns: Mapping[str, tuple[str | Sequence[str], Sequence[Any]]],
    values: Sequence[float],
    *,
    name: str,
    higher: bool,
) -> Figure:
    """Draw each trial as a line across the values of its keys, to what it reached; the best stand out.

    Args:
        columns: For each key, the texts that it chooses from, or the kind of its range (one that begins with ``log``
            gets a logarithmic scale, one that ends with ``int`` whole numbers); and its values [T].
        values: [T], what the trials reached.
        name: The figure's name.
        higher: Whether a higher one is better.

    >>> keys = {"optimizer.lr": ("log_uniform", [0.1, 0.01]), "model.hidden": (["[8]", "[64]"], ["[8]", "[64]"])}
    >>> figure = parallel_coordinates(keys, [0.5, 0.3], name="val_loss", higher=False)
    >>> [line.get_ydata().round(2).tolist() for line in figure.axes[0].lines[:1]]
    [[1.0, 0.0, 1.0]]
    """
    y = np.asarray(values, np.float64)
    if not len(y):
        return style.nothing(["No trial came to its end yet."])
    shown: list[tuple[str, tuple[str | Sequence[str], Sequence[Any]]]] = [
        *list(columns.items())[:_MOST_AXES],
        (name, (_scale_of(y), list(y))),
    ]
    scaled = [_axis(kind, list(own)) for _, (kind, own) in shown]
    order = np.argsort(-y if higher else y, kind="stable")
    kept = max(1, -(-len(y) // _BEST_PART))
    width = style.WIDTH if len(shown) <= NARROW else 2 * style.WIDTH  # a page shows those over its whole width
    with style.applied():
        figure = Figure(figsize=(width, 3.1))
        axes = figure.add_axes((0.12 / width, 0.14, (width - 0.75) / width, 0.68))
        for rank, trial in reversed(list(enumerate(order))):
            look = (style.VERMILLION, 2.0, 1.0) if rank == 0 else (style.BLUE, 1.0, 0.9)
            look = look if rank < kept else (style.MUTED, 0.7, 0.45)
            heights = np.array([places[trial] for places, _ in scaled])
            axes.plot(range(len(shown)), heights, color=look[0], linewidth=look[1], alpha=look[2])
        _draw_axes(axes, [title for title, _ in shown], [ticks for _, ticks in scaled], name)
        handles = [Line2D([], [], color=style.VERMILLION, linewidth=2, label="the best trial")]
        if kept > 1:
            handles.append(Line2D([], [], color=style.BLUE, label="the best quarter"))
        if len(y) > kept:
            handles.append(Line2D([], [], color=style.MUTED, linewidth=0.8, label="the others"))
        figure.legend(handles=handles, loc="lower left", ncols=3, borderaxespad=0.2)
    return figure


def _draw_axes(axes: Axes, titles: Sequence[str], ticks: Sequence[list[tuple[float, str]]], name: str) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, len(titles) - 1)
    axes.set_ylim(-0.03, 1.03)
    small = style.FONT_POINTS - 1.5
    for place, (title, marks) in enumerate(zip(titles, ticks, strict=True)):
        axes.plot([place, place], [0, 1], color=style.INK, linewidth=0.8, clip_on=False)
        above = 1.07 + 0.09 * (place % 2)  # names of neighbours would run into each other
        side = "left" if place == 0 else "right" if place == len(titles) - 1 else "center"
        said = metric(title) if title == name and place == len(titles) - 1 else title
        texts = [
            axes.text(place, above, label(said, 24), ha=side, va="bottom", fontweight="bold", fontsize=small + 0.5)
        ]
        for height, mark in marks:
            box = {"facecolor": style.PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 0.4}
            texts.append(
                axes.text(place + 0.04, height, label(mark, 14), va="center", fontsize=small, bbox=box, zorder=5)
            )
        style.plain(texts)


def _axis(kind: str | Sequence[str], values: list[Any]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Return where each value stands, from 0 to 1, and the ticks with their heights."""
    if not isinstance(kind, str):
        heights = {value: (0.5 if len(kind) < 2 else place / (len(kind) - 1)) for place, value in enumerate(kind)}
        return np.array([heights[value] for value in values]), [(heights[value], value) for value in kind[:24]]
    x = np.asarray(values, np.float64)
    scale = np.log10 if kind.startswith("log") else np.asarray
    low, high = float(x.min()), float(x.max())
    if low == high:
        return np.full(len(x), 0.5), [(0.5, f"{low:.3g}")]
    ends = scale(np.array([low, high]))
    if kind.endswith("int") and high - low < _MOST_TICKS:
        marks = np.arange(low, high + 1)
    elif kind.startswith("log"):
        marks = np.geomspace(low, high, 4)
    else:
        marks = np.linspace(low, high, 4)
    if kind.endswith("int"):
        marks = np.unique(marks.round())
    heights_of_marks = (scale(marks) - ends[0]) / (ends[1] - ends[0])
    return (scale(x) - ends[0]) / (ends[1] - ends[0]), [
        (float(height), f"{mark:.3g}") for height, mark in zip(heights_of_marks, marks, strict=True)
    ]


def _scale_of(values: np.ndarray) -> str:
    return "log" if values.min() > 0 and values.max() / values.min() > _LOG_RATIO else "uniform"


def _scaled(axes: Axes, values: np.ndarray) -> None:
    known = values[np.isfinite(values)]
    if len(known) and known.min() > 0 and known.max() / known.min() > _LOG_RATIO:
        style.logarithmic(axes)
