"""Brightness, contrast, saturation, sharpness and hue, each image by its own factor, with Pillow's rounding."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchwork.data.augment.chunks import as_column, to_levels
from torchwork.data.luminance import luminance


def blend(start: Tensor, images: Tensor, factors: np.ndarray) -> Tensor:
    """Return start + factor (image - start), cut off at 0 and 255 and rounded down, in float32 as Pillow."""
    begin = start.to(torch.float32)
    mixed = images.to(torch.float32).sub_(begin).mul_(as_column(factors, images)).add_(begin)
    return to_levels(mixed.clamp_(0, 255))


def brightness(images: Tensor, factors: np.ndarray) -> Tensor:
    """Blend with black: factor 0 is black, 1 the image, more is brighter."""
    return blend(torch.zeros((1, 1, 1, 1), device=images.device), images, factors)


def contrast(images: Tensor, factors: np.ndarray) -> Tensor:
    """Blend with the mean grey, rounded: factor 0 is that grey, 1 the image, more is harder."""
    grey = images if images.shape[1] == 1 else luminance(images)
    sums, pixels = grey.sum((1, 2, 3), dtype=torch.int64), max(1, grey[:1].numel())
    means = (2 * sums + pixels).div_(2 * pixels, rounding_mode="floor")
    return blend(means.view(-1, 1, 1, 1), images, factors)


def saturation(images: Tensor, factors: np.ndarray) -> Tensor:
    """Blend with the grey image: factor 0 is grey, 1 the image. Grey images stay as they are."""
    return images if images.shape[1] == 1 else blend(luminance(images), images, factors)


def smoothed(images: Tensor) -> Tensor:
    """Return the mean of each pixel (weight 5) and its eight neighbours (1), rounded; the border stays as it is."""
    if min(images.shape[-2:]) < 3:
        return images
    wide = images.to(torch.int16)
    rows = wide[..., :-2, :] + wide[..., 1:-1, :] + wide[..., 2:, :]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + (wide[..., 1:-1, 1:-1] << 2)
    found = images.clone()
    # (2 total + 13) // 26, by a multiplication that is exact up to 13 · 255
    found[..., 1:-1, 1:-1] = total.to(torch.int32).mul_(2).add_(13).mul_(20165).bitwise_right_shift_(19).to(torch.uint8)
    return found


def sharpness(images: Tensor, factors: np.ndarray) -> Tensor:
    """Blend with the smoothed image: factor 0 is smooth, 1 the image, more is sharper."""
    return blend(smoothed(images), images, factors)


def hue(images: Tensor, shifts: np.ndarray) -> Tensor:
    """Turn the hue by a share of the colour circle, -0.5 to 0.5. Grey images stay as they are.

    With V and m the largest and smallest of (R, G, B), C = V - m and H the hue in sixths of the circle, the new channel
    is V - C clamp(2 - |w|, 0, 1), where w is H + 6 shift + 3, + 1, - 1 for R, G, B, less the nearest multiple of 6.
    This is to HSV and back, as torchvision does on tensors; Pillow's HSV of 8 bits would lose levels even for no shift.
    """
    if images.shape[1] == 1:
        return images
    red, green, blue = images.to(torch.float32).unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    part = 1 / chroma.clamp(min=1)
    sixth = torch.where(value == green, (blue - red).mul_(part).add_(2), (red - green).mul_(part).add_(4))
    sixth = torch.where(value == red, (green - blue).mul_(part), sixth)
    sixth += as_column(shifts * 6, images)[:, 0]
    found = torch.empty_like(images)
    for channel, start in enumerate((3, 1, -1)):
        place = sixth + start
        place -= (place / 6).round_().mul_(6)
        share = place.abs_().neg_().add_(2).clamp_(0, 1)
        found[:, channel] = to_levels((value - share.mul_(chroma)).add_(0.5))
    return found
