"""One prediction: the scores, and what carries them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from torchwork.report.names import inches, label
from torchwork.report.plots import signals, style, tiles, words
from torchwork.report.plots.saliency import without_peaks

MOST_SCORES = 10
MOST_COLUMNS = 20
_ROW = 0.22
_POINTS = 8.5


def explanation(
    title: str,
    *,
    scores: Mapping[str, float] | None = None,
    picture: Any = None,
    signal: Any = None,
    gradient: Any = None,
    cam: Any = None,
    columns: Mapping[str, float] | None = None,
    weights: Sequence[Sequence[Any]] = (),
    decisive: str = "",
) -> Figure:
    """Draw what was predicted for one sample, and why: its picture with heat maps, its columns or its words.

    Args:
        title: The sample and what was predicted, up to two lines.
        scores: The score of each class; the ten greatest are drawn as bars.
        picture: [H, W], [H, W, 1] or [H, W, 3], uint8 or from 0 to 1.
        signal: [C, T], in a picture's place.
        gradient: The absolute gradient by its pixels, [H, W], or steps, [T].
        cam: Grad-CAM, [h, w] or [t].
        columns: How far each column carries the prediction, of either sign; the 20 strongest are drawn.
        weights: Words, each with how far it carries the prediction.
        decisive: What to write below.

    >>> figure = explanation("cat.png: cat", scores={"cat": 0.9, "dog": 0.1}, picture=np.zeros((8, 8)))
    >>> [float(bar.get_width()) for bar in figure.axes[-1].patches]
    [0.9, 0.1]
    """
    pictures = _pictures(picture, gradient, cam)
    tables = [(name, values) for name, values in (("columns", columns), ("scores", scores)) if values]
    lines = words.lines([word for word, _ in weights]) if weights else []
    side = pictures[0][1].shape[0] / pictures[0][1].shape[1] if pictures else 1.0
    heat = {} if signal is None else signals.strips(gradient, cam)
    tall = signals.height(heat) if signal is not None else min(1.5 * side, 3.0) + 0.25 if pictures else 0.0
    heights = [tall, words.LINE * len(lines) + 0.1 * bool(lines)]
    heights += [_ROW * min(len(values), _most(name)) + 0.4 for name, values in tables]
    below = _wrapped(decisive)
    height = 0.2 + 0.2 * len(title.split("\n")) + sum(heights) + 0.17 * len(below) + 0.1
    with style.applied():
        figure = Figure(figsize=(style.WIDTH, height))
        top = height - 0.08
        for line in title.split("\n"):
            style.plain([figure.text(0.02, top / height, label(line, 60), va="top", fontweight="bold")])
            top -= 0.2
        if signal is not None:
            signals.panel(figure, np.asarray(signal), heat, top - 0.1)
        for place, (name, shown) in enumerate(pictures):
            box = (0.02 + place * 0.327, (top - tall) / height, 0.307, (tall - 0.25) / height)
            axes = figure.add_axes(box)
            tiles.show(axes, shown).axes.set_anchor("NW")
            axes.set_title(name, fontweight="normal")
        top -= tall
        if lines:
            words.write(figure, list(weights), lines, top)
            top -= heights[1]
        for name, values in tables:
            rows = _ROW * min(len(values), _most(name))
            _bars(figure, name, values, (top - rows - 0.2, rows))
            top -= rows + 0.4
        for number, line in enumerate(below):
            style.plain([figure.text(0.02, (top - 0.17 * number) / height, line, va="top", fontsize=8)])
    return figure


def _pictures(picture: Any, gradient: Any, cam: Any) -> list[tuple[str, np.ndarray]]:
    if picture is None:
        return []
    shown = tiles.as_rgba(np.asarray(picture))
    found = [("picture", shown)]
    if cam is not None:
        found.append(("Grad-CAM", tiles.heated(shown, np.asarray(cam))))
    if gradient is not None:
        found.append(("gradient", tiles.heated(shown, without_peaks(gradient))))
    return found


def _most(name: str) -> int:
    return MOST_SCORES if name == "scores" else MOST_COLUMNS


def _bars(figure: Figure, name: str, values: Mapping[str, float], place: tuple[float, float]) -> None:
    """Draw bars whose lower edge and height, in inches, are ``place``, the strongest on top."""
    order = sorted(values, key=lambda key: -(values[key] if name == "scores" else abs(values[key])))[: _most(name)]
    texts = [label(key, 26) for key in order]
    left = max(inches(text, _POINTS) for text in texts) + 0.15
    width, height = figure.get_size_inches()
    room = (width - left - 0.55) / width
    axes = figure.add_axes((left / width, place[0] / height, room, place[1] / height))
    numbers = np.nan_to_num([values[key] for key in order])
    colours = [style.VERMILLION if value < 0 else style.BLUE for value in numbers]
    drawn = axes.barh(range(len(order)), numbers, color=colours, height=0.65)
    axes.bar_label(drawn, [f"{values[key]:.3g}" for key in order], padding=2, fontsize=7.5)
    axes.axvline(0, color=style.MUTED, linewidth=0.8)
    axes.set_yticks(range(len(order)), texts, fontsize=_POINTS)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[["bottom", "left"]].set_visible(False)
    style.plain([*axes.get_yticklabels(), axes.set_title(_heading(name, len(values)))])
    axes.margins(x=0.12)
    if name == "scores" and numbers.min() >= 0 and numbers.max() <= 1:
        axes.set_xlim(0, 1.12)  # a probability fills its share of the width


def _heading(name: str, count: int) -> str:
    some = (
        f"the {_most(name)} {'greatest' if name == 'scores' else 'strongest'} of {count}" if count > _most(name) else ""
    )
    return (
        f"scores{', ' if some else ''}{some}" if name == "scores" else f"gradient × input{', ' if some else ''}{some}"
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(label(text, 400), 74) if text else []
