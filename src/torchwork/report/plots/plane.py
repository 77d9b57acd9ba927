"""Samples in a plane, by what a model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from torchwork.report.names import inches, label, labels
from torchwork.report.plots import style

IN_LEGEND = 12
_MARKERS = "os^DvP"
_POINTS_AS_SHAPES = 600


def embedding(
    points: Any,
    classes: Sequence[Any] | None = None,
    *,
    values: Any = None,
    names: Sequence[str] = ("first axis", "second axis"),
    value_name: str = "target",
) -> Figure:
    """Draw samples as points in a plane, coloured by class or by a number.

    Args:
        points: [N, 2]; those that are not finite are left out. Vectors [N, D] of more numbers are projected onto the
            two directions in which they differ most (PCA), which the axes then say.
        classes: The class of each, or None.
        values: A number for each, or None; not looked at where there are classes.
        names: What the two axes are called.
        value_name: What the numbers are called.

    Up to 12 classes have a colour and a shape each, told in a legend. Of more, the name of each stands in the middle of
    its points, as far as names do not cover each other, the most frequent classes first.

    >>> figure = embedding([[0, 0], [1, 1]], ["cat", "dog"])
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['cat', 'dog']
    """
    places = np.asarray(points, np.float64)
    places = places.reshape(-1, 2) if not places.size else places
    if places.ndim != 2 or places.shape[1] < 2:
        raise ValueError(f"points has shape {places.shape}; expected [samples, 2], or more numbers of each sample")
    name, of = ("values", values) if classes is None else ("classes", classes)
    if of is not None and len(of) != len(places):
        raise ValueError(f"there are {len(places)} points and {len(of)} {name}; expected one for each point")
    there = np.asarray(np.isfinite(places).all(axis=1))
    if places.shape[1] > 2:
        places, names = _projected(places, there), [f"{name} (PCA)" for name in names]
    order = [] if classes is None else sorted(dict.fromkeys(str(name) for name in classes), key=_natural)
    with style.applied():
        in_legend = bool(order) and len(order) <= IN_LEGEND
        below = 0.24 * -(-len(order) // _legend_columns(order)) + 0.1 if in_legend else 0.0
        figure = Figure(figsize=(style.WIDTH, 4.4 + below), layout="constrained")
        axes = figure.add_subplot()
        if classes is not None:
            _classes(axes, places, there, np.array([str(name) for name in classes], object), order)
        elif values is not None:
            drawn = _dots(axes, places[there], c=np.asarray(values, np.float64)[there], cmap=style.RAMP)
            bar = figure.colorbar(drawn, ax=axes, shrink=0.7)
            style.plain([bar.ax.set_ylabel(label(value_name, 40))])
        else:
            _dots(axes, places[there], color=style.BLUE)
        if in_legend:
            found = figure.legend(loc="outside lower left", ncols=_legend_columns(order), handletextpad=0.2)
            style.plain(found.get_texts())
        style.plain([axes.set_xlabel(names[0]), axes.set_ylabel(names[1])])
        if not there.all():
            axes.set_title(f"{int((~there).sum()):,} not finite, left out")
    return figure


def _projected(vectors: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return vectors [N, D] in the plane [N, 2] of their first two principal components, each way round the same."""
    flat = np.full((len(vectors), 2), np.nan)
    if there.any():
        centred = vectors[there] - vectors[there].mean(0)
        directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
        signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
        flat[there] = 0.0
        flat[there, : len(directions)] = centred @ (directions * signs[:, None]).T
    return flat


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() and len(name) < 12 else (1 << 60, name)


def _legend_columns(order: Sequence[str]) -> int:
    widest = max((inches(text, 8) for text in labels(order, 20).values()), default=0.5) + 0.4
    return max(1, min(6, int((style.WIDTH - 0.3) / widest)))


def _dots(axes: Any, points: np.ndarray, **options: Any) -> Any:
    many = len(points) > _POINTS_AS_SHAPES
    return axes.scatter(
        *points.T, s=9 if many else 16, linewidths=0, alpha=0.75, rasterized=many, **{"marker": "o", **options}
    )


def _classes(axes: Any, points: np.ndarray, there: np.ndarray, classes: np.ndarray, order: list[str]) -> None:
    few = len(order) <= IN_LEGEND
    said = labels(order, 20 if few else 14)
    for number, name in enumerate(order):
        chosen = points[there & (classes == name)]
        colour = style.SERIES[number % len(style.SERIES)]
        marker = _MARKERS[number // len(style.SERIES) % len(_MARKERS)] if few else "o"
        _dots(axes, chosen, color=colour, marker=marker, label=said[name] if few else None)
    if few:
        return
    counts = {name: int((there & (classes == name)).sum()) for name in order}
    middles = {name: np.median(points[there & (classes == name)], axis=0) for name in order if counts[name]}
    written: list[tuple[float, float, float]] = []
    low, high = points[there].min(0), points[there].max(0)
    across, up = np.maximum(high - low, 1e-12) / np.array([style.WIDTH - 0.9, 3.8])  # of the data in an inch
    for name in sorted(middles, key=lambda name: -counts[name]):
        text, (x, y) = said[name], middles[name]
        half = inches(text, 8) / 2 * across  # bold letters of 7 points are as wide
        if all(abs(x - a) > half + other or abs(y - b) > 0.13 * up for a, b, other in written):
            written.append((float(x), float(y), float(half)))
            shown = axes.text(x, y, text, ha="center", va="center", fontsize=7, fontweight="bold")
            style.plain([shown])
    if len(written) < len(order):
        axes.set_title(f"{len(order)} classes, {len(written)} of them named where there is room")
