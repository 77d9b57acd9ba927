"""A random part of each image at a fixed size, keyed by sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
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

    def box(self, key: np.ndarray, height: int, width: int, first: Sequence[float] | None = None) -> Box:
        """Return top, left, height and width of the part of an image of this height and width.

        Ten tries to place one; if none fits into the image, the middle, as large as the ratio's limits allow.
        ``first`` is what the first try draws, where that is known: it takes most of the time.
        """
        logs = math.log(self.ratio[0]), math.log(self.ratio[1])
        for count in (1, _TRIES):
            drawn = rng.uniform(key, 4 * count).reshape(count, 4).tolist() if count > 1 or first is None else [first]
            for draws in drawn:
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

    def at(self, keys: np.ndarray) -> Callable[[int, Tensor], Tensor]:
        """Return a function of a place of ``keys`` (uint64 [B]) and an image [C, H, W] of any size, for any thread.

        It gives [C, h, w], as ``one`` does. What the first tries draw is drawn for all keys at once.
        """
        first = rng.uniform(keys, 4).tolist()

        def cut(place: int, image: Tensor) -> Tensor:
            top, left, height, width = self.box(keys[place], image.shape[-2], image.shape[-1], first[place])
            if image.device.type != "cpu":
                return scaled(image[None, :, top : top + height, left : left + width], self.size, self.interpolation)[0]
            # In one piece, a pixel's channels side by side, as ``scaled`` wants it. numpy's views take a tenth of the
            # time of torch's, and the interpreter's lock does not go from thread to thread for each of them.
            part = np.ascontiguousarray(image.numpy().transpose(1, 2, 0)[top : top + height, left : left + width])
            return scaled(torch.from_numpy(part).permute(2, 0, 1)[None], self.size, self.interpolation)[0]

        return cut

    def one(self, image: Tensor, key: np.ndarray) -> Tensor:
        """Return [C, h, w] from one image [C, H, W] of any size; ``key`` (uint64) decides the part."""
        return self.at(np.asarray(key)[None])(0, image)

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, h, w] from [B, C, H, W], each image as ``one`` gives it."""
        found = images.new_empty((*images.shape[:2], *self.size))
        cut = self.at(keys)
        for place in range(len(keys)):
            found[place] = cut(place, images[place])
        return found

    def __repr__(self) -> str:
        drawn = f"scale={list(self.scale)}, ratio={[round(side, 4) for side in self.ratio]}"
        return f"RandomResizedCrop({list(self.size)}, {drawn}, {self.interpolation})"
