"""The curves of a training run: loss and metrics of train and val over the epochs, the learning rate below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from torchwork.report.names import label
from torchwork.report.names import metric as written
from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PARTS = {"train": style.BLUE, "val": style.VERMILLION}
_LOG_RATIO = 30.0
_MOST_METRICS = 6


def curves(history: Mapping[str, Sequence[float] | np.ndarray], *, best: int | None = None) -> Figure:
    """Draw the loss and every metric of train and val over the epochs, and the learning rate below them.

    Args:
        history: The columns of ``history.csv``: ``epoch``, and where present ``lr``, ``train_<metric>`` and
            ``val_<metric>``; each a number for every epoch, NaN where there is none. A pandas DataFrame will do.
        best: The epoch whose weights were kept, marked in every panel.

    A loss or learning rate that goes over a factor of 30 gets a logarithmic axis. Of more than 6 metrics the first 6
    are drawn, in lower panels, and the last line says how many are not.

    >>> figure = curves({"epoch": [1, 2], "train_loss": [0.9, 0.4], "val_loss": [0.8, 0.5], "lr": [0.1, 0.01]}, best=2)
    >>> [axes.get_title("left") for axes in figure.axes]
    ['loss', 'learning rate']
    """
    columns = {str(name): np.asarray(history[name], np.float64) for name in history}
    epochs = columns.get("epoch", np.arange(1.0, 1 + len(next(iter(columns.values()), ()))))
    known = _metrics(columns)
    metrics = known[: _MOST_METRICS + ("loss" in known)]
    rates = "lr" in columns and bool(np.isfinite(columns["lr"]).any())
    each = 1.5 if len(metrics) <= 3 else 1.2
    heights = [1.9 if metric == "loss" else each for metric in metrics] + [1.1] * rates
    if not heights:
        return style.nothing(["There are no curves to draw: no epoch has a number."])
    with style.applied():
        figure, panels = style.stacked([height - 0.35 for height in heights], [0.35] * (len(heights) - 1))
        for metric, axes in zip(metrics, panels, strict=False):  # the learning rate's panel is left
            lines = {part: columns[f"{part}_{metric}"] for part in _PARTS if f"{part}_{metric}" in columns}
            _panel(axes, metric, epochs, lines, best)
        if rates:
            _rate(panels[-1], epochs, columns["lr"])
        for axes in panels:
            axes.sharex(panels[-1])
            axes.tick_params(labelbottom=axes is panels[-1])
        panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderpad=0, borderaxespad=0.3)
        style.whole_numbers(panels[-1])
        left_out = len(known) - len(metrics)
        panels[-1].set_xlabel(f"epoch ({left_out} more metrics are not drawn)" if left_out else "epoch")
    return figure


def _metrics(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Return what there is to draw, the loss first: every column of train or val that holds at least one number."""
    names = {
        metric: None
        for column, values in columns.items()
        for part, _, metric in [column.partition("_")]
        if part in _PARTS and metric and np.isfinite(values).any()
    }
    return sorted(names, key=lambda metric: metric != "loss")


def _panel(axes: Axes, metric: str, epochs: np.ndarray, lines: Mapping[str, np.ndarray], best: int | None) -> None:
    for part, values in lines.items():
        marker = "o" if len(epochs) <= 30 else ""
        axes.plot(epochs, values, color=_PARTS[part], marker=marker, markersize=3, label=part)
    if metric == "loss" and _spans(list(lines.values())):
        style.logarithmic(axes)
    if best is not None and best in epochs:
        axes.axvline(best, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)), label=f"best: epoch {best}")
        part = "val" if "val" in lines else next(iter(lines))
        value = lines[part][np.flatnonzero(epochs == best)[0]]
        axes.plot([best], [value], "o", markersize=7, markerfacecolor="none", markeredgecolor=_PARTS[part])
    style.plain([axes.set_title(label(written(metric)))])
    values = np.concatenate([values[np.isfinite(values)] for values in lines.values()])
    if metric != "loss" and values.min() >= 0 and values.max() <= 1:
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.02))  # no ticks above what a share can be


def _rate(axes: Axes, epochs: np.ndarray, rates: np.ndarray) -> None:
    axes.plot(epochs, rates, color=style.GREEN, marker="o" if len(epochs) <= 30 else "", markersize=3)
    if _spans([rates]):
        style.logarithmic(axes)
    else:
        axes.set_ylim(bottom=0, top=1.15 * max(float(np.nanmax(rates)), 1e-12))
    axes.set_title("learning rate")


def _spans(series: list[np.ndarray]) -> bool:
    values = np.concatenate(series)
    values = values[np.isfinite(values)]
    return len(values) > 1 and bool(values.min() > 0) and bool(values.max() / values.min() > _LOG_RATIO)
