"""Deterministic steps on uint8 images: the same at training, evaluation and prediction.

A step takes uint8 [B, C, H, W], or a list of [C, H, W] where sizes differ, and gives the same kind. ``output_size``
says what becomes of a height and width, so that images that would not stack are found before any is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchwork import catalog
from torchwork.data import threads
from torchwork.data.luminance import luminance
from torchwork.data.padding import PaddingMode, borders, pad
from torchwork.data.resize import ScaledBy, scaled
from torchwork.types import Finding, InputError

Images = Tensor | list[Tensor]


def _each(function: Callable[[Tensor], Tensor], images: Images) -> Images:
    """Apply a function of [..., C, H, W] to a batch at once, or to every image of a list."""
    return threads.over(function, images) if isinstance(images, list) else function(images)


def pair(size: int | list[int], name: str) -> tuple[int, int]:
    """Return (height, width) from a whole number or a list of two.

    Raises:
        ValueError: another length, or a number below 1.
    """
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"{name} is {size}; expected a whole number from 1, or [height, width]")
    return sides[0], sides[1]


class Resize:
    """Scale images: an int sets the shorter side and keeps the proportions, ``[h, w]`` is exact.

    As torchvision's ``Resize``: the longer side becomes ``int(size * longer / shorter)``; bilinear and bicubic are
    antialiased. Bilinear equals Pillow's within one level.

    Args:
        size: The shorter side, or [height, width].
        interpolation: bilinear, bicubic or nearest.
        max_size: What the longer side may not exceed where ``size`` is one number; null: no limit.

    >>> Resize(4)(torch.zeros(1, 3, 8, 16, dtype=torch.uint8)).shape
    torch.Size([1, 3, 4, 8])
    """

    def __init__(
        self, size: int | list[int], interpolation: ScaledBy = "bilinear", max_size: int | None = None
    ) -> None:
        self.exact = None if isinstance(size, int) else pair(size, "size")
        self.shorter = pair(size, "size")[0] if isinstance(size, int) else None
        self.interpolation = interpolation
        if max_size is not None and (self.shorter is None or max_size <= self.shorter):
            raise ValueError(f"max_size is {max_size}; expected more than size, which is one number then, or null")
        self.max_size = max_size
        self._said = size

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that an image of this height and width gets."""
        if self.shorter is None:
            assert self.exact is not None
            return self.exact
        shorter, longer = self.shorter, int(self.shorter * max(height, width) / min(height, width))
        if self.max_size is not None and longer > self.max_size:
            shorter, longer = max(1, int(self.max_size * shorter / longer)), self.max_size
        return (shorter, longer) if height <= width else (longer, shorter)

    def _scale(self, images: Tensor) -> Tensor:
        size = self.output_size(*images.shape[-2:])
        if images.dim() == 3:
            return scaled(images[None], size, self.interpolation)[0]
        return scaled(images, size, self.interpolation).contiguous()  # the model's bits depend on the order in memory

    def __call__(self, images: Images) -> Images:
        return _each(self._scale, images)

    def __repr__(self) -> str:
        return (
            f"Resize({self._said}, {self.interpolation})"
            if self.interpolation != "bilinear"
            else f"Resize({self._said})"
        )


class CenterCrop:
    """Cut the middle out of images: an int is a square, ``[h, w]`` is exact.

    The first row is ``round((H - h) / 2)`` as in torchvision. An image smaller than the crop is an error: nothing is
    padded.

    >>> CenterCrop(4)(torch.zeros(1, 3, 8, 16, dtype=torch.uint8)).shape
    torch.Size([1, 3, 4, 4])
    """

    def __init__(self, size: int | list[int]) -> None:
        self.size = pair(size, "size")

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the crop's height and width, or raise ValueError where the image is smaller."""
        if height < self.size[0] or width < self.size[1]:
            raise ValueError(
                f"an image of {height}×{width} is smaller than the crop of {self.size[0]}×{self.size[1]}; "
                "put a Resize before it"
            )
        return self.size

    def _cut(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        self.output_size(height, width)
        top, left = round((height - self.size[0]) / 2), round((width - self.size[1]) / 2)
        return images[..., top : top + self.size[0], left : left + self.size[1]]

    def __call__(self, images: Images) -> Images:
        return _each(self._cut, images)

    def __repr__(self) -> str:
        return f"CenterCrop({list(self.size)})"


class Pad:
    """Add borders to images.

    As torchvision's ``Pad``.

    Args:
        padding: Pixels at each border: one number, [left and right, top and bottom], or [left, top, right, bottom].
        fill: The level of the added pixels where the mode is constant, or one for each channel.
        padding_mode: constant; edge repeats the outermost pixels; reflect mirrors the image at them; symmetric mirrors
            it and repeats them.

    >>> Pad([2, 1])(torch.zeros(1, 3, 8, 16, dtype=torch.uint8)).shape
    torch.Size([1, 3, 10, 20])
    """

    def __init__(
        self, padding: int | list[int], fill: float | list[float] = 0, padding_mode: PaddingMode = "constant"
    ) -> None:
        self.padding = borders(padding)
        self.fill = fill
        self.padding_mode: PaddingMode = padding_mode

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width with the borders."""
        left, top, right, bottom = self.padding
        return height + top + bottom, width + left + right

    def __call__(self, images: Images) -> Images:
        return _each(lambda part: pad(part, self.padding, self.fill, self.padding_mode), images)

    def __repr__(self) -> str:
        return f"Pad({list(self.padding)}, {self.padding_mode}, fill={self.fill})"


class Grayscale:
    """Make images grey, with one channel or three equal ones: L = 0.299 R + 0.587 G + 0.114 B (ITU-R 601-2).

    The rounding is Pillow's, so the result equals torchvision's on a PIL image.

    >>> Grayscale()(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([1, 1, 8, 8])
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            raise ValueError(f"num_output_channels is {num_output_channels}; expected 1 or 3")
        self.num_output_channels = num_output_channels

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width as they are."""
        return height, width

    def _grey(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8:
            raise ValueError(f"Grayscale takes uint8 images, not {images.dtype}; put it before what makes them floats")
        grey = images if images.shape[-3] == 1 else luminance(images)
        return grey if self.num_output_channels == 1 else grey.expand(*grey.shape[:-3], 3, -1, -1)

    def __call__(self, images: Images) -> Images:
        return _each(self._grey, images)

    def __repr__(self) -> str:
        return f"Grayscale({self.num_output_channels})"


class Lambda:
    """Apply a function of your own to each sample, [C, H, W] for an image.

    As torchvision's ``Lambda``, but the function is given by its import path, so that the run can be repeated.

    Args:
        function: package.module:function, which takes one sample and returns it changed.

    >>> Lambda("torch:neg").function(torch.ones(1))
    tensor([-1.])
    """

    def __init__(self, function: str) -> None:
        if ":" not in function:
            fix = "write package.module:function"
            raise InputError(Finding("import-path", "error", "function", f"{function!r} is no import path", fix))
        self.function: Callable[[Any], Any] = catalog.load(function, {}, "function", "function")
        if not callable(self.function):
            raise InputError(Finding("not-callable", "error", "function", f"{function} is no function", "name one"))
        self._said = function

    def __repr__(self) -> str:
        return f"Lambda({self._said})"
