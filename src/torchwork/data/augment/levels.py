"""Changes of levels that are a table of 256 entries for each image or channel, with Pillow's rounding.

Tables are uint8 [B, 1 or C, 256]. They are made on the host, from integers counted or summed over each image.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LEVELS = np.arange(256)


def look_up(images: Tensor, tables: np.ndarray) -> Tensor:
    """Return the entry of each level, [B, C, H, W], from uint8 images [B, C, H, W]."""
    entries = torch.from_numpy(np.ascontiguousarray(tables)).to(images.device)
    first = torch.arange(0, entries.numel(), 256, device=images.device, dtype=torch.int32)
    places = images.to(torch.int32) + first.view(*entries.shape[:2], 1, 1)
    return entries.view(-1).index_select(0, places.reshape(-1)).view(images.shape)


def posterize(bits: np.ndarray) -> np.ndarray:
    """Return the tables that keep the highest ``bits`` (int64 [B]) of each level."""
    return (LEVELS & -(1 << (8 - bits))[:, None, None]).astype(np.uint8)


def solarize(thresholds: np.ndarray) -> np.ndarray:
    """Return the tables that invert levels from a threshold on."""
    return np.where(thresholds[:, None, None] > LEVELS, LEVELS, 255 - LEVELS).astype(np.uint8)


def autocontrast(images: Tensor) -> np.ndarray:
    """Return the tables that stretch each channel from its lowest and highest level to 0 and 255."""
    low = images.amin((2, 3)).cpu().numpy().astype(np.float64)[..., None]
    high = images.amax((2, 3)).cpu().numpy().astype(np.float64)[..., None]
    scale = 255.0 / np.maximum(high - low, 1)
    stretched = (LEVELS * scale + -low * scale).clip(0, 255).astype(np.uint8)
    return np.where(high > low, stretched, LEVELS.astype(np.uint8))


def equalize(images: Tensor) -> np.ndarray:
    """Return the tables that make each channel's levels about equally frequent.

    As Pillow: with step = (number of pixels - those of the highest level that occurs) // 255, level i becomes
    (step // 2 + number of pixels below i) // step.
    """
    count, channels = images.shape[:2]
    first = torch.arange(0, count * channels * 256, 256, device=images.device, dtype=torch.int32)
    places = images.to(torch.int32) + first.view(count, channels, 1, 1)
    found = torch.bincount(places.reshape(-1), minlength=count * channels * 256)
    histogram = found.view(count, channels, 256).cpu().numpy()
    highest = 255 - (histogram[..., ::-1] > 0).argmax(-1)
    of_highest = np.take_along_axis(histogram, highest[..., None], -1)
    step = (histogram.sum(-1, keepdims=True) - of_highest) // 255
    under = histogram.cumsum(-1) - histogram
    spread = ((step // 2 + under) // np.maximum(step, 1)).clip(0, 255)
    return np.where(step > 0, spread, LEVELS).astype(np.uint8)
