"""Random mirroring, keyed by sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.options import probability, refuse
from torchwork.types import Finding


class _Flip:
    """Mirror each image along one axis with probability ``p``."""

    _axis: int

    def __init__(self, p: float = 0.5) -> None:
        wrong: list[Finding] = []
        self.p = probability(p, wrong)
        refuse(wrong)

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, H, W], a new tensor; ``keys`` (uint64 [B]) decide which images are mirrored."""
        mirrored = rng.uniform(keys, 1)[:, 0] < self.p
        return (mirror_on_host if images.device.type == "cpu" else mirror_on_device)(images, mirrored, self._axis)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_Flip):
    """Mirror each image left to right with probability ``p``.

    Args:
        p: The probability.

    >>> image = torch.arange(3.0).view(1, 1, 1, 3)
    >>> RandomHorizontalFlip(p=1.0)(image, rng.keys(0, np.arange(1))).tolist()
    [[[[2.0, 1.0, 0.0]]]]
    """

    _axis = -1


class RandomVerticalFlip(_Flip):
    """Mirror each image top to bottom with probability ``p``.

    Args:
        p: The probability.

    >>> image = torch.arange(3.0).view(1, 1, 3, 1)
    >>> RandomVerticalFlip(p=1.0)(image, rng.keys(0, np.arange(1))).flatten().tolist()
    [2.0, 1.0, 0.0]
    """

    _axis = -2


def mirror_on_host(images: Tensor, mirrored: np.ndarray, axis: int) -> Tensor:
    """Return a copy in which the images of the mask [B] are mirrored; numpy takes a quarter of torch's time."""
    pixels = images.numpy().copy()
    pixels[mirrored] = np.flip(pixels[mirrored], axis)
    return torch.from_numpy(pixels)


def mirror_on_device(images: Tensor, mirrored: np.ndarray, axis: int) -> Tensor:
    """Return the same on any device."""
    mask = torch.from_numpy(mirrored).to(images.device).view(-1, 1, 1, 1)
    return torch.where(mask, images.flip(axis), images)
