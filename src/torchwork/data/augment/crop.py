"""Random crops, keyed by sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.options import Fill, add, below, fill_levels, refuse, window
from torchwork.data.padding import Borders, PaddingMode, borders, pad
from torchwork.types import Finding


class RandomCrop:
    """Cut a window of ``size`` out of each image at a random place, after padding.

    As torchvision's ``RandomCrop``: every place at which the window fits into the padded image is as likely.

    Args:
        size: The window, one number for a square or [height, width].
        padding: Pixels added at each border: one number, [left and right, top and bottom], or
            [left, top, right, bottom].
        pad_if_needed: Add what is missing on both sides of an image smaller than the window.
        fill: The level of the added pixels where the mode is constant, or one for each channel.
        padding_mode: constant, edge, reflect or symmetric, as for Pad.

    >>> RandomCrop(4, padding=1)(torch.zeros(2, 3, 4, 4), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 4, 4])
    """

    def __init__(
        self,
        size: int | list[int],
        padding: int | list[int] | None = None,
        pad_if_needed: bool = False,
        fill: Fill = 0,
        padding_mode: PaddingMode = "constant",
    ) -> None:
        wrong: list[Finding] = []
        self.size = window(size, wrong)
        self.padding: Borders = (0, 0, 0, 0)
        try:
            self.padding = borders(padding)
        except ValueError:
            add(wrong, "padding", padding, "a whole number from 0, or 2 or 4 of them")
        self.pad_if_needed = pad_if_needed
        self.fill = fill_levels(fill, wrong)
        self.padding_mode: PaddingMode = padding_mode
        refuse(wrong)

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, h, w] from [B, C, H, W]; ``keys`` (uint64 [B]) decide the places.

        Raises:
            ValueError: the padded images are smaller than the window.
        """
        height, width = self.size
        images = pad(images, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            down, across = max(0, height - images.shape[-2]), max(0, width - images.shape[-1])
            images = pad(images, (across, down, across, down), self.fill, self.padding_mode)
        rows, columns = images.shape[-2] - height + 1, images.shape[-1] - width + 1
        if rows < 1 or columns < 1:
            found = f"{images.shape[-2]}×{images.shape[-1]}"
            raise ValueError(f"RandomCrop of {height}×{width} does not fit into images of {found} after padding")
        draws = rng.uniform(keys, 2)
        top_of, left_of = below(draws[:, 0], rows), below(draws[:, 1], columns)
        windows = images.unfold(2, height, 1).unfold(3, width, 1)  # a view: all windows of all images
        take = take_on_host if images.device.type == "cpu" else take_on_device
        return take(windows, top_of, left_of)

    def __repr__(self) -> str:
        return f"RandomCrop({list(self.size)}, padding={list(self.padding)}, {self.padding_mode}, fill={self.fill})"


def take_on_host(windows: Tensor, top: np.ndarray, left: np.ndarray) -> Tensor:
    """Return the window of each image, from [B, C, rows, columns, h, w]; numpy takes a third of torch's time."""
    return torch.from_numpy(windows.numpy()[np.arange(len(top)), :, top, left])


def take_on_device(windows: Tensor, top: np.ndarray, left: np.ndarray) -> Tensor:
    """Return the same on any device."""
    rows, columns = (torch.from_numpy(place).to(windows.device) for place in (top, left))
    return windows[torch.arange(len(top), device=windows.device), :, rows, columns]
