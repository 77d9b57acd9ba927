"""Augmentation policies without a search: RandAugment and TrivialAugmentWide, keyed by sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchwork import rng
from torchwork.data.augment import colour, levels
from torchwork.data.augment.chunks import change, check_levels
from torchwork.data.augment.options import Fill, add, below, fill_levels, refuse
from torchwork.data.augment.warp import Interpolation, inverse_matrices, warp
from torchwork.types import Finding

OPERATIONS = (
    "Identity",
    *("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"),
    *("Brightness", "Color", "Contrast", "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize"),
)
WARPS = OPERATIONS[1:6]
TABLES = ("Posterize", "Solarize", "AutoContrast", "Equalize")
BLENDS = {
    "Brightness": colour.brightness,
    "Color": colour.saturation,
    "Contrast": colour.contrast,
    "Sharpness": colour.sharpness,
}
SIGNED = (*WARPS, *BLENDS)


def magnitudes(bins: int, greatest: dict[str, float], fewest_bits: int) -> dict[str, np.ndarray]:
    """Return the magnitudes of each operation, [bins]: even steps from 0, but Solarize from 255 down to 0.

    Posterize keeps 8 bits at first and ``fewest_bits`` at last. Operations without a magnitude have zeros.
    """
    steps = np.arange(bins)
    found = {name: np.linspace(0, greatest.get(name, 0), bins, dtype=np.float32) for name in OPERATIONS}
    found["Posterize"] = 8 - np.rint(steps / (max(bins - 1, 1) / (8 - fewest_bits)))
    found["Solarize"] = np.linspace(255, 0, bins, dtype=np.float32)
    return {name: values.astype(np.float64) for name, values in found.items()}


def apply(
    images: Tensor, chosen: np.ndarray, strength: np.ndarray, interpolation: Interpolation = "nearest", fill: Fill = 0
) -> Tensor:
    """Return uint8 [B, C, H, W]: to each image one of OPERATIONS (its place, int64 [B]) with its magnitude [B].

    Magnitudes are signed, and mean what torchvision says: shears are slopes, shifts pixels, angles degrees, brightness,
    colour, contrast and sharpness what is added to the factor 1, Posterize bits, Solarize a level.
    """

    def warped(some: Tensor, operation: np.ndarray, amount: np.ndarray) -> Tensor:
        return warp(some, _matrices(operation, amount, *some.shape[-2:]), interpolation, fill)

    found = images.clone()
    change(found, np.flatnonzero(_is(chosen, *WARPS)), warped, chosen, strength)
    change(found, np.flatnonzero(_is(chosen, *TABLES)), _looked_up, chosen, strength)
    for name, blended in BLENDS.items():
        change(found, np.flatnonzero(_is(chosen, name)), blended, 1 + strength)
    return found


def _is(chosen: np.ndarray, *names: str) -> np.ndarray:
    """Return bool [B], whether one of these operations was chosen."""
    return np.array([name in names for name in OPERATIONS])[chosen]


def _matrices(chosen: np.ndarray, strength: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the matrices [B, 6] of the five operations that are warps.

    Shears leave the upper left corner in its place and rotations the middle. Pixels are shifted by whole numbers.
    """
    shear_x, shear_y, right, down, turn = (np.where(_is(chosen, name), strength, 0.0) for name in WARPS)
    middle = 0.5 * _is(chosen, "Rotate")
    shears = np.degrees(np.arctan(shear_x)), np.degrees(np.arctan(shear_y))
    shifts = np.trunc(right), np.trunc(down)
    return inverse_matrices((width * middle, height * middle), -turn, shifts, np.ones(len(chosen)), shears)


def _looked_up(images: Tensor, chosen: np.ndarray, strength: np.ndarray) -> Tensor:
    """Apply the operations that are tables, all by one look-up."""
    tables = np.empty((len(images), images.shape[1], 256), np.uint8)
    for name in TABLES:
        rows = np.flatnonzero(_is(chosen, name))
        if len(rows):
            some = images.index_select(0, torch.from_numpy(rows).to(images.device))
            tables[rows] = _tables(name, some, strength[rows])
    return levels.look_up(images, tables)


def _tables(name: str, images: Tensor, strength: np.ndarray) -> np.ndarray:
    if name == "Posterize":
        return levels.posterize(strength.astype(np.int64))
    if name == "Solarize":
        return levels.solarize(strength)
    return levels.autocontrast(images) if name == "AutoContrast" else levels.equalize(images)


class RandAugment:
    """Apply ``num_ops`` operations to each image, drawn anew each time, all of one magnitude.

    Cubuk et al.: "RandAugment: Practical automated data augmentation with a reduced search space", NeurIPS 2020. As
    torchvision's ``RandAugment``: 14 operations (nothing, shears, shifts, rotation, brightness, colour, contrast,
    sharpness, posterize, solarize, autocontrast, equalize), each as likely; magnitudes with a direction have a random
    sign.

    Args:
        num_ops: Operations to an image, one after the other.
        magnitude: The place among the magnitudes, from 0.
        num_magnitude_bins: The number of magnitudes between nothing and the greatest.
        interpolation: nearest or bilinear, of shears, shifts and rotations.
        fill: The level (0 to 255) of what comes from outside, or one for each channel.

    >>> RandAugment()(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: Interpolation = "nearest",
        fill: Fill = 0,
    ) -> None:
        wrong: list[Finding] = []
        if num_ops < 0:
            add(wrong, "num_ops", num_ops, "a whole number from 0")
        if num_magnitude_bins < 2:
            add(wrong, "num_magnitude_bins", num_magnitude_bins, "a whole number from 2")
        elif not 0 <= magnitude < num_magnitude_bins:
            add(wrong, "magnitude", magnitude, f"0 to {num_magnitude_bins - 1}, one less than num_magnitude_bins")
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation: Interpolation = interpolation
        self.fill = fill_levels(fill, wrong)
        refuse(wrong)

    def draw(self, keys: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the places in OPERATIONS (int64) and the signed magnitudes (float64), [B, num_ops] each."""
        share = {"ShearX": 0.3, "ShearY": 0.3, "TranslateX": 150 / 331 * width, "TranslateY": 150 / 331 * height}
        share |= {"Rotate": 30.0, **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.9)}
        of_operation = magnitudes(self.num_magnitude_bins, share, fewest_bits=4)
        draws = rng.uniform(keys, 2 * self.num_ops).reshape(len(keys), self.num_ops, 2)
        chosen = below(draws[..., 0], len(OPERATIONS))
        strength = np.array([of_operation[name][self.magnitude] for name in OPERATIONS])[chosen]
        return chosen, _signed(chosen, strength, draws[..., 1])

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return uint8 [B, C, H, W]; ``keys`` (uint64 [B]) decide what is done."""
        check_levels(images, "RandAugment")
        chosen, strength = self.draw(keys, *images.shape[-2:])
        found = images.clone()
        for turn in range(self.num_ops):
            found = apply(found, chosen[:, turn], strength[:, turn], self.interpolation, self.fill)
        return found

    def __repr__(self) -> str:
        said = f"num_ops={self.num_ops}, magnitude={self.magnitude} of {self.num_magnitude_bins}"
        return f"RandAugment({said}, {self.interpolation}, fill={self.fill})"


class TrivialAugmentWide:
    """Apply one operation to each image, drawn with its magnitude.

    Müller and Hutter: "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021. As torchvision's
    ``TrivialAugmentWide``: the operations of RandAugment with wider magnitudes, each as likely.

    Args:
        num_magnitude_bins: The number of magnitudes between nothing and the greatest.
        interpolation: nearest or bilinear, of shears, shifts and rotations.
        fill: The level (0 to 255) of what comes from outside, or one for each channel.

    >>> TrivialAugmentWide()(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(self, num_magnitude_bins: int = 31, interpolation: Interpolation = "nearest", fill: Fill = 0) -> None:
        wrong: list[Finding] = []
        if num_magnitude_bins < 2:
            add(wrong, "num_magnitude_bins", num_magnitude_bins, "a whole number from 2")
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation: Interpolation = interpolation
        self.fill = fill_levels(fill, wrong)
        refuse(wrong)
        greatest = {"ShearX": 0.99, "ShearY": 0.99, "TranslateX": 32.0, "TranslateY": 32.0, "Rotate": 135.0}
        greatest |= dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.99)
        self._magnitudes = np.stack(list(magnitudes(num_magnitude_bins, greatest, fewest_bits=2).values()))

    def draw(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the place in OPERATIONS (int64 [B]) and the signed magnitude (float64 [B])."""
        draws = rng.uniform(keys, 3)
        chosen = below(draws[:, 0], len(OPERATIONS))
        strength = self._magnitudes[chosen, below(draws[:, 1], self.num_magnitude_bins)]
        return chosen, _signed(chosen, strength, draws[:, 2])

    def __call__(self, images: Tensor, keys: np.ndarray) -> Tensor:
        """Return uint8 [B, C, H, W]; ``keys`` (uint64 [B]) decide what is done."""
        check_levels(images, "TrivialAugmentWide")
        return apply(images, *self.draw(keys), self.interpolation, self.fill)

    def __repr__(self) -> str:
        return f"TrivialAugmentWide({self.num_magnitude_bins} magnitudes, {self.interpolation}, fill={self.fill})"


def _signed(chosen: np.ndarray, strength: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Turn the sign of half of the magnitudes that have a direction."""
    return np.where(_is(chosen, *SIGNED) & (draws >= 0.5), -strength, strength)
