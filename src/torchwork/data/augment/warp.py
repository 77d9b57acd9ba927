"""Affine warps of uint8 images, each by its own matrix, in torchvision's and Pillow's convention."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from torchwork.data.augment.chunks import in_chunks
from torchwork.data.augment.options import Fill
from torchwork.data.padding import levels

Interpolation = Literal["nearest", "bilinear"]

# Pillow counts places in 65536ths of a pixel.
_ONE = 65536.0
_INT32_PIXELS = 32767


def inverse_matrices(
    center: tuple[float, float],
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
        center: x and y of the point that rotation, shear and scale leave in its place, in pixels.
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


def _places(images: Tensor, matrices: np.ndarray, unit: float) -> tuple[Tensor, Tensor]:
    """Return x and y [B, H, W] of where the middle of each pixel comes from, in parts of a pixel.

    Whole numbers (``unit`` of them to a pixel) for nearest, whose steps Pillow rounds; float32 for unit 1.
    """
    height, width = images.shape[-2:]
    found = []
    for a, b, c in (matrices[:, :3].T, matrices[:, 3:].T):
        steps = [a[:, None], b[:, None], (c + a * 0.5 + b * 0.5)[:, None]]
        if unit != 1:
            steps = [np.floor(step * unit + 0.5) for step in steps]
        along = steps[0] * np.arange(width) + steps[2]
        down = steps[1] * np.arange(height)
        far = max(np.abs(along).max(initial=0) + np.abs(down).max(initial=0), 0.0)
        small = far < _INT32_PIXELS * _ONE
        dtype = torch.float32 if unit == 1 else torch.int32 if small else torch.int64
        row = torch.from_numpy(along).to(dtype).to(images.device)
        column = torch.from_numpy(down).to(dtype).to(images.device)
        found.append(row[:, None, :] + column[:, :, None])
    return found[0], found[1]


def _nearest(images: Tensor, matrices: np.ndarray, outside: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    x, y = (place.bitwise_right_shift_(16) for place in _places(images, matrices, _ONE))
    column, row = x.clamp(0, width - 1), y.clamp(0, height - 1)
    inside = (column == x).logical_and_(row == y)
    source = (row.mul_(width).add_(column)).to(torch.int64).view(len(images), 1, -1)
    taken = images.reshape(*images.shape[:2], -1).gather(2, source.expand(-1, images.shape[1], -1))
    return torch.where(inside[:, None], taken.view(images.shape), outside)


def _bilinear(images: Tensor, matrices: np.ndarray, outside: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    x, y = _places(images, matrices, 1)
    inside = ((x >= 0) & (x < width)).logical_and_(y >= 0).logical_and_(y < height)
    grid = torch.stack([x.mul_(2 / width).sub_(1), y.mul_(2 / height).sub_(1)], -1)
    mixed = F.grid_sample(images.to(torch.float32), grid, "bilinear", padding_mode="border", align_corners=False)
    return torch.where(inside[:, None], mixed.round_().clamp_(0, 255).to(torch.uint8), outside)
