"""Samples to look at: the worst ones of an evaluation, and those of a training batch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from torchwork.report.names import fitting, inches, label
from torchwork.report.plots import style, tiles

_COLUMNS = 4
_CELL = 1.5  # inches
_POINTS = 7.5


def worst_samples(shown: Sequence[Any], labels: Sequence[str]) -> Figure:
    """Draw samples in rows of four, and below each what there is to say of it.

    Args:
        shown: For each sample a picture [H, W], [H, W, 1] or [H, W, 3], uint8 or from 0 to 1, or a text; None where it
            is gone, and the place then says so.
        labels: For each sample its lines, the ids and names among them.

    >>> figure = worst_samples([np.zeros((8, 8)), "free entry"], ["id 3\\ntrue 9", "id 7\\ntrue ham"])
    >>> [text.get_text() for text in figure.texts]
    ['id 3\\ntrue 9', 'free entry', 'id 7\\ntrue ham']
    """
    if not len(shown):
        return style.nothing(["There are no samples to show."])
    lines = max((text.count("\n") + 1 for text in labels), default=1)
    row = _CELL + 0.15 * lines + 0.12
    rows = max(1, -(-len(shown) // _COLUMNS))
    width, height = _COLUMNS * _CELL + 0.3, rows * row + 0.05
    with style.applied():
        figure = Figure(figsize=(width, height))
        for place, (sample, text) in enumerate(zip(shown, labels, strict=True)):
            left = 0.1 + place % _COLUMNS * (_CELL + 0.03)
            top = height - 0.03 - place // _COLUMNS * row
            if sample is None or isinstance(sample, str):
                words = "no longer there" if sample is None else sample
                _written(figure, _wrapped(words), left, top)
            else:
                box = (left / width, (top - _CELL) / height, (_CELL - 0.1) / width, _CELL / height)
                tiles.show(figure.add_axes(box), np.asarray(sample)).axes.set_anchor("SW")
            said = "\n".join(fitting(line, _CELL, _POINTS) for line in text.split("\n"))
            _written(figure, said, left, top - _CELL - 0.05)
    return figure


def _written(figure: Figure, text: str, left: float, top: float) -> None:
    width, height = figure.get_size_inches()
    style.plain([figure.text(left / width, top / height, text, va="top", fontsize=_POINTS, linespacing=1.25)])


def _wrapped(text: str) -> str:
    said = label(text, 400)
    wide = inches(said, _POINTS) / len(said)  # of a letter; Chinese ones are wider
    lines = textwrap.wrap(said, max(4, int((_CELL - 0.1) / wide)))
    return "\n".join(lines if len(lines) <= 9 else [*lines[:9], "…"])


def contact_sheet(images: Sequence[Any], *, labels: Sequence[str] = (), columns: int = 8) -> Figure:
    """Draw images side by side, such as those of a training batch, with a label above each where there are labels.

    Args:
        images: [N, H, W], [N, H, W, 1] or [N, H, W, 3], uint8 or from 0 to 1; also a list of unequal ones.
        labels: What is written above each.
        columns: Images in a row.

    >>> contact_sheet(np.zeros((10, 8, 8)), columns=5).axes[0].images[0].get_array().shape
    (17, 44, 4)
    """
    if not len(images):
        return style.nothing(["There are no images to show."])
    columns = max(1, min(columns, len(images)))
    pictures = [tiles.as_rgba(np.asarray(image)) for image in images]
    step = max((picture.shape[0] for picture in pictures), default=1)
    wide = max((picture.shape[1] for picture in pictures), default=1)
    gap = max(1, round(step * 0.04))
    room = round(0.16 * wide * columns / (style.WIDTH - 0.1)) if labels else 0
    if room:
        pictures = [np.concatenate([np.zeros((room, p.shape[1], 4), np.uint8), p]) for p in pictures]
    sheet = tiles.mosaic(pictures, columns, gap)
    with style.applied():
        size = (style.WIDTH, (style.WIDTH - 0.1) * sheet.shape[0] / sheet.shape[1] + 0.1)
        figure = Figure(figsize=size)
        axes = figure.add_axes((0.05 / size[0], 0.05 / size[1], 1 - 0.1 / size[0], 1 - 0.1 / size[1]))
        tiles.show(axes, sheet)
        free = (style.WIDTH - 0.1) * wide / sheet.shape[1]
        for place, text in enumerate(labels[: len(pictures)]):
            at = (place % columns * (wide + gap), place // columns * (step + room + gap) + room - 1)
            style.plain([axes.text(*at, fitting(text, free, 6.5), fontsize=6.5, va="bottom")])
    return figure
