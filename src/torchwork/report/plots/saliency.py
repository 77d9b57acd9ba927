"""Where in a picture a prediction comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from torchwork.report.names import fitting
from torchwork.report.plots import style, tiles

_INCHES = 1.45
_LEFT = 0.85
_POINTS = 8.0


def maps(pictures: Any, gradients: Any, cams: Any = (), *, labels: Sequence[str] = ()) -> Figure:
    """Draw samples side by side, and below each its Grad-CAM and its input gradient as heat over the picture.

    Args:
        pictures: N samples [H, W], [H, W, 1] or [H, W, 3], uint8 or from 0 to 1.
        gradients: For each the absolute gradient of the score by its pixels, [H, W].
        cams: For each Grad-CAM, [h, w] of any size; none where the model has none.
        labels: What is written above each; several lines will do.

    Each heat map goes up to its own greatest value, the gradient's up to its 99th percentile.

    >>> len(maps([np.zeros((4, 4))] * 2, [np.ones((4, 4))] * 2, [np.ones((2, 2))] * 2).axes)
    3
    """
    if not len(pictures):
        return style.nothing(["There are no samples to show maps of."])
    shown = [tiles.as_rgba(np.asarray(picture)) for picture in pictures]
    rows = {"picture": shown}
    if len(cams):
        rows["Grad-CAM"] = [tiles.heated(p, np.asarray(cam)) for p, cam in zip(shown, cams, strict=True)]
    rows["gradient"] = [tiles.heated(p, without_peaks(g)) for p, g in zip(shown, gradients, strict=True)]
    count = max(len(shown), 1)
    side = shown[0].shape[0] / shown[0].shape[1] if shown else 1.0
    lines = max((text.count("\n") + 1 for text in labels), default=0)
    head = 0.08 + 0.16 * lines
    cell = _INCHES if count > 1 else 2 * _INCHES
    size = (_LEFT + count * cell + 0.05, head + len(rows) * cell * side + 0.05)
    with style.applied():
        figure = Figure(figsize=size)
        for place, (name, row) in enumerate(rows.items()):
            bottom = size[1] - head - (place + 1) * cell * side
            box = (_LEFT / size[0], bottom / size[1], count * cell / size[0], cell * side * 0.97 / size[1])
            axes = figure.add_axes(box)
            width = max(tile.shape[1] for tile in row) if row else 1
            gap = max(1, round(width * 0.04))
            tiles.show(axes, tiles.mosaic(row, count, gap)).axes.set_anchor("W")
            figure.text(0.05 / size[0], box[1] + box[3] / 2, name, va="center", fontsize=_POINTS)
            for number, text in enumerate(labels if place == 0 else ()):
                _write(axes, number * (width + gap), text)
    return figure


def _write(axes: Any, left: float, text: str) -> None:
    lines = "\n".join(fitting(line, _INCHES, _POINTS) for line in text.split("\n"))
    written = axes.annotate(
        lines, (left, 0), xytext=(0, 3), textcoords="offset points", va="bottom", fontsize=_POINTS, linespacing=1.3
    )
    style.plain([written])


def without_peaks(gradient: Any) -> np.ndarray:
    """Return the absolute gradient, cut at its 99th percentile, so that one pixel does not darken all others."""
    values = np.nan_to_num(np.abs(np.asarray(gradient, np.float64)), posinf=0)
    top = float(np.percentile(values, 99)) if values.size else 0.0
    return np.minimum(values, top) if top > 0 else values
