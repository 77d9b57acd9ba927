"""Scaling of images, antialiased, as Pillow does it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

ScaledBy = Literal["bilinear", "bicubic", "nearest"]


def scaled(images: Tensor, size: tuple[int, int], interpolation: ScaledBy = "bilinear") -> Tensor:
    """Return [B, C, h, w] from [B, C, H, W].

    Bilinear and bicubic are antialiased. On the host uint8 is scaled in whole numbers: bilinear equals Pillow's result
    within one level, bicubic within two where no level is clipped between the two passes, whose order is Pillow's own
    affair. Other devices compute in floats. ``nearest`` takes the pixel in which the middle of the new one lies, as
    Pillow does.

    >>> scaled(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), (4, 5)).shape
    torch.Size([1, 3, 4, 5])
    """
    if tuple(images.shape[-2:]) == size:
        return images
    if interpolation == "nearest":
        rows, columns = (_nearest(*sides).to(images.device) for sides in zip(images.shape[-2:], size, strict=True))
        return images.index_select(-2, rows).index_select(-1, columns)
    if images.dtype == torch.uint8 and images.device.type != "cpu":
        return scaled(images.to(torch.float32), size, interpolation).round_().clamp_(0, 255).to(torch.uint8)
    if size == (1, 1) or not images.is_contiguous():
        # A part of a decoded image is scaled in half the time once it is in one piece, a pixel's channels side by side.
        # And torch (2.13) fails to make a single pixel of channels that are not.
        images = images.contiguous(memory_format=torch.channels_last)
    return F.interpolate(images, size, mode=interpolation, align_corners=False, antialias=True)


def _nearest(old: int, new: int) -> Tensor:
    """Return the places (int64 [new]) of the pixels that are taken; the steps are added up, as Pillow does."""
    step = old / new
    places = np.cumsum(np.concatenate([[step / 2], np.full(new - 1, step)]))
    return torch.from_numpy(np.minimum(places, old - 1).astype(np.int64))
