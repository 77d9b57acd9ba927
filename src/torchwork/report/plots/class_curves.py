"""Curves of many classes in one panel: which are drawn, how they are told apart, what the legend says of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from torchwork.report.names import labels
from torchwork.report.plots import style

_ALL_UP_TO = 6
_WORST, _BEST = 3, 2
_POINTS, _CELLS = 1000, 400
_SIDE, _LINE = 3.7, 0.19  # inches: the panel's side, a line of the legend


class Curve(NamedTuple):
    """A curve with the area under it; ``of`` is what the legend says of how many samples it rests on."""

    name: str
    x: np.ndarray
    y: np.ndarray
    area: float
    of: str = ""


def thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out points of a long curve within the unit square that lie less than a pixel from one that stays.

    >>> x, y = thinned(np.linspace(0, 1, 10_000), np.linspace(0, 1, 10_000))
    >>> len(x), float(x[0]), float(y[-1])
    (401, 0.0, 1.0)
    """
    if len(x) <= _POINTS:
        return x, y
    cells = np.stack([x, y]) * _CELLS // 1
    first = np.append(True, (np.diff(cells) != 0).any(0))
    first[-1] = True
    return x[first], y[first]


def draw(
    averages: Sequence[Curve],
    classes: Sequence[Curve],
    *,
    axis_names: tuple[str, str],
    area: str,
    notes: Sequence[str],
    chance: bool = False,
    steps: bool = False,
) -> Figure:
    """Draw averages in strong lines and, below them, all classes up to 6 and else the worst 3 and the best 2 by area.

    Args:
        averages: Up to two.
        classes: All of them.
        axis_names: Of x and y.
        area: What the area under these curves is called.
        notes: What the legend says besides.
        chance: Draw the diagonal.
        steps: A y holds from its x down to the next.
    """
    shown, left_out = _shown(classes)
    said, names = list(notes), labels([curve.name for curve in [*averages, *classes]], 34)
    if left_out:
        said.insert(0, f"of {len(classes):,} classes the worst {_WORST} and the best {_BEST} are drawn")
    with style.applied():
        num_lines = 1 + len(averages) + len(shown) + len(said) + chance
        below = 0.55 + _LINE * num_lines + 0.1
        figure = Figure(figsize=(style.WIDTH, _SIDE + below + 0.1))
        height = figure.get_figheight()
        axes = figure.add_axes((0.62 / style.WIDTH, below / height, _SIDE / style.WIDTH, _SIDE / height))
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=axis_names[0], ylabel=axis_names[1], aspect="equal")
        handles: list[Line2D] = []
        if chance:
            handles += axes.plot([0, 1], [0, 1], color=style.MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
            handles[0].set_label("0.500  what guessing gives")
        for number, curve in enumerate([*averages, *shown]):
            strong, place = number < len(averages), number if number < len(averages) else number - len(averages)
            look: dict[str, Any] = {"color": style.SERIES[place], "linewidth": 1.3}
            if strong:
                look = {"color": style.INK, "linewidth": 2.2, "linestyle": ("-", (0, (4, 1.5)))[place], "zorder": 3}
            said_of = f"{curve.area:.3f}  {names[curve.name]}{curve.of}"
            handles += axes.plot(
                *thinned(curve.x, curve.y), label=said_of, drawstyle="steps-post" if steps else "default", **look
            )
        handles = [*handles[chance:], *handles[:chance]]
        handles += [Line2D([], [], linestyle="none", label=note) for note in said]
        legend = figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.5 / style.WIDTH, (below - 0.48) / height),
            borderpad=0,
            borderaxespad=0,
            labelspacing=0.35,
            handlelength=1.6,
            title=area,
            title_fontsize=style.FONT_POINTS - 1,
            alignment="left",
        )
        style.plain(legend.get_texts())
    return figure


def _shown(classes: Sequence[Curve]) -> tuple[list[Curve], int]:
    if len(classes) <= _ALL_UP_TO:
        return list(classes), 0
    ranked = sorted(classes, key=lambda curve: curve.area)
    return [*ranked[:_WORST], *ranked[-_BEST:]], len(classes) - _WORST - _BEST
