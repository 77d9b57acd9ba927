"""Small pictures side by side as one, which keeps an SVG small; and heat over a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

HEAT = "inferno"


def as_rgba(picture: np.ndarray) -> np.ndarray:
    """Return a picture as uint8 [H, W, 4], opaque.

    Args:
        picture: uint8, or floats from 0 to 1: grey [H, W] or [H, W, 1], colours [H, W, 3], with transparency [H, W, 4].

    >>> as_rgba(np.array([[0.0, 1.0]])).tolist()
    [[[0, 0, 0, 255], [255, 255, 255, 255]]]
    """
    found = np.asarray(picture)
    if found.dtype != np.uint8:
        found = np.rint(np.clip(np.nan_to_num(found.astype(np.float64)), 0, 1) * 255).astype(np.uint8)
    if found.ndim == 2:
        found = found[..., None]
    if found.shape[2] == 4:
        return found
    colours = np.repeat(found[..., :1], 3, 2) if found.shape[2] != 3 else found
    return np.concatenate([colours, np.full((*colours.shape[:2], 1), 255, np.uint8)], 2)


def mosaic(pictures: Sequence[np.ndarray], columns: int, gap: int = 1) -> np.ndarray:
    """Return pictures row by row as one, uint8 [H, W, 4], with nothing (transparent) between them.

    Pictures of unequal sizes stand in the upper left of cells of the greatest height and width.

    >>> mosaic([np.ones((2, 2))] * 3, columns=2).shape
    (5, 5, 4)
    """
    tiles = [as_rgba(picture) for picture in pictures]
    if not tiles:
        return np.zeros((1, 1, 4), np.uint8)
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def enlarged(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a map [h, w] interpolated linearly to [height, width], its edges those of the larger one.

    >>> enlarged(np.array([[0.0, 1.0]]), 1, 4).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    found = np.asarray(values, np.float64)
    for axis, size in ((0, height), (1, width)):
        given = found.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * given / size - 0.5, 0, given - 1)
        low = np.floor(at).astype(np.int64)
        high, part = np.minimum(low + 1, given - 1), at - low
        part = part[:, None] if axis == 0 else part[None, :]
        found = np.take(found, low, axis) * (1 - part) + np.take(found, high, axis) * part
    return found


def heated(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a picture in grey with a heat map over it, uint8 [H, W, 4].

    Args:
        picture: As `as_rgba` takes it, [H, W, ...].
        heat: [h, w], at least 0; its greatest value is the hottest colour, and where it is 0 the picture shows.
    """
    grey = as_rgba(picture)[..., :3].astype(np.float64).mean(2, keepdims=True) / 255
    values = np.clip(np.nan_to_num(enlarged(heat, *grey.shape[:2]), posinf=0), 0, None)
    strength = values / values.max() if values.max() > 0 else values
    colours = colormaps[HEAT](0.25 + 0.75 * strength)[..., :3]
    share = 0.85 * np.sqrt(strength)[..., None]
    return as_rgba(grey * 0.8 * (1 - share) + colours * share)


def show(axes: Axes, picture: np.ndarray) -> AxesImage:
    """Draw a picture pixel by pixel, without axes."""
    axes.set_axis_off()
    return axes.imshow(as_rgba(picture), interpolation="none", aspect="equal")
