"""The curves of several runs, one above the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from torchwork.report.names import labels, metric
from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = ("-", "--", ":", "-.")
_MOST_METRICS = 3
_LOG_RATIO = 30.0
_MOST_NAMED = 24


def curves_of_runs(histories: Mapping[str, Mapping[str, Sequence[float] | np.ndarray]]) -> Figure:
    """Draw loss and metrics of several runs over the epochs, a colour (and from the seventh on another dash) a run.

    Args:
        histories: For each run, by its name, the columns of its ``history.csv``; runs may have different columns and
            lengths.

    What of val is there is drawn; of what is not, train. A loss over a factor of 30 gets a logarithmic axis.

    >>> one = {"epoch": [1, 2], "val_loss": [0.9, 0.4]}
    >>> figure = curves_of_runs({"a": one, "b": {"epoch": [1, 2, 3], "val_loss": [0.8, 0.5, 0.3]}})
    >>> [len(line.get_xdata()) for line in figure.axes[0].lines]
    [2, 3]
    """
    columns = _columns(histories)
    with style.applied():
        if not columns:
            return style.nothing(["no run has finished an epoch"])
        named = list(histories)[:_MOST_NAMED]
        rows = len(named) / 2
        figure = Figure(figsize=(style.WIDTH, 1.9 * len(columns) + 0.6 + 0.2 * rows), layout="constrained")
        panels = np.atleast_1d(figure.subplots(len(columns), 1, sharex=True))
        for column, axes in zip(columns, panels, strict=True):
            for place, history in enumerate(histories.values()):
                _line(axes, history, column, place)
            part, _, name = column.partition("_")
            style.plain([axes.set_title(f"{metric(name)} on {part}")])
            values = np.concatenate([line.get_ydata() for line in axes.lines])
            values = values[np.isfinite(values)]
            if "loss" in name and len(values) and values.min() > 0 and values.max() / values.min() > _LOG_RATIO:
                style.logarithmic(axes)
        style.whole_numbers(panels[-1])
        panels[-1].set_xlabel("epoch")
        handles = [Line2D([], [], **_look(place)) for place in range(len(named))]
        legend = figure.legend(handles, list(labels(named, 26).values()), loc="outside lower left", ncols=2)
        style.plain(legend.get_texts())
    return figure


def _columns(histories: Mapping[str, Mapping[str, Sequence[float] | np.ndarray]]) -> list[str]:
    """Return what is drawn: loss first, of val where any run has it."""
    there = dict.fromkeys(
        str(name)
        for history in histories.values()
        for name in history
        if str(name).startswith(("train_", "val_")) and np.isfinite(np.asarray(history[name], np.float64)).any()
    )
    kinds = dict.fromkeys(name.partition("_")[2] for name in there)
    found = [f"val_{kind}" if f"val_{kind}" in there else f"train_{kind}" for kind in kinds]
    return sorted(found, key=lambda name: not name.endswith("_loss"))[: 1 + _MOST_METRICS]


def _look(place: int) -> dict[str, Any]:
    return {"color": style.SERIES[place % 6], "linestyle": _STYLES[place // 6 % 4], "linewidth": 1.6}


def _line(axes: Axes, history: Mapping[str, Sequence[float] | np.ndarray], column: str, place: int) -> None:
    if column not in history:
        return
    values = np.asarray(history[column], np.float64)
    epochs = np.asarray(history["epoch"], np.float64) if "epoch" in history else np.arange(1.0, 1 + len(values))
    axes.plot(epochs, values, marker="o" if len(values) <= 2 else "", markersize=3, **_look(place))
