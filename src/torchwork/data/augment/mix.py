"""Mixing each sample with a partner: MixUp and CutMix. The targets are mixed in the same shares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.boxes import pasted
from torchwork.data.augment.chunks import as_column
from torchwork.data.augment.options import add, below, probability, refuse
from torchwork.types import Finding


class Mixed(NamedTuple):
    """How samples are mixed.

    ``lam`` (float64 [B]) is the share of the sample itself; the partner's is 1 - lam. ``boxes`` (int64 [B, 4]: top,
    left, height, width) is where the partner stands; None where the whole images are mixed.
    """

    lam: np.ndarray
    boxes: np.ndarray | None


def symmetric_beta(draws: np.ndarray, alpha: float) -> np.ndarray:
    """Return numbers distributed as Beta(alpha, alpha), float64 [B], from two draws in [0, 1) for each, [B, 2].

    With t = sqrt(u^(-1 / alpha) - 1) cos(2 pi v), 1/2 + t / (2 sqrt(1 + t²)) has just this distribution (R. W. Bailey:
    "Polar generation of random variates with the t-distribution", Mathematics of Computation 62, 1994; L. Devroye:
    "Random variate generation in one line of code", Winter Simulation Conference 1996). It is computed as what lies
    below 1/2, so that the smallest shares are exact.
    """
    first, second = np.ascontiguousarray(1 - draws[:, 0]), np.ascontiguousarray(draws[:, 1])
    turn = np.cos(2 * np.pi * second)
    with np.errstate(over="ignore"):
        square = np.expm1(-np.log(first) / alpha) * turn**2
    smaller = 0.5 / (1 + square + np.sqrt(square) * np.sqrt(1 + square))
    return np.where(turn < 0, smaller, 1 - smaller)


def _checked(alpha: float, p: float) -> None:
    wrong: list[Finding] = []
    if not 0 < alpha < float("inf"):
        add(wrong, "alpha", alpha, "a number above 0")
    probability(p, wrong)
    refuse(wrong)


class MixUp:
    """Mix each image and its target with a partner's: lam x + (1 - lam) partner, lam drawn from Beta(alpha, alpha).

    Zhang et al.: "mixup: Beyond Empirical Risk Minimization", ICLR 2018. As torchvision's ``MixUp``, but the partner is
    drawn from the training split by the sample's key, and each sample has a lam of its own. It stands last.

    Args:
        alpha: Of the Beta distribution: small values mix little, 1 evenly.
        p: The probability that a sample is mixed.

    >>> import torch
    >>> mix = MixUp(alpha=0.2)
    >>> mixed = mix.draw(rng.keys(0, np.arange(2)), 8, 8)
    >>> mix.apply(torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8), mixed).shape
    torch.Size([2, 3, 8, 8])
    """

    mixes = True
    sounds = True

    def __init__(self, alpha: float = 1.0, p: float = 1.0) -> None:
        _checked(alpha, p)
        self.alpha = alpha
        self.p = p

    def draw(self, keys: np.ndarray, height: int, width: int) -> Mixed:
        """Return how samples are mixed: a function of each key (uint64 [B])."""
        draws = rng.uniform(keys, 3)
        lam = symmetric_beta(draws[:, :2], self.alpha)
        return Mixed(np.where(draws[:, 2] < self.p, lam, 1.0), None)

    def apply(self, x: Tensor, partner: Tensor, mixed: Mixed) -> Tensor:
        """Return the mixed samples, a new tensor, from floats [B, C, H, W] and those of the partners."""
        own, other = (as_column(share, x, x.dtype) for share in (mixed.lam, 1 - mixed.lam))
        return (x * own).add_(partner * other)

    def __repr__(self) -> str:
        return f"MixUp(alpha={self.alpha}, p={self.p})"


class CutMix:
    """Paste a rectangle of a partner into each image, and mix the targets by area.

    Yun et al.: "CutMix: Regularization Strategy to Train Strong Classifiers", ICCV 2019. As torchvision's ``CutMix``:
    lam is drawn from Beta(alpha, alpha), the rectangle has sides of 2 floor(side sqrt(1 - lam) / 2) about a random
    point, is cut off at the border, and lam becomes the share of the area that is left. The partner is drawn from the
    training split by the sample's key, and each sample has a rectangle of its own. It stands last.

    Args:
        alpha: Of the Beta distribution.
        p: The probability that a sample is mixed.

    >>> import torch
    >>> mix = CutMix()
    >>> mixed = mix.draw(rng.keys(0, np.arange(2)), 8, 8)
    >>> mix.apply(torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8), mixed).shape
    torch.Size([2, 3, 8, 8])
    """

    mixes = True
    sounds = True

    def __init__(self, alpha: float = 1.0, p: float = 1.0) -> None:
        _checked(alpha, p)
        self.alpha = alpha
        self.p = p

    def draw(self, keys: np.ndarray, height: int, width: int) -> Mixed:
        """Return how samples of this height and width are mixed: a function of each key (uint64 [B])."""
        draws = rng.uniform(keys, 5)
        side = 0.5 * np.sqrt(1 - symmetric_beta(draws[:, :2], self.alpha))
        starts, ends = [], []
        for column, length in ((3, height), (4, width)):
            middle, half = below(draws[:, column], length), (side * length).astype(np.int64)
            starts.append(np.maximum(middle - half, 0))
            ends.append(np.minimum(middle + half, length))
        boxes = np.stack([*starts, ends[0] - starts[0], ends[1] - starts[1]], 1)
        boxes[draws[:, 2] >= self.p] = 0
        return Mixed(1 - boxes[:, 2] * boxes[:, 3] / (height * width), boxes)

    def apply(self, x: Tensor, partner: Tensor, mixed: Mixed) -> Tensor:
        """Return the mixed samples, a new tensor, from floats [B, C, H, W] and those of the partners."""
        assert mixed.boxes is not None
        return pasted(x, mixed.boxes, partner)

    def __repr__(self) -> str:
        return f"CutMix(alpha={self.alpha}, p={self.p})"
