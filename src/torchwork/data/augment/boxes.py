"""Rectangles that are pasted over images: boxes are int64 [B, 4], top, left, height and width, empty where all is 0."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def pasted(images: Tensor, boxes: np.ndarray, other: Tensor) -> Tensor:
    """Return a copy of images [B, C, H, W] with what stands in the boxes taken from other ones [B, C, H, W]."""
    return (paste_on_host if images.device.type == "cpu" else paste_on_device)(images, boxes, other)


def paste_on_host(images: Tensor, boxes: np.ndarray, other: Tensor) -> Tensor:
    """Copy box after box: a tenth of the time of a choice for every pixel."""
    found = images.clone()
    pixels, others = found.numpy(), other.numpy()
    for place in np.flatnonzero(boxes[:, 2] * boxes[:, 3]).tolist():
        top, left, height, width = boxes[place].tolist()
        part = (place, slice(None), slice(top, top + height), slice(left, left + width))
        pixels[part] = others[part]
    return found


def paste_on_device(images: Tensor, boxes: np.ndarray, other: Tensor) -> Tensor:
    """Return the same on any device, by a choice for every pixel."""
    inside = []
    for axis in (0, 1):
        places, start, length = np.arange(images.shape[axis - 2]), boxes[:, axis, None], boxes[:, axis + 2, None]
        inside.append(torch.from_numpy((places >= start) & (places < start + length)).to(images.device))
    mask = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return torch.where(mask, other, images)
