"""How strongly each layer is pulled and how far it moves, over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from torchwork.report.names import inches, labels
from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

USUAL_RATIO = 1e-3
_LINES_UP_TO = 6
_MOST_INCHES = 3.6
_MEASURES = {"grad_norm": "gradient norm", "update_ratio": "size of update / size of weights"}


def layers(rows: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the gradient norm and the update-to-weight ratio of each layer over the epochs.

    Args:
        rows: Of ``layers.csv``, as a list of dicts, a dict of columns or a DataFrame: ``epoch``, ``layer``,
            ``grad_norm`` and ``update_ratio``.

    Up to 6 layers are lines, more are the rows of a map, in the model's order from above, with as many of their names
    as there is room for. Scales are logarithmic; what is 0 or no number is left blank. The dashed line, on the scale of
    a map an orange one, is a ratio of 1e-3, about which training usually goes well.

    >>> rows = {"epoch": [1, 1, 2, 2], "layer": ["a", "b"] * 2, "grad_norm": [1, 2, 3, 4], "update_ratio": [0.1] * 4}
    >>> [line.get_ydata().tolist() for line in layers(rows).axes[0].lines]
    [[1.0, 3.0], [2.0, 4.0]]
    """
    epochs, names, values = tabled(rows)
    if not any((grid > 0).any() for grid in values.values()):
        return style.nothing(["There are no gradients and updates by layer to draw: nothing was measured."])
    with style.applied():
        return _lines(epochs, names, values) if len(names) <= _LINES_UP_TO else _maps(epochs, names, values)


def tabled(rows: Any) -> tuple[np.ndarray, list[str], dict[str, np.ndarray]]:
    """Return the epochs [E], the layers in their order of appearance [L], and [L, E] for each measure, NaN for none."""
    columns = rows if not isinstance(rows, Sequence) else _columns(rows)
    if "layer" not in columns:
        columns = _columns([])
    layer_of = [str(name) for name in columns["layer"]]
    names = list(dict.fromkeys(layer_of))
    epoch_of = np.asarray([_number(value) for value in columns["epoch"]])
    epochs = np.unique(epoch_of[np.isfinite(epoch_of)])
    place = {name: number for number, name in enumerate(names)}
    values = {measure: np.full((len(names), len(epochs)), np.nan) for measure in _MEASURES}
    for measure, grid in values.items():
        for name, epoch, value in zip(layer_of, epoch_of, columns[measure], strict=True):
            if np.isfinite(epoch):
                grid[place[name], np.searchsorted(epochs, epoch)] = _number(value)
        grid[~np.isfinite(grid) | (grid <= 0)] = np.nan
    return epochs, names, values


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row.get(name) for row in rows] for name in ("epoch", "layer", *_MEASURES)}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _lines(epochs: np.ndarray, names: list[str], values: Mapping[str, np.ndarray]) -> Figure:
    below, said = 0.2 * len(names) + 0.55, labels(names, 40)
    figure = Figure(figsize=(style.WIDTH, 4.0 + below))
    height = figure.get_figheight()
    for number, (measure, grid) in enumerate(values.items()):
        place = (0.75 / style.WIDTH, (below + 2.0 * (1 - number)) / height, 3.95 / style.WIDTH, 1.65 / height)
        axes = figure.add_axes(place)
        for name, row, colour in zip(names, grid, style.SERIES, strict=False):
            marker = "o" if len(epochs) <= 30 else ""
            axes.plot(epochs, row, color=colour, marker=marker, markersize=3, linewidth=1.4, label=said[name])
        if np.isfinite(grid).any():
            style.logarithmic(axes)
        if measure == "update_ratio":
            axes.axhline(USUAL_RATIO, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set_title(_MEASURES[measure])
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        style.whole_numbers(axes)
        axes.tick_params(labelbottom=number == 1)
    axes.set_xlabel("epoch")
    handles = axes.lines[: len(names)]
    at = (0.6 / style.WIDTH, (below - 0.48) / height)
    legend = figure.legend(handles=handles, loc="upper left", bbox_to_anchor=at, borderpad=0, borderaxespad=0)
    style.plain(legend.get_texts())
    return figure


def _maps(epochs: np.ndarray, names: list[str], values: Mapping[str, np.ndarray]) -> Figure:
    points, line = 7.0, 7.0 * 1.35 / 72
    every = -(-len(names) * line // _MOST_INCHES)
    places = np.arange(0, len(names), int(every))
    named = labels(names, 26)
    shown = [named[names[place]] for place in places]
    left = max(inches(name, points) for name in shown) + 0.15
    tall = min(max(1.2, len(names) * line), _MOST_INCHES)
    wide, right = max(style.WIDTH - left - 0.75, 2.0), 0.75
    width, height = left + wide + right, 2 * (tall + 0.4) + 0.4
    figure = Figure(figsize=(width, height))
    for number, (measure, grid) in enumerate(values.items()):
        bottom = 0.45 + (1 - number) * (tall + 0.4)
        axes = figure.add_axes((left / width, bottom / height, wide / width, tall / height))
        bar = figure.add_axes(((left + wide + 0.08) / width, bottom / height, 0.1 / width, tall / height))
        _map(axes, bar, epochs, grid, mark=USUAL_RATIO if measure == "update_ratio" else None)
        axes.set_yticks(places, shown, fontsize=points)
        style.plain(axes.get_yticklabels())
        axes.set_title(_MEASURES[measure])
        axes.tick_params(length=0, labelbottom=number == 1)
    axes.set_xlabel("epoch")
    return figure


def _map(axes: Axes, bar: Axes, epochs: np.ndarray, grid: np.ndarray, *, mark: float | None) -> None:
    """Draw a map with its scale beside; epochs that nobody measured are blank, as every epoch has its own place."""
    whole = np.full((len(grid), int(epochs[-1] - epochs[0]) + 1), np.nan)
    whole[:, (epochs - epochs[0]).astype(int)] = grid
    found = grid[np.isfinite(grid)]
    low, high = (found.min() / 1.05, found.max() * 1.05) if len(found) else (0.1, 1.0)
    norm = LogNorm(low, high)
    extent = (epochs[0] - 0.5, epochs[-1] + 0.5, len(grid) - 0.5, -0.5)
    axes.imshow(whole, norm=norm, cmap=style.RAMP, aspect="auto", interpolation="none", extent=extent)
    axes.grid(visible=False)
    style.whole_numbers(axes)
    edges = np.geomspace(low, high, 65)
    bar.pcolormesh([0, 1], edges, edges[1:, None], norm=norm, cmap=style.RAMP, rasterized=True)
    style.logarithmic(bar)
    bar.set_ylim(low, high)
    bar.yaxis.tick_right()
    bar.set_xticks([])
    bar.grid(visible=False)
    bar.tick_params(labelsize=style.FONT_POINTS - 2)
    if mark is not None and low < mark < high:
        bar.axhline(mark, color=style.VERMILLION, linewidth=1.6)
