"""Random changes of brightness, contrast, saturation and hue, keyed by sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from torchwork import rng
from torchwork.data.augment import colour
from torchwork.data.augment.chunks import change, check_levels, in_chunks
from torchwork.data.augment.options import between, refuse, span
from torchwork.types import Finding

PARTS = (colour.brightness, colour.contrast, colour.saturation, colour.hue)
NOTHING = ((1, 1), (1, 1), (1, 1), (0, 0))


class Jitter(NamedTuple):
    """What is drawn for each image: the four factors [B, 4] and the order in which they are applied [B, 4]."""

    factors: np.ndarray
    order: np.ndarray


class ColorJitter:
    """Change brightness, contrast, saturation and hue of each image at random, in a random order.

    As torchvision's ``ColorJitter``: levels are rounded after each of the four as Pillow does; the hue is turned in
    floats, as torchvision does on tensors.

    Args:
        brightness: b draws the factor from [max(0, 1 - b), 1 + b], or [least, greatest] factor; 0: none.
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: h, at most 0.5, draws the turn from [-h, h] of the colour circle, or [least, greatest] turn; 0: none.

    >>> import torch
    >>> jitter = ColorJitter(brightness=0.4, hue=0.1)
    >>> jitter(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(
        self,
        brightness: float | list[float] = 0,
        contrast: float | list[float] = 0,
        saturation: float | list[float] = 0,
        hue: float | list[float] = 0,
    ) -> None:
        wrong: list[Finding] = []
        self.limits = (
            span(brightness, "brightness", wrong, about=1, least=0),
            span(contrast, "contrast", wrong, about=1, least=0),
            span(saturation, "saturation", wrong, about=1, least=0),
            span(hue, "hue", wrong, about=0, least=-0.5, most=0.5),
        )
        refuse(wrong)

    def draw(self, keys: np.ndarray) -> Jitter:
        """Return the factors and the order; a turn of the hue is a share of the circle."""
        draws = rng.uniform(keys, 8)
        factors = np.stack([between(draws[:, place], limits) for place, limits in enumerate(self.limits)], 1)
        return Jitter(factors, np.argsort(draws[:, 4:], 1, kind="stable"))

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return uint8 [B, C, H, W]; ``keys`` (uint64 [B]) decide what is drawn."""
        check_levels(images, "ColorJitter")
        return in_chunks(self._changed, images, *self.draw(keys))

    def _changed(self, images: Tensor, factors: np.ndarray, order: np.ndarray) -> Tensor:
        used = [part for part, limits in enumerate(self.limits) if limits != NOTHING[part]]
        changed = images.clone()
        for turn in order.T:
            for part in used:
                change(changed, np.flatnonzero(turn == part), PARTS[part], factors[:, part])
        return changed

    def __repr__(self) -> str:
        names = ("brightness", "contrast", "saturation", "hue")
        return f"ColorJitter({', '.join(f'{n}={list(limits)}' for n, limits in zip(names, self.limits, strict=True))})"
