"""What the columns of a table count for: over a split, and in one prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from torchwork.report.names import inches, label, labels
from torchwork.report.plots import style

MOST_COLUMNS = 20
_POINTS = 8.0


def importance(columns: Sequence[str], rise: Any) -> Figure:
    """Draw by how much the loss rises where a column is shuffled, the most important column on top.

    Args:
        columns: The k names.
        rise: [k] or [k, r]: the rise of the loss, for each of r shuffles. The bar is the mean, the line goes from the
            least to the greatest.

    The 20 columns with the greatest means are drawn; the title says how many there are.

    >>> figure = importance(["a", "b"], [[0.1, 0.3], [0.5, 0.7]])
    >>> [round(float(bar.get_width()), 3) for bar in figure.axes[0].patches]
    [0.6, 0.2]
    """
    if not len(columns):
        return style.nothing(["There are no columns whose importance could be drawn."])
    given = np.asarray(rise, np.float64).reshape(len(columns), -1)
    means = given.mean(1)
    order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")[:MOST_COLUMNS]
    some = f"{len(order)} of {len(columns)} columns" if len(order) < len(columns) else "all columns"
    figure, axes = _bars([columns[place] for place in order], means[order], [style.BLUE] * len(order))
    with style.applied():
        low, high = given[order].min(1), given[order].max(1)
        axes.hlines(range(len(order)), low, high, color=style.INK, linewidth=1)
        axes.set_xlabel("rise of the loss where the column is shuffled")
        axes.set_title(some)
    return figure


def contributions(columns: Mapping[str, float], *, of: str = "the prediction") -> Figure:
    """Draw how far each column of one sample moves its prediction, up or down, the strongest on top.

    Args:
        columns: By the column's name how far it carries the prediction; the 20 strongest are drawn.
        of: What is carried.

    >>> figure = contributions({"width": -2.0, "length": 1.0, "colour": 3.0})
    >>> [float(bar.get_width()) for bar in figure.axes[0].patches]
    [3.0, -2.0, 1.0]
    """
    if not columns:
        return style.nothing(["There are no columns whose contributions could be drawn."])
    order = sorted(columns, key=lambda name: -abs(columns[name]))[:MOST_COLUMNS]
    values = np.array([columns[name] for name in order], np.float64)
    colours = [style.VERMILLION if value < 0 else style.BLUE for value in values]
    figure, axes = _bars(order, values, colours)
    with style.applied():
        style.plain([axes.set_xlabel(f"gradient × input: what carries {label(of, 60)}")])
        less = f"{len(order)} of {len(columns)} columns" if len(order) < len(columns) else "all columns"
        axes.set_title(less)
    return figure


def _bars(names: Sequence[str], values: np.ndarray, colours: Sequence[str]) -> tuple[Figure, Any]:
    named = labels(names, 28)
    texts = [named[name] for name in names]
    left = max((inches(text, _POINTS) for text in texts), default=0.3) + 0.15
    height = max(len(texts), 1) * 0.21
    size = (style.WIDTH, height + 0.85)
    with style.applied():
        figure = Figure(figsize=size)
        axes = figure.add_axes((left / size[0], 0.48 / size[1], (size[0] - left - 0.15) / size[0], height / size[1]))
        axes.barh(range(len(texts)), values, color=list(colours), height=0.65)
        axes.axvline(0, color=style.MUTED, linewidth=0.8)
        axes.set_yticks(range(len(texts)), texts, fontsize=_POINTS)
        axes.set_ylim(len(texts) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        style.plain(axes.get_yticklabels())
    return figure, axes
