"""Sizes of images on their way through a convolutional model, and what to say about images that are too small."""

from __future__ import annotations

from collections.abc import Callable

from torchwork.types import Finding, InputError


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width); one number stands for both.

    >>> pair(28), pair((28, 32))
    ((28, 28), (28, 32))
    """
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def window(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Return how many places a window has along one side: floor((size + 2 padding − kernel) / stride) + 1.

    >>> window(32, 5), window(224, 11, stride=4)
    (28, 54)
    """
    return (size + 2 * padding - kernel) // stride + 1


def least(after: Callable[[int], int]) -> int:
    """Return the least side of an image of which at least one value is left, by what is left after a given side."""
    return next(size for size in range(1, 1000) if after(size) >= 1)


def too_small(model: str, size: tuple[int, int], needed: int) -> InputError:
    """Return the error about images that are too small for a model."""
    message = f"{model} needs images of at least {needed}×{needed}, these are {size[0]}×{size[1]}"
    fix = f"add {{name: Resize, size: [n, n]}} with n of at least {needed} to data.transform, or take a smaller model"
    return InputError(Finding("image-too-small", "error", "", message, fix))
