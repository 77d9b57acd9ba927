"""Random erasing, keyed by sample."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.boxes import pasted
from torchwork.data.augment.options import below, between, fill_levels, positive, probability, refuse, span
from torchwork.data.padding import levels
from torchwork.types import Finding

_TRIES = 10


class RandomErasing:
    """Overwrite a random rectangle of each image with probability ``p``.

    As torchvision's ``RandomErasing``: ten tries to place a rectangle of a drawn area and aspect ratio, else the image
    stays. Images are uint8 here, and Normalize comes later, so ``value`` is a level from 0 to 255.

    Args:
        p: The probability of erasing.
        scale: [Least, greatest] share of the image's area.
        ratio: [Least, greatest] aspect ratio, height over width.
        value: The level of the rectangle, or one for each channel; random: a level of its own for each value.

    >>> RandomErasing()(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float | list[float] | Literal["random"] = 0,
    ) -> None:
        wrong: list[Finding] = []
        self.p = probability(p, wrong)
        self.scale = span(scale, "scale", wrong, least=0, most=1)
        self.ratio = positive(ratio, "ratio", wrong)
        self.value = value if isinstance(value, str) else fill_levels(value, wrong, "value")
        refuse(wrong)

    def draw(self, keys: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return top, left, height and width of the rectangles, int64 [B, 4]; all 0 where nothing is erased."""
        draws = rng.uniform(keys, 1 + 4 * _TRIES)
        tries = draws[:, 1:].reshape(-1, _TRIES, 4)
        areas = height * width * between(tries[..., 0], self.scale)
        aspects = np.exp(between(tries[..., 1], (np.log(self.ratio[0]), np.log(self.ratio[1]))))
        tall = np.rint(np.sqrt(areas * aspects)).astype(np.int64)
        wide = np.rint(np.sqrt(areas / aspects)).astype(np.int64)
        fits = (tall < height) & (wide < width)
        first = fits.argmax(1)[:, None]
        tall, wide, down, right = (
            np.take_along_axis(of_try, first, 1)[:, 0] for of_try in (tall, wide, tries[..., 2], tries[..., 3])
        )
        top, left = below(down, height - tall + 1), below(right, width - wide + 1)
        erased = fits.any(1) & (draws[:, 0] < self.p)
        return np.where(erased[:, None], np.stack([top, left, tall, wide], 1), 0)

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, H, W], a new tensor; ``keys`` (uint64 [B]) decide what is erased."""
        boxes = self.draw(keys, *images.shape[-2:])
        if isinstance(self.value, str):
            return _speckled(images, boxes, keys)
        return pasted(images, boxes, levels(self.value, images)[None].expand(images.shape))

    def __repr__(self) -> str:
        return f"RandomErasing(p={self.p}, scale={list(self.scale)}, ratio={list(self.ratio)}, value={self.value})"


def _speckled(images: Tensor, boxes: np.ndarray, keys: np.ndarray) -> Tensor:
    """Return a copy with a level drawn for each value in the boxes: the bytes of keys mixed from the image's own."""
    found = images.clone()
    for row in np.flatnonzero(boxes[:, 2] * boxes[:, 3]).tolist():
        top, left, height, width = boxes[row].tolist()
        shape = (images.shape[1], height, width)
        count = int(np.prod(shape))
        noise = rng.keys(keys[row : row + 1], "value", np.arange(-(-count // 8))).view(np.uint8)[:count].reshape(shape)
        found[row, :, top : top + height, left : left + width] = torch.from_numpy(noise).to(images)
    return found
