"""The words of texts, coloured by how far each carries a prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from torchwork.report.names import inches, label
from torchwork.report.plots import style

_POINTS = 8.5
_LINE = 0.24  # inches
_WIDTH = style.WIDTH


def word_weights(texts: Sequence[Sequence[tuple[str, float]]], *, labels: Sequence[str] = ()) -> Figure:
    """Draw the words of texts on colours: blue where a word speaks for the prediction, vermillion where against it.

    Args:
        texts: For each text its words, each with a weight of either sign.
        labels: What is written above each text.

    The strongest word of a text has the full colour, and the others are paler by their share of its weight.

    >>> figure = word_weights([[("free", 2.0), ("today", -1.0)]], labels=["true spam, said spam"])
    >>> [text.get_text() for text in figure.texts], [box.get_alpha() for box in figure.artists]
    (['true spam, said spam', 'free', 'today'], [0.75, 0.375])
    """
    laid = [_lines([label(word, 30) for word, _ in words]) for words in texts]
    height = 0.1 + sum(_LINE * (len(lines) + bool(labels)) + 0.15 for lines in laid)
    with style.applied():
        figure = Figure(figsize=(_WIDTH, height))
        top = height - 0.05
        for number, (words, lines) in enumerate(zip(texts, laid, strict=True)):
            if labels:
                said = figure.text(0.08 / _WIDTH, top / height, label(labels[number], 62), va="top", fontsize=_POINTS)
                said.set_fontweight("bold")
                style.plain([said])
                top -= _LINE
            weights = iter(np.nan_to_num([weight for _, weight in words]).tolist())
            most = max((abs(weight) for _, weight in words if np.isfinite(weight)), default=0.0) or 1.0
            for line in lines:
                for word, left, width in line:
                    _word(figure, word, (left, top, width, height), next(weights) / most)
                top -= _LINE
            top -= 0.15
    return figure


def _lines(words: Sequence[str]) -> list[list[tuple[str, float, float]]]:
    """Return the words in lines, each with where it begins and how wide it is, in inches."""
    lines: list[list[tuple[str, float, float]]] = [[]]
    left = 0.08
    for word in words:
        width = inches(word, _POINTS) + 0.06
        if lines[-1] and left + width > _WIDTH - 0.05:
            lines.append([])
            left = 0.08
        lines[-1].append((word, left, width))
        left += width + 0.04
    return lines


def _word(figure: Figure, word: str, place: tuple[float, float, float, float], share: float) -> None:
    left, top, width, height = place
    colour = to_rgba(style.BLUE if share > 0 else style.VERMILLION)
    box = Rectangle((left / _WIDTH, (top - 0.2) / height), width / _WIDTH, 0.2 / height, linewidth=0)
    box.set(transform=figure.transFigure, facecolor=colour, alpha=0.75 * abs(share))
    figure.add_artist(box)
    text = figure.text((left + 0.03) / _WIDTH, (top - 0.1) / height, word, va="center", fontsize=_POINTS)
    text.set_color(style.WHITE if abs(share) > 0.7 else style.INK)
    style.plain([text])
