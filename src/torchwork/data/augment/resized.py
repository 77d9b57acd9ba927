"""A random part of each image at a fixed size, keyed by sample."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.options import positive, refuse, span, window
from torchwork.data.resize import ScaledBy, scaled
from torchwork.types import Finding

_TRIES = 10

Box = tuple[int, int, int, int]


class RandomResizedCrop:
    """Cut a part of random area and aspect ratio out of each image and scale it to ``size``.

    As torchvision's ``RandomResizedCrop``, antialiased. It takes images of any size, so it stands first.

    Args:
        size: The result, one number for a square or [height, width].
        scale: [Least, greatest] share of the image's area.
        ratio: [Least, greatest] aspect ratio, width over height.
        interpolation: bilinear, bicubic or nearest.

    >>> import torch
    >>> crop = RandomResizedCrop(4)
    >>> crop(torch.zeros(2, 3, 8, 9, dtype=torch.uint8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 4, 4])
    """

    sizes = True

    def __init__(
        self,
        size: int | list[int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: ScaledBy = "bilinear",
    ) -> None:
        wrong: list[Finding] = []
        self.size = window(size, wrong)
        self.scale = span(scale, "scale", wrong, least=0, most=1)
        self.ratio = positive(ratio, "ratio", wrong)
        self.interpolation = interpolation
        refuse(wrong)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that any image gets."""
        return self.size

    def box(self, key: np.ndarray, height: int, width: int) -> Box:
        """Return top, left, height and width of the part of an image of this height and width.

        Ten tries to place one; if none fits into the image, the middle, as large as the ratio's limits allow.
        """
        logs = math.log(self.ratio[0]), math.log(self.ratio[1])
        for count in (1, _TRIES):
            for draws in rng.uniform(key, 4 * count).reshape(count, 4).tolist():
                area = height * width * (self.scale[0] + draws[0] * (self.scale[1] - self.scale[0]))
                aspect = math.exp(logs[0] + draws[1] * (logs[1] - logs[0]))
                wide, tall = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
                if 0 < wide <= width and 0 < tall <= height:
                    return int(draws[2] * (height - tall + 1)), int(draws[3] * (width - wide + 1)), tall, wide
        tall, wide = height, width
        if width / height < self.ratio[0]:
            tall = round(width / self.ratio[0])
        elif width / height > self.ratio[1]:
            wide = round(height * self.ratio[1])
        return (height - tall) // 2, (width - wide) // 2, tall, wide

    def one(self, image: Tensor, key: np.ndarray) -> Tensor:
        """Return [C, h, w] from one image [C, H, W] of any size; ``key`` (uint64) decides the part."""
        top, left, height, width = self.box(key, *image.shape[-2:])
        part = image[None, :, top : top + height, left : left + width]
        return scaled(part, self.size, self.interpolation)[0]

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, h, w] from [B, C, H, W], each image as ``one`` gives it."""
        found = images.new_empty((*images.shape[:2], *self.size))
        for place, key in enumerate(keys):
            found[place] = self.one(images[place], key)
        return found

    def __repr__(self) -> str:
        drawn = f"scale={list(self.scale)}, ratio={[round(side, 4) for side in self.ratio]}"
        return f"RandomResizedCrop({list(self.size)}, {drawn}, {self.interpolation})"
