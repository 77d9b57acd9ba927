"""Changes of colour and sharpness that depend on more than one value: saturation, hue, sharpness."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchwork.data.augment.chunks import as_column
from torchwork.data.luminance import luminance


def blend(start: Tensor, images: Tensor, factors: np.ndarray) -> Tensor:
    """Return start + factor (image - start), cut off at 0 and 255 and rounded down, in float32 as Pillow."""
    begin = start.to(torch.float32)
    mixed = images.to(torch.float32).sub_(begin).mul_(as_column(factors, images)).add_(begin)
    return mixed.clamp_(0, 255).to(torch.uint8)


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
    # (2 total + 13) // 26 in float32, exactly: total is at most 3315, and no quotient lies near a whole number.
    found = images.clone()
    found[..., 1:-1, 1:-1] = total.to(torch.float32).mul_(1 / 13).add_(0.5).to(torch.uint8)
    return found


def sharpness(images: Tensor, factors: np.ndarray) -> Tensor:
    """Blend with the smoothed image: factor 0 is smooth, 1 the image, more is sharper."""
    return blend(smoothed(images), images, factors)


def hue(images: Tensor, shifts: np.ndarray) -> Tensor:
    """Turn the hue by a share of the colour circle, -0.5 to 0.5. Grey images stay as they are.

    With V and m the largest and smallest of (R, G, B), C = V - m and H the hue in sixths of the circle, the new channel
    is V - C max(0, min(1, k, 4 - k)), k = (n + H + 6 shift) mod 6, n = 5, 3, 1 for R, G, B: to HSV and back, as
    torchvision does on tensors (Pillow's HSV of 8 bits would lose levels even for a shift of 0).
    """
    if images.shape[1] == 1:
        return images
    colours = images.to(torch.float32)
    red, green, blue = colours.unbind(1)
    value, low = colours.amax(1), colours.amin(1)
    chroma = value - low
    part = 1 / chroma.clamp(min=1)
    sixth = torch.where(value == green, (blue - red) * part + 2, (red - green) * part + 4)
    sixth = torch.where(value == red, (green - blue) * part, sixth)
    sixth += as_column(shifts * 6, images)[:, 0]
    found = torch.empty_like(images)
    for channel, start in enumerate((5, 3, 1)):
        place = (sixth + start).remainder_(6)
        share = torch.minimum(place, 4 - place).clamp_(0, 1)
        found[:, channel] = (value - chroma * share).add_(0.5).to(torch.uint8)
    return found
