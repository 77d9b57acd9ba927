"""Scaling of images, antialiased, as Pillow does it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

ScaledBy = Literal["bilinear", "bicubic", "nearest"]


def scaled(images: Tensor, size: tuple[int, int], interpolation: ScaledBy = "bilinear") -> Tensor:
    """Return [B, C, h, w] from [B, C, H, W].

    Bilinear and bicubic are antialiased. On the host uint8 is scaled in whole numbers, which equals Pillow's result
    within one level; other devices compute in floats and round. ``nearest`` takes the pixel in whose middle the middle
    of the new one lies.

    >>> scaled(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), (4, 5)).shape
    torch.Size([1, 3, 4, 5])
    """
    if tuple(images.shape[-2:]) == size:
        return images
    if interpolation == "nearest":
        return F.interpolate(images, size, mode="nearest-exact")
    if images.dtype == torch.uint8 and images.device.type != "cpu":
        floats = _antialiased(images.to(torch.float32), size, interpolation)
        return floats.round_().clamp_(0, 255).to(torch.uint8)
    return _antialiased(images, size, interpolation)


def _antialiased(images: Tensor, size: tuple[int, int], interpolation: ScaledBy) -> Tensor:
    return F.interpolate(images, size, mode=interpolation, align_corners=False, antialias=True)
