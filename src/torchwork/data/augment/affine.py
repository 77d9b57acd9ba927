"""Random rotations and affine maps, keyed by sample."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.chunks import check_levels
from torchwork.data.augment.options import Fill, Span, add, between, fill_levels, positive, refuse, span
from torchwork.data.augment.warp import Interpolation, inverse_matrices, warp
from torchwork.types import Finding


def _middle(center: list[float] | None, height: int, width: int) -> tuple[float, float]:
    return (width * 0.5, height * 0.5) if center is None else (center[0], center[1])


def _point(center: list[float] | None, wrong: list[Finding]) -> list[float] | None:
    if center is not None and len(center) != 2:
        add(wrong, "center", center, "[x, y] in pixels from the upper left corner, or null for the middle")
    return center


class RandomRotation:
    """Turn each image by a random angle about its middle; what comes from outside has the level ``fill``.

    As torchvision's ``RandomRotation`` without ``expand``: the size stays.

    Args:
        degrees: The greatest angle to either side, or [least, greatest], counter-clockwise.
        interpolation: nearest or bilinear.
        center: The point to turn about, [x, y] in pixels from the upper left corner; null: the middle.
        fill: The level (0 to 255) of what comes from outside, or one for each channel.

    >>> import torch
    >>> RandomRotation(30)(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(
        self,
        degrees: float | list[float],
        interpolation: Interpolation = "nearest",
        center: list[float] | None = None,
        fill: Fill = 0,
    ) -> None:
        wrong: list[Finding] = []
        self.degrees = span(degrees, "degrees", wrong, about=0)
        self.interpolation = interpolation
        self.center = _point(center, wrong)
        self.fill = fill_levels(fill, wrong)
        refuse(wrong)

    def draw(self, keys: np.ndarray) -> np.ndarray:
        """Return the angles, degrees counter-clockwise, float64 [B]."""
        return between(rng.uniform(keys, 1)[:, 0], self.degrees)

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return uint8 [B, C, H, W]; ``keys`` (uint64 [B]) decide the angles."""
        check_levels(images, "RandomRotation")
        zero = np.zeros(len(images))
        middle = _middle(self.center, *images.shape[-2:])
        matrices = inverse_matrices(middle, -self.draw(keys), (zero, zero), zero + 1, (zero, zero))
        return warp(images, matrices, self.interpolation, self.fill)

    def __repr__(self) -> str:
        return f"RandomRotation({list(self.degrees)}, {self.interpolation}, fill={self.fill})"


class RandomAffine:
    """Rotate, move, scale and shear each image at random; what comes from outside has the level ``fill``.

    As torchvision's ``RandomAffine``.

    Args:
        degrees: The greatest angle to either side, or [least, greatest], clockwise; 0: no rotation.
        translate: The greatest shift to either side, [share of the width, share of the height]; null: none.
        scale: [Least, greatest] factor; null: 1.
        shear: The greatest shear along x to either side in degrees, [least, greatest] of it, or
            [least, greatest] along x and [least, greatest] along y in one list of 4; null: none.
        interpolation: nearest or bilinear.
        fill: The level (0 to 255) of what comes from outside, or one for each channel.
        center: The point that stays, [x, y] in pixels from the upper left corner; null: the middle.

    >>> import torch
    >>> shift = RandomAffine(0, translate=[0.2, 0.2])
    >>> shift(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(
        self,
        degrees: float | list[float],
        translate: list[float] | None = None,
        scale: list[float] | None = None,
        shear: float | list[float] | None = None,
        interpolation: Interpolation = "nearest",
        fill: Fill = 0,
        center: list[float] | None = None,
    ) -> None:
        wrong: list[Finding] = []
        self.degrees = span(degrees, "degrees", wrong, about=0)
        self.translate = translate or [0.0, 0.0]
        if len(self.translate) != 2 or not all(0 <= share <= 1 for share in self.translate):
            add(wrong, "translate", translate, "[share of the width, share of the height], each from 0 to 1")
        self.scale = positive(scale or (1.0, 1.0), "scale", wrong)
        self.shear = _shears(shear, wrong)
        self.interpolation = interpolation
        self.fill = fill_levels(fill, wrong)
        self.center = _point(center, wrong)
        refuse(wrong)

    def draw(self, keys: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return float64 [B, 6]: angle, shift right and down in whole pixels, scale, shear along x and y."""
        draws = rng.uniform(keys, 6)
        found = np.empty((len(draws), 6))
        found[:, 0] = between(draws[:, 0], self.degrees)
        for axis, side in enumerate((width, height)):
            most = self.translate[axis] * side
            found[:, 1 + axis] = np.rint(between(draws[:, 1 + axis], (-most, most)))
            found[:, 4 + axis] = between(draws[:, 4 + axis], self.shear[axis])
        found[:, 3] = between(draws[:, 3], self.scale)
        return found

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return uint8 [B, C, H, W]; ``keys`` (uint64 [B]) decide what is drawn."""
        check_levels(images, "RandomAffine")
        height, width = images.shape[-2:]
        angle, right, down, scale, along, across = np.ascontiguousarray(self.draw(keys, height, width).T)
        middle = _middle(self.center, height, width)
        matrices = inverse_matrices(middle, angle, (right, down), scale, (along, across))
        return warp(images, matrices, self.interpolation, self.fill)

    def __repr__(self) -> str:
        drawn = f"{list(self.degrees)}, translate={self.translate}, scale={list(self.scale)}"
        return f"RandomAffine({drawn}, shear={list(map(list, self.shear))}, {self.interpolation}, fill={self.fill})"


def _shears(shear: float | list[float] | None, wrong: list[Finding]) -> tuple[Span, Span]:
    """Return the limits along x and along y."""
    if shear is None:
        return (0.0, 0.0), (0.0, 0.0)
    if isinstance(shear, list) and len(shear) == 4:
        parts = [span(part, "shear", wrong, least=-89, most=89) for part in (shear[:2], shear[2:])]
        return parts[0], parts[1]
    return span(shear, "shear", wrong, about=0, least=-89, most=89), (0.0, 0.0)
