"""Affine warps of uint8 images, each by its own matrix, in torchvision's and Pillow's convention."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from torchwork.data.augment.chunks import in_chunks, to_levels
from torchwork.data.augment.options import Fill
from torchwork.data.padding import levels

Interpolation = Literal["nearest", "bilinear"]

# Pillow counts places in 65536ths of a pixel.
_ONE = 65536.0
_INT32 = 2.0**31
# What float32 leaves open of where the image ends, as a share of half its side.
_NEAR = 1e-6


def inverse_matrices(
    center: tuple[float | np.ndarray, float | np.ndarray],
    angle: np.ndarray,
    translate: tuple[np.ndarray, np.ndarray],
    scale: np.ndarray,
    shear: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Return float64 [B, 6] (a, b, c, d, e, f): output (x, y) comes from input (a x + b y + c, d x + e y + f).

    The inverse of translate · center · rotate · shear · scale · center⁻¹, as torchvision documents it, where rotate and
    shear are [[cos(r - sy) / cos(sy), -cos(r - sy) tan(sx) / cos(sy) - sin(r)], [sin(r - sy) / cos(sy),
    -sin(r - sy) tan(sx) / cos(sy) + cos(r)]].

    Args:
        center: x and y of the point that rotation, shear and scale leave in its place, in pixels, one or [B].
        angle: r, degrees clockwise, [B].
        translate: Pixels to the right and down, [B] each.
        scale: Factor, [B].
        shear: sx and sy, degrees, [B] each.

    >>> zero, one = np.zeros(1), np.ones(1)
    >>> inverse_matrices((2, 2), zero, (one, zero), one, (zero, zero)).tolist()
    [[1.0, 0.0, -1.0, 0.0, 1.0, 0.0]]
    """
    turn, along, across = np.radians(angle), np.radians(shear[0]), np.radians(shear[1])
    a = np.cos(turn - across) / np.cos(across)
    b = -np.cos(turn - across) * np.tan(along) / np.cos(across) - np.sin(turn)
    c = np.sin(turn - across) / np.cos(across)
    d = -np.sin(turn - across) * np.tan(along) / np.cos(across) + np.cos(turn)
    zero = np.zeros_like(a)
    # the determinant is 1, so this is the inverse
    found = np.stack([d, -b, zero, -c, a, zero], 1) / scale[:, None] + 0.0
    x, y = center[0] + translate[0], center[1] + translate[1]
    found[:, 2] = center[0] - (found[:, 0] * x + found[:, 1] * y)
    found[:, 5] = center[1] - (found[:, 3] * x + found[:, 4] * y)
    return found


def warp(images: Tensor, matrices: np.ndarray, interpolation: Interpolation = "nearest", fill: Fill = 0) -> Tensor:
    """Return uint8 [B, C, H, W] whose pixels come from the places that the matrices [B, 6] say.

    What comes from outside the image has the level ``fill``. ``nearest`` equals Pillow's byte for byte; ``bilinear``
    rounds to the nearest level, where Pillow rounds down.
    """
    outside = levels(fill, images)
    way = _nearest if interpolation == "nearest" else _bilinear
    return in_chunks(lambda part, of_part: way(part, of_part, outside), images, matrices)


def _nearest(images: Tensor, matrices: np.ndarray, outside: Tensor) -> Tensor:
    """Take pixels of the images with a border of one pixel, to which everything from outside goes."""
    height, width = images.shape[-2:]
    framed = images.new_empty((*images.shape[:2], height + 2, width + 2))
    framed[:] = outside
    framed[..., 1:-1, 1:-1] = images
    x, y = (
        _places(images, *_in_65536ths(row)).bitwise_right_shift_(16).clamp_(-1, side)
        for row, side in ((matrices[:, :3], width), (matrices[:, 3:], height))
    )
    source = y.mul_(width + 2).add_(x).add_(width + 3).to(torch.int64).flatten(1)[:, None]
    return framed.flatten(2).gather(2, source.expand(-1, images.shape[1], -1)).view(images.shape)


def _in_65536ths(row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the steps along x and y and the place of the first pixel's middle as Pillow rounds them, [B] each."""
    along, down, start = row.T
    rounded = np.floor(np.stack([along, down, start + 0.5 * along + 0.5 * down]) * _ONE + 0.5)
    return rounded[0], rounded[1], rounded[2]


def _places(images: Tensor, along: np.ndarray, down: np.ndarray, start: np.ndarray) -> Tensor:
    """Return start + column · along + row · down for every pixel, whole numbers [B, H, W]."""
    of_column = start[:, None] + along[:, None] * np.arange(images.shape[-1])
    of_row = down[:, None] * np.arange(images.shape[-2])
    far = np.abs(of_column).max(initial=0) + np.abs(of_row).max(initial=0)
    dtype = torch.int32 if far < _INT32 else torch.int64
    columns, rows = (torch.from_numpy(part).to(dtype).to(images.device) for part in (of_column, of_row))
    return columns[:, None, :] + rows[:, :, None]


def _bilinear(images: Tensor, matrices: np.ndarray, outside: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    # from -1 to 1 across the image
    grid = torch.empty((len(images), height, width, 2), dtype=torch.float32, device=images.device)
    for axis, (row, side) in enumerate(((matrices[:, :3], width), (matrices[:, 3:], height))):
        along, down, start = (row * (2 / side)).T
        of_column = (start + 0.5 * along + 0.5 * down - 1)[:, None] + along[:, None] * np.arange(width)
        of_row = down[:, None] * np.arange(height)
        columns, rows = (torch.from_numpy(part).to(torch.float32).to(images.device) for part in (of_column, of_row))
        torch.add(columns[:, None, :], rows[:, :, None], out=grid[..., axis])
    floats = images.to(torch.float32)
    mixed = F.grid_sample(floats, grid, "bilinear", padding_mode="border", align_corners=False)
    x, y = grid.unbind(-1)
    inside = (torch.minimum(x, y) >= -1 - _NEAR) & (torch.maximum(x, y) < 1 - _NEAR)
    inside = inside.view(torch.uint8).neg_()[:, None]  # 255 or 0, so that a choice is an "and"
    return (to_levels(mixed.round_().clamp_(0, 255)) & inside) | (outside & ~inside)
