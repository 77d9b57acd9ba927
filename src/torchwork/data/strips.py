"""Strips of handwritten digits, made of scikit-learn's real ones: to read, to count, or to say which occur."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from torchwork import rng
from torchwork.data.builtin import Digits
from torchwork.data.fingerprint import of_inputs
from torchwork.data.memory import InMemory
from torchwork.data.wording import counted
from torchwork.types import Finding, InputError, Schema

# A digit is pasted in a square of this many pixels a side, smaller only where the canvas leaves no room.
SMALLEST, LARGEST = 8, 12
_LEAST_LEGIBLE = 6
_DARKEST = 0.4
_SHARE_OF_VAL = _SHARE_OF_TEST = 0.15


class Placed(NamedTuple):
    """Which digit went where: arrays with one entry for each pasted digit, strip by strip, from left to right.

    ``digit`` is its number in ``Digits``; ``left``, ``top`` and ``size`` are pixels; ``brightness``
    is the factor on its levels.
    """

    strip: np.ndarray
    digit: np.ndarray
    left: np.ndarray
    top: np.ndarray
    size: np.ndarray
    brightness: np.ndarray


class DigitStrips(InMemory):
    """Grey images [1, height, width] of real digits in a row, of varied number, place, size and brightness.

    A strip is a function of (seed, number of the strip, which digits belong to its split). The 1,797 digits are shared
    out to the splits before any is pasted, so that no digit stands in two of them: keep to these splits (``by: given``,
    the default). Digits do not overlap and read from left to right.

    Args:
        target: ``sequence``: the digits as a text, such as "3141"; ``labels``: ten numbers, 1 where the digit occurs,
            else 0; ``count``: how many digits there are.
        num_strips: How many strips there are in all splits together.
        max_digits: The most digits in a strip; every number from ``min_digits`` on is equally likely.
        min_digits: The least.
        height: The height of a strip in pixels.
        width: The width of a strip in pixels; by default 12 for each of ``max_digits`` and 4 more.
        val: How many of the strips are for validation; by default 15%.
        test: How many of the strips are for the test; by default 15%.
        seed: Decides everything random.

    Attributes:
        placed: Which digit went where.

    Raises:
        InputError: numbers that contradict each other, or a canvas on which the digits find no room.

    >>> source = DigitStrips("sequence", num_strips=20)
    >>> source.read(np.arange(2), epoch=1)[0].shape
    torch.Size([2, 1, 16, 64])
    """

    def __init__(
        self,
        target: Literal["sequence", "labels", "count"] = "sequence",
        num_strips: int = 3000,
        max_digits: int = 5,
        min_digits: int = 0,
        height: int = 16,
        width: int | None = None,
        val: int | None = None,
        test: int | None = None,
        seed: int = 0,
    ) -> None:
        width = LARGEST * max_digits + 4 if width is None else width
        val = round(num_strips * _SHARE_OF_VAL) if val is None else val
        test = round(num_strips * _SHARE_OF_TEST) if test is None else test
        counts = {"train": num_strips - val - test, "val": val, "test": test}
        largest = min(LARGEST, height, width // max(max_digits, 1))
        _check(counts, min_digits, max_digits, largest, (height, width))
        digits = Digits()
        assert digits.targets is not None
        ends = np.cumsum(list(counts.values()))
        given = {part: np.arange(end - counts[part], end) for part, end in zip(counts, ends.tolist(), strict=True)}
        pools = _pools(len(digits), counts, seed)
        sizes = (min(SMALLEST, largest), largest)
        parts = [
            _place(given[part], pools[part], (min_digits, max_digits), sizes, (height, width), seed) for part in given
        ]
        self.placed = Placed(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        images = _paste(self.placed, digits.inputs, sizes, (num_strips, height, width))
        values = digits.targets[self.placed.digit]
        raw, schema = _targets(target, self.placed.strip, values, num_strips)
        names = [f"strip {number}" for number in range(num_strips)]
        super().__init__(torch.from_numpy(images[:, None]), raw, schema, given, names)

    def fingerprints(self, indices: np.ndarray) -> list[str]:
        """Return a fingerprint of each strip, "" of one without digits: these are alike in all splits by design."""
        images = self.inputs[torch.from_numpy(np.asarray(indices, np.int64))]
        black = images.flatten(1).amax(1) == 0
        return ["" if empty else found for found, empty in zip(of_inputs(images), black.tolist(), strict=True)]


def _check(counts: dict[str, int], least: int, most: int, largest: int, canvas: tuple[int, int]) -> None:
    findings = []
    if not 0 <= least <= most or most == 0:
        message = f"got {most}, with min_digits {least}"
        fix = "expected 0 <= min_digits <= max_digits, and max_digits at least 1"
        findings.append(Finding("wrong-value", "error", "max_digits", message, fix))
    if min(counts.values()) < 1:
        said = ", ".join(f"{part} {count}" for part, count in counts.items())
        message = f"{counted(sum(counts.values()), 'strip is', 'strips are')} shared out as {said}"
        findings.append(Finding("empty-split", "error", "num_strips", message, "leave each at least one"))
    if not findings and largest < _LEAST_LEGIBLE:
        message = f"on {canvas[0]}×{canvas[1]} pixels {counted(most, 'digit gets', 'digits get')} "
        message += f"{counted(largest, 'pixel', 'pixels')} each"
        fix = f"give height and width room for {_LEAST_LEGIBLE} at least, better {SMALLEST} to {LARGEST}"
        findings.append(Finding("no-room", "error", "width", message, fix))
    if findings:
        raise InputError(findings)


def _pools(num_digits: int, counts: dict[str, int], seed: int) -> dict[str, np.ndarray]:
    """Share out the digits in the proportion of the strips, at least one to each split."""
    total = sum(counts.values())
    val, test = (1 + (num_digits - 3) * counts[part] // total for part in ("val", "test"))
    shuffled = rng.permutation(num_digits, seed, "digits of strips")
    cuts = np.split(shuffled, [num_digits - val - test, num_digits - test])
    return dict(zip(("train", "val", "test"), cuts, strict=True))


def _place(
    strips: np.ndarray,
    pool: np.ndarray,
    numbers: tuple[int, int],
    sizes: tuple[int, int],
    canvas: tuple[int, int],
    seed: int,
) -> Placed:
    """Draw which digits of a pool go where in each strip."""

    def chances(what: str, count: int) -> np.ndarray:
        return rng.uniform(rng.keys(seed, "strip", what, strips), count)

    def whole(what: str, least: int, most: int, count: int) -> np.ndarray:
        return least + (chances(what, count) * (most - least + 1)).astype(np.int64)

    most = numbers[1]
    there = np.arange(most) < whole("count", *numbers, 1)  # [strips, most]
    digit = pool[whole("digit", 0, len(pool) - 1, most)]
    size = whole("size", *sizes, most) * there
    room = canvas[1] - size.sum(1)
    # What is left of the width is cut at random into the gaps before each digit and the one after the last.
    cuts = np.sort(np.where(there, chances("gap", most), 1.0), 1)
    left = (cuts * (room[:, None] + 1)).astype(np.int64) + np.cumsum(size, 1) - size
    top = (chances("top", most) * (canvas[0] - size + 1)).astype(np.int64)
    brightness = _DARKEST + (1 - _DARKEST) * chances("brightness", most)
    strip = np.broadcast_to(strips[:, None], there.shape)
    return Placed(*(column[there] for column in (strip, digit, left, top, size, brightness)))


def _paste(placed: Placed, digits: Tensor, sizes: tuple[int, int], shape: tuple[int, int, int]) -> np.ndarray:
    """Return the strips, uint8 [N, height, width]."""
    levels = digits.double()
    scaled = {
        size: functional.interpolate(levels, size=(size, size), mode="bilinear", align_corners=False)[:, 0].numpy()
        for size in range(sizes[0], sizes[1] + 1)
    }
    images = np.zeros(shape, np.uint8)
    columns = zip(*(column.tolist() for column in placed), strict=True)
    for strip, digit, left, top, size, brightness in columns:
        pixels = np.rint(scaled[size][digit] * brightness).astype(np.uint8)
        images[strip, top : top + size, left : left + size] = pixels
    return images


def _targets(target: str, strip: np.ndarray, values: np.ndarray, num_strips: int) -> tuple[np.ndarray, Schema]:
    if target == "count":
        counts = np.bincount(strip, minlength=num_strips).astype(np.float64)
        return counts[:, None], Schema("image", "number", target_names=("count",))
    if target == "labels":
        labels = np.zeros((num_strips, 10))
        labels[strip, values] = 1
        return labels, Schema("image", "number", target_names=tuple("0123456789"))
    texts = np.full(num_strips, "", object)
    for number, value in zip(strip.tolist(), values.tolist(), strict=True):
        texts[number] += str(value)
    return texts, Schema("image", "sequence")
