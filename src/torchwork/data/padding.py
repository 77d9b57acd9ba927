"""Borders around images, by torchvision's names and orders."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

PaddingMode = Literal["constant", "edge", "reflect", "symmetric"]
Borders = tuple[int, int, int, int]


def borders(padding: int | list[int] | None) -> Borders:
    """Return left, top, right, bottom from one number, [left and right, top and bottom], or all four.

    Raises:
        ValueError: another length, or a number below 0.

    >>> borders([1, 2])
    (1, 2, 1, 2)
    """
    if padding is None:
        padding = 0
    sides = [padding] * 4 if isinstance(padding, int) else list(padding) * (2 if len(padding) == 2 else 1)
    if len(sides) != 4 or min(sides) < 0:
        raise ValueError(f"padding is {padding}; expected a number from 0, or 2 or 4 of them")
    return sides[0], sides[1], sides[2], sides[3]


def pad(images: Tensor, sides: Borders, fill: float | list[float] = 0, mode: PaddingMode = "constant") -> Tensor:
    """Return [..., C, H + top + bottom, W + left + right] from [..., C, H, W].

    ``constant`` adds pixels of the level ``fill``, or of one for each channel; ``edge`` repeats the outermost pixels,
    ``reflect`` mirrors the image at them, ``symmetric`` mirrors it and repeats them.

    >>> pad(torch.tensor([[[1, 2, 3]]]), (2, 0, 0, 0), mode="symmetric").tolist()
    [[[2, 1, 1, 2, 3]]]
    """
    if not any(sides):
        return images
    left, top, right, bottom = sides
    if mode != "constant":
        rows = np.pad(np.arange(images.shape[-2]), (top, bottom), mode=mode)
        columns = np.pad(np.arange(images.shape[-1]), (left, right), mode=mode)
        taken = images.index_select(-2, torch.from_numpy(rows).to(images.device))
        return taken.index_select(-1, torch.from_numpy(columns).to(images.device))
    if not isinstance(fill, list):
        return F.pad(images, [left, right, top, bottom], value=fill)
    height, width = images.shape[-2:]
    padded = images.new_empty((*images.shape[:-2], height + top + bottom, width + left + right))
    padded[:] = levels(fill, images)
    padded[..., top : top + height, left : left + width] = images
    return padded


def levels(fill: float | list[float], images: Tensor) -> Tensor:
    """Return a fill as a tensor [1 or C, 1, 1] of the images' type, on their device.

    Raises:
        ValueError: neither one number nor one for each channel.
    """
    given = fill if isinstance(fill, list) else [fill]
    if len(given) not in (1, images.shape[-3]):
        raise ValueError(
            f"fill has {len(given)} numbers for {images.shape[-3]} channels; expected one, or one for each"
        )
    return torch.tensor(given, device=images.device).to(images.dtype).view(-1, 1, 1)
