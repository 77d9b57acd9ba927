"""Options of augmentations: ranges and levels, with words for every mistake, and what is drawn within them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from torchwork.data.steps import pair
from torchwork.types import Finding, InputError

Span = tuple[float, float]
Fill = float | list[float]


def refuse(wrong: list[Finding]) -> None:
    """Raise InputError where there is something wrong: all of it at once."""
    if wrong:
        raise InputError(wrong)


def add(wrong: list[Finding], name: str, value: object, expected: str) -> None:
    """Add that an option has a value which it cannot have, and what is expected."""
    said = list(value) if isinstance(value, tuple) else value
    wrong.append(Finding("wrong-value", "error", name, f"is {said}", f"expected {expected}"))


def window(size: int | list[int], wrong: list[Finding]) -> tuple[int, int]:
    """Return the option ``size`` as height and width, or add what is wrong with it."""
    try:
        return pair(size, "size")
    except ValueError:
        add(wrong, "size", size, "a whole number from 1, or [height, width]")
        return 1, 1


def probability(p: float, wrong: list[Finding], name: str = "p") -> float:
    """Return a probability, or add what is wrong with it."""
    if not 0 <= p <= 1:
        add(wrong, name, p, "0 to 1")
    return p


def span(
    value: float | Sequence[float],
    name: str,
    wrong: list[Finding],
    *,
    about: float | None = None,
    least: float = -math.inf,
    most: float = math.inf,
) -> Span:
    """Return (low, high) from two numbers; or, where ``about`` is given, from one: that much below and above it.

    What reaches below ``least`` is cut off from one number, and a mistake in two.

    >>> span(1.5, "brightness", [], about=1, least=0), span([0.5, 2], "brightness", [])
    ((0, 2.5), (0.5, 2))
    """
    bounds = f" from {least:g}" if math.isfinite(least) else ""
    bounds += f" to {most:g}" if math.isfinite(most) else ""
    if isinstance(value, int | float):
        if about is not None and value >= 0 and about + value <= most and math.isfinite(value):
            return max(least, about - value), about + value
    elif len(value) == 2 and all(map(math.isfinite, value)) and least <= value[0] <= value[1] <= most:
        return value[0], value[1]
    one = (
        "a number from 0" + (f" to {most - about:g}" if math.isfinite(most) else "") + ", or "
        if about is not None
        else ""
    )
    add(wrong, name, value, f"{one}[low, high]{bounds}")
    return 0.0, 0.0


def positive(limits: Sequence[float], name: str, wrong: list[Finding]) -> Span:
    """Return (low, high) above 0, or add what is wrong with them."""
    if len(limits) != 2 or not 0 < limits[0] <= limits[1] < math.inf:
        add(wrong, name, limits, "[low, high] above 0")
        return 1.0, 1.0
    return limits[0], limits[1]


def fill_levels(fill: Fill, wrong: list[Finding], name: str = "fill") -> Fill:
    """Return the level of pixels that come from outside, one or one for each channel, or add what is wrong."""
    given = fill if isinstance(fill, list) else [fill]
    if not given or not all(0 <= level <= 255 for level in given):
        add(wrong, name, fill, "a level from 0 to 255, or one for each channel")
    return fill


def between(draws: np.ndarray, limits: Span) -> np.ndarray:
    """Return numbers uniform between two limits from draws in [0, 1), one after the other in memory.

    So they go the same way through numpy's functions in any batch.
    """
    return np.ascontiguousarray(limits[0] + draws * (limits[1] - limits[0]))


def below(draws: np.ndarray, count: int | np.ndarray) -> np.ndarray:
    """Return whole numbers (int64) uniform from 0 to below ``count`` from draws in [0, 1)."""
    return (draws * count).astype(np.int64)
