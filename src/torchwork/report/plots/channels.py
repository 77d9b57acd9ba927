"""What convolutions give for one sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from torchwork.report.names import label
from torchwork.report.plots import style, tiles

MOST_CHANNELS = 16
_COLUMNS = 8


def feature_maps(layers: Mapping[str, Any], *, picture: Any = None) -> Figure:
    """Draw the maps of each layer for one sample, below the sample itself.

    Args:
        layers: By the layer's name its maps [C, h, w]; the first 16 channels are drawn.
        picture: The sample, [H, W], [H, W, 3] or [H, W, 1], uint8 or from 0 to 1.

    All maps of a layer have one scale, from black for the least value to white for the greatest; the title names both.

    >>> figure = feature_maps({"conv1": np.zeros((6, 8, 8))}, picture=np.zeros((8, 8)))
    >>> [axes.get_title("left") for axes in figure.axes]
    ['the sample', 'conv1: 6 maps of 8×8, all 0']
    """
    if not layers and picture is None:
        return style.nothing(["There are no feature maps to draw."])
    panels = [] if picture is None else [("the sample", tiles.as_rgba(np.asarray(picture)))]
    for name, given in layers.items():
        maps = np.asarray(given, np.float64)
        panels.append((_title(name, maps), tiles.mosaic(list(_grey(maps[:MOST_CHANNELS])), _COLUMNS)))
    shares = [
        0.9 if title == "the sample" else style.WIDTH * sheet.shape[0] / sheet.shape[1] for title, sheet in panels
    ]
    with style.applied():
        figure = Figure(figsize=(style.WIDTH, sum(shares) + 0.35 * len(panels) + 0.1), layout="constrained")
        grid = figure.add_gridspec(len(panels) or 1, 1, height_ratios=shares or None)
        for place, (title, sheet) in enumerate(panels):
            axes = figure.add_subplot(grid[place])
            tiles.show(axes, sheet).axes.set_anchor("W")
            style.plain([axes.set_title(title)])
    return figure


def _grey(maps: np.ndarray) -> np.ndarray:
    low, high = _range(maps)
    return (np.nan_to_num(maps, nan=low) - low) / ((high - low) or 1.0)


def _range(maps: np.ndarray) -> tuple[float, float]:
    finite = maps[np.isfinite(maps)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _title(name: str, maps: np.ndarray) -> str:
    channels, height, width = maps.shape
    shown = min(channels, MOST_CHANNELS)
    some = f"{shown} of {channels}" if shown < channels else f"{channels}"
    low, high = _range(maps[:MOST_CHANNELS])
    spread = f"{low:.3g} is black, {high:.3g} white" if high > low else f"all {low:.3g}"
    return f"{label(name, 28)}: {some} maps of {height}×{width}, {spread.replace('-', '−')}"
