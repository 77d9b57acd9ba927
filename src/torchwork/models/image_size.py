"""Sizes of images on their way through a convolutional model, and what to say about images that are too small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

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


# Least sides of torchvision's families. Inception v3's auxiliary head, which runs in training, needs more.
_LEAST = {"alexnet": 63, "vgg": 32, "resnet": 1, "googlenet": 15, "densenet": 29, "inception_v": 299}
_LEAST_WITHOUT_AUX = {"inception_v": 75}


def check_family(name: str, options: Mapping[str, Any], input_shape: tuple[int, ...]) -> list[Finding]:
    """Check that samples are images that a model of torchvision's families can train on; other models pass.

    >>> print(check_family("vgg16", {}, (3, 28, 28))[0].message)
    vgg16 needs images of at least 32×32, these are 28×28
    """
    family = name.removesuffix("_bn").rstrip("0123456789")
    if family not in _LEAST:
        return []
    if len(input_shape) != 3:
        message = f"{name} works on images [channels, height, width], these samples have the shape {list(input_shape)}"
        return [Finding("unsuitable-model", "error", "", message, "take a model for such data, as MLP")]
    size = pair(input_shape[1:])
    without = _LEAST_WITHOUT_AUX.get(family)
    needed = without if without and options.get("aux_logits") is False else _LEAST[family]
    if min(size) >= needed:
        return []
    [finding] = too_small(name, size, needed).findings
    if without and min(size) >= without:
        return [replace(finding, fix=f"{finding.fix}; aux_logits: false leaves out the head that needs this size")]
    return [finding]
