"""Random mirroring, keyed by sample."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.chunks import change
from torchwork.data.augment.options import probability, refuse
from torchwork.types import Finding

# Up to this many bytes an image all are mirrored by one call, which takes a quarter to a half of the time.
_SMALL = 1 << 13


class _Flip:
    """Mirror each image along one axis with probability ``p``."""

    _axis: int

    def __init__(self, p: float = 0.5) -> None:
        wrong: list[Finding] = []
        self.p = probability(p, wrong)
        refuse(wrong)

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, H, W], a new tensor; ``keys`` (uint64 [B]) decide which images are mirrored."""
        return self.in_place(images.clone(), keys)

    def in_place(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Do the same in the batch itself, and return it."""
        rows = np.flatnonzero(rng.uniform(keys, 1)[:, 0] < self.p)
        if images.device.type == "cpu" and images[:1].nbytes > _SMALL:  # a copy of all that are mirrored costs more
            for row in rows.tolist():
                images[row] = images[row].flip(self._axis)
        else:
            change(images, rows, lambda some: some.flip(self._axis))
        return images

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_Flip):
    """Mirror each image left to right with probability ``p``.

    Args:
        p: The probability.

    >>> import torch
    >>> image = torch.arange(3.0).view(1, 1, 1, 3)
    >>> RandomHorizontalFlip(p=1.0)(image, rng.keys(0, np.arange(1))).tolist()
    [[[[2.0, 1.0, 0.0]]]]
    """

    _axis = -1


class RandomVerticalFlip(_Flip):
    """Mirror each image top to bottom with probability ``p``.

    Args:
        p: The probability.

    >>> import torch
    >>> image = torch.arange(3.0).view(1, 1, 3, 1)
    >>> RandomVerticalFlip(p=1.0)(image, rng.keys(0, np.arange(1))).flatten().tolist()
    [2.0, 1.0, 0.0]
    """

    _axis = -2
