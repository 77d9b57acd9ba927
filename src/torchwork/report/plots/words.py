"""The words of texts, coloured by how far each carries a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from torchwork.report.names import inches, label
from torchwork.report.plots import style

MOST_TEXTS, MOST_WORDS = 10, 60
_POINTS = 8.5
LINE = 0.24  # inches from one line of words to the next
_WIDTH = style.WIDTH

Lines = list[list[tuple[str, float, float]]]


def word_weights(texts: Sequence[Sequence[Sequence[Any]]], *, labels: Sequence[str] = ()) -> Figure:
    """Draw the words of texts on colours: blue where a word speaks for the prediction, vermillion where against it.

    Args:
        texts: For each text its words, each with a weight of either sign.
        labels: What is written above each text.

    Up to 10 texts are drawn, of each the first 60 words. The strongest word of a text has the full colour, and the
    others are paler by their share of its weight.

    >>> figure = word_weights([[("free", 2.0), ("today", -1.0)]], labels=["true spam, said spam"])
    >>> [text.get_text() for text in figure.texts], [box.get_alpha() for box in figure.artists]
    (['true spam, said spam', 'free', 'today'], [0.75, 0.375])
    """
    if not len(texts):
        return style.nothing(["There are no texts to draw."])
    texts = [list(words)[:MOST_WORDS] for words in list(texts)[:MOST_TEXTS]]
    laid = [lines([word for word, _ in words]) for words in texts]
    height = 0.1 + sum(LINE * (len(rows) + bool(labels)) + 0.15 for rows in laid)
    with style.applied():
        figure = Figure(figsize=(_WIDTH, height))
        top = height - 0.05
        for number, (words, rows) in enumerate(zip(texts, laid, strict=True)):
            if labels:
                said = figure.text(0.08 / _WIDTH, top / height, label(labels[number], 62), va="top", fontsize=_POINTS)
                said.set_fontweight("bold")
                style.plain([said])
                top -= LINE
            write(figure, words, rows, top)
            top -= LINE * len(rows) + 0.15
    return figure


def write(figure: Figure, words: Sequence[Sequence[Any]], rows: Lines, top: float) -> None:
    """Write words with their weights into a figure, laid out by `lines`, from ``top`` inches downwards."""
    weights = iter(np.nan_to_num([weight for _, weight in words]).tolist())
    most = max((abs(weight) for _, weight in words if np.isfinite(weight)), default=0.0) or 1.0
    for number, row in enumerate(rows):
        for word, left, width in row:
            _word(figure, word, (left, top - LINE * number, width, figure.get_figheight()), next(weights) / most)


def lines(words: Sequence[str]) -> Lines:
    """Return the words in lines, each with where it begins and how wide it is, in inches."""
    found: Lines = [[]]
    left = 0.08
    for word in (label(word, 30) for word in words):
        width = inches(word, _POINTS) + 0.06
        if found[-1] and left + width > _WIDTH - 0.05:
            found.append([])
            left = 0.08
        found[-1].append((word, left, width))
        left += width + 0.04
    return found


def _word(figure: Figure, word: str, place: tuple[float, float, float, float], share: float) -> None:
    left, top, width, height = place
    colour = to_rgba(style.BLUE if share > 0 else style.VERMILLION)
    box = Rectangle((left / _WIDTH, (top - 0.2) / height), width / _WIDTH, 0.2 / height, linewidth=0)
    box.set(transform=figure.transFigure, facecolor=colour, alpha=0.75 * abs(share))
    figure.add_artist(box)
    text = figure.text((left + 0.03) / _WIDTH, (top - 0.1) / height, word, va="center", fontsize=_POINTS)
    text.set_color(style.WHITE if abs(share) > 0.7 else style.INK)
    style.plain([text])
