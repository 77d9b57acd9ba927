"""Random crops, keyed by sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from torchwork import rng
from torchwork.data.steps import pair


class RandomCrop:
    """Cut a window of ``size`` out of each image at a random place, after padding.

    As torchvision's ``RandomCrop``: every place at which the window fits into the padded image is as likely.

    Args:
        size: The window, one number for a square or [height, width].
        padding: Pixels added at each border: one number, [left and right, top and bottom], or
            [left, top, right, bottom].
        fill: The level of the added pixels.

    >>> RandomCrop(4, padding=1)(torch.zeros(2, 3, 4, 4), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 4, 4])
    """

    def __init__(self, size: int | list[int], padding: int | list[int] | None = None, fill: float = 0) -> None:
        self.size = pair(size, "size")
        self.padding = _borders(padding)
        self.fill = fill

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, h, w] from [B, C, H, W]; ``keys`` (uint64 [B]) decide the places.

        Raises:
            ValueError: the padded images are smaller than the window.
        """
        if any(self.padding):
            left, top, right, bottom = self.padding
            images = F.pad(images, [left, right, top, bottom], value=self.fill)
        height, width = self.size
        rows, columns = images.shape[-2] - height + 1, images.shape[-1] - width + 1
        if rows < 1 or columns < 1:
            found = f"{images.shape[-2]}×{images.shape[-1]}"
            raise ValueError(f"RandomCrop of {height}×{width} does not fit into images of {found} after padding")
        draws = rng.uniform(keys, 2)
        top_of = (draws[:, 0] * rows).astype(np.int64)
        left_of = (draws[:, 1] * columns).astype(np.int64)
        windows = images.unfold(2, height, 1).unfold(3, width, 1)  # a view: all windows of all images
        take = take_on_host if images.device.type == "cpu" else take_on_device
        return take(windows, top_of, left_of)

    def __repr__(self) -> str:
        return f"RandomCrop({list(self.size)}, padding={list(self.padding)}, fill={self.fill})"


def take_on_host(windows: Tensor, top: np.ndarray, left: np.ndarray) -> Tensor:
    """Return the window of each image, from [B, C, rows, columns, h, w]; numpy takes a third of torch's time."""
    return torch.from_numpy(windows.numpy()[np.arange(len(top)), :, top, left])


def take_on_device(windows: Tensor, top: np.ndarray, left: np.ndarray) -> Tensor:
    """Return the same on any device."""
    rows, columns = (torch.from_numpy(place).to(windows.device) for place in (top, left))
    return windows[torch.arange(len(top), device=windows.device), :, rows, columns]


def _borders(padding: int | list[int] | None) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom."""
    if padding is None:
        padding = 0
    sides = [padding] * 4 if isinstance(padding, int) else list(padding) * (2 if len(padding) == 2 else 1)
    if len(sides) != 4 or min(sides) < 0:
        raise ValueError(f"padding is {padding}; expected a number from 0, or 2 or 4 of them")
    return sides[0], sides[1], sides[2], sides[3]
