"""Numbers under resampling: how often each sample counts in each resample, and intervals from what comes of it.

A metric is a function of weights [N, B]: how often each of N samples counts in each of B resamples, all at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from torchwork import rng

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Weighted = Callable[[Floats], Mapping[str, Floats]]  # weights [N, B] to a number for each of B resamples, by metric

BLOCKS = 200
_CELLS = 2_000_000  # of weights at a time: 16 MB
_NORMAL = NormalDist()


class Bounds(NamedTuple):
    """An interval, and on how many samples (or groups) it rests; NaN where there is none."""

    low: float
    high: float
    rests_on: float


def units_of(groups: Sequence[str] | None, num: int) -> Integers:
    """Return of which unit each of ``num`` samples is: what is drawn together. Without groups each is its own.

    >>> units_of(["b", "a", "b"], 3).tolist()
    [1, 0, 1]
    """
    return np.arange(num) if groups is None else np.unique(np.asarray(groups, str), return_inverse=True)[1].reshape(-1)


def counts(num: int, times: int, *key: str | int) -> Iterator[Floats]:
    """Yield how often each of ``num`` units is drawn, in ``times`` resamples of ``num`` each: float64 [num, b] at once.

    The draws are a function of ``key`` alone.

    >>> [part.sum(0).tolist() for part in counts(4, 3, "test")]
    [[4.0, 4.0, 4.0]]
    """
    draws = np.random.default_rng(rng.seed("resamples", *key))
    most = max(1, _CELLS // max(num, 1))
    for start in range(0, times, most):
        width = min(most, times - start)
        drawn = draws.integers(num, size=(width, num)) * width + np.arange(width)[:, None]
        yield np.bincount(drawn.reshape(-1), minlength=num * width).reshape(num, width).astype(np.float64)


def evaluated(weighted: Weighted, parts: Iterator[Floats], units: Integers) -> dict[str, Floats]:
    """Return each metric over all resamples, from the weights of the units."""
    alone = len(units) and bool((units == np.arange(len(units))).all())
    found = [weighted(part if alone else part[units]) for part in parts]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]} if found else {}


def left_out(units: Integers, most: int = BLOCKS) -> Floats:
    """Return weights [units, J] that leave out one unit each, or one of ``most`` blocks of units where there are more.

    >>> left_out(np.arange(3)).sum(0).tolist()
    [2.0, 2.0, 2.0]
    """
    num = int(units.max(initial=-1)) + 1
    blocks = min(num, most)
    block = np.empty(num, np.int64)
    block[rng.permutation(num, "blocks")] = np.arange(num) * blocks // max(num, 1)
    return 1.0 - (block[:, None] == np.arange(blocks))


def bias_corrected(estimate: float, resampled: Floats, without: Floats, units: int, *, tailed: bool = False) -> Bounds:
    """Return the bias-corrected and accelerated (BCa) 95% interval of a number.

    The levels of the bootstrap distribution are moved by its bias z0 and the skewness a of the jackknife: level =
    Φ(z0 + (z0 + z) / (1 - a (z0 + z))). z is that of Student's t with n - 1 degrees of freedom, times
    sqrt(n / (n - 1)), as the plain bootstrap is too narrow for few samples; n is how many the spread ``rests_on``.

    Where a few samples make most of a loss that has no bound, those of the same kind that were not met are missing from
    every resample: with ``tailed`` the side of the longer tail is moved on by twice what the most influential sample
    adds, as far as that is more than two standard deviations of the influences.

    Sources: Efron: "Better bootstrap confidence intervals", 1987; Hesterberg: "What teachers should know about the
    bootstrap", 2015, section 5.3 (the t). That with the tail was found by simulation.

    Args:
        estimate: The number of the whole sample.
        resampled: [B], NaN where it is undefined.
        without: [J], the number without one unit or block each.
        units: How many samples or groups there are.
        tailed: Whether single samples can have any influence.

    Returns:
        The bounds, NaN where there are none, and ``rests_on``: the number of units that the spread comes from, as the
        participation ratio (sum |d|)² / sum d² of the jackknife's differences d: 0.64 n for a mean of normal numbers,
        about 4 k for a share with k misses.
    """
    known = resampled[np.isfinite(resampled)]
    differences = without.mean() - without
    spread = float((differences**2).sum())
    if units < 2 or len(known) < max(2.0, 0.95 * len(resampled)) or not spread > (1e-12 * estimate) ** 2:
        return Bounds(math.nan, math.nan, 0.0)
    rests_on = float(np.abs(differences).sum() ** 2 / spread)
    tiny = 1e-12 * max(abs(estimate), float(np.ptp(known)))
    below = float(((known < estimate - tiny).mean() + (known <= estimate + tiny).mean()) / 2)
    if not 0 < below < 1:
        return Bounds(math.nan, math.nan, rests_on)
    shift, acceleration = _NORMAL.inv_cdf(below), float((differences**3).sum()) / (6 * spread**1.5)
    freedom = max(min(units, rests_on) - 1, 1.0)
    z = float(special.stdtrit(freedom, 0.975)) * math.sqrt((freedom + 1) / freedom)
    levels = [_level(shift, acceleration, side, 0.5 / len(known)) for side in (-z, z)]
    low, high = (float(bound) for bound in np.quantile(known, levels, method="median_unbiased"))
    if tailed:
        above, under = differences.max(), -differences.min()
        allowance = 2 * max(0.0, float(max(above, under)) - 2 * math.sqrt(spread / len(differences)))
        low, high = (low, high + allowance) if above > under else (low - allowance, high)
    return Bounds(low, high, rests_on)


def _level(shift: float, acceleration: float, side: float, least: float) -> float:
    """Return the level of the bootstrap distribution at which a bound lies, kept off its ends."""
    moved = shift + side
    bent = 1 - acceleration * moved
    level = _NORMAL.cdf(shift + moved / bent) if bent > 0 else float(side > 0)
    return min(max(level, least), 1 - least)
