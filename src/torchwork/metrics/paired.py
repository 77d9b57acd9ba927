"""Two models on the same samples: is the difference more than chance would give?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from torchwork import rng
from torchwork.metrics import resampling
from torchwork.metrics.resampling import Floats, Integers, Weighted

LEAST_UNITS = 20
EXACT_UP_TO = 1000  # discordant samples: beyond, the normal distribution is the same and takes no time
_TIMES = 2000


class Discordance(NamedTuple):
    """How many samples only the first, and only the second model has right, and McNemar's p."""

    first: int
    second: int
    p: float


class Difference(NamedTuple):
    """A metric of the first model less that of the second, its 95% interval and the p of no difference.

    ``reason`` says why there is no test; then the other numbers but ``value`` are NaN.
    """

    value: float
    low: float
    high: float
    p: float
    reason: str = ""


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Discordance:
    """Return McNemar's test of two models that were right on samples [N] each.

    Under no difference the samples that one model alone has right are as often the first's as the second's: exact
    binomial of up to 1,000 of them, beyond (|b - c| - 1)² / (b + c) against chi-squared with one degree of freedom.
    p is 1 where there are none.

    Source: McNemar: "Note on the sampling error of the difference between correlated proportions", 1947.

    >>> mcnemar(np.array([True] * 8 + [False]), np.array([False] * 8 + [True])).p  # doctest: +ELLIPSIS
    0.0390...
    """
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    if b + c == 0:
        return Discordance(0, 0, 1.0)
    if b + c <= EXACT_UP_TO:
        return Discordance(b, c, float(stats.binomtest(b, b + c).pvalue))
    return Discordance(b, c, float(stats.chi2.sf((abs(b - c) - 1) ** 2 / (b + c), 1)))


def grouped_shares(first: NDArray[np.bool_], second: NDArray[np.bool_], units: Integers) -> float:
    """Return the p of no difference between two proportions on samples [N] that stand in groups, as McNemar's.

    The difference of each group is as often the one's as the other's: signs are changed at random, all of them of up to
    12 groups that differ, else 10,000 times; the share of sums that are as far from 0 as the one found.
    """
    sums = np.bincount(units, first.astype(np.float64) - second.astype(np.float64))
    sums = sums[sums != 0]
    if not len(sums):
        return 1.0
    if len(sums) <= 12:
        signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * len(sums))).reshape(len(sums), -1)
        return float((np.abs(sums @ signs) >= abs(sums.sum()) - 1e-9).mean())
    signs = np.random.default_rng(rng.seed("signs", len(sums))).integers(2, size=(len(sums), 10_000)) * 2.0 - 1
    return float((1 + (np.abs(sums @ signs) >= abs(sums.sum()) - 1e-9).sum()) / 10_001)


def bootstrap(
    first: Weighted, second: Weighted, num: int, groups: Sequence[str] | None = None
) -> dict[str, Difference]:
    """Return the difference of each metric that two models have on the same samples, by drawing these anew.

    Both models see the same draws. The interval is bias-corrected and accelerated; p is twice the part of the
    studentised differences, d / s with s the standard deviation of the resampled d, by Student's t with as many degrees
    of freedom as units that the difference rests on, less one, and not below 0.05 where the interval contains 0.

    Args:
        first: The metrics of the first model as functions of weights [N, B], as `torchwork.metrics.weighted` gives.
        second: Those of the second.
        num: N.
        groups: The group of each sample, where groups were kept whole: groups are drawn then.
    """
    units = resampling.units_of(groups, num)
    count = int(units.max(initial=-1)) + 1
    once = _less(first, second)(np.ones((num, 1)))
    if count < LEAST_UNITS:
        what = "samples" if groups is None else "groups"
        reason = f"there are {count} {what}, fewer than {LEAST_UNITS}"
        return {name: _without(float(value[0]), reason) for name, value in once.items()}
    times = min(_TIMES, max(1000, 40_000_000 // num))
    drawn = resampling.evaluated(_less(first, second), resampling.counts(count, times, "paired", count), units)
    left_out = resampling.evaluated(_less(first, second), iter([resampling.left_out(units)]), units)
    return {name: _tested(float(once[name][0]), drawn[name], left_out[name], count) for name in once}


def _less(first: Weighted, second: Weighted) -> Weighted:
    def weighted(weights: Floats) -> Mapping[str, Floats]:
        one, other = first(weights), second(weights)
        return {name: one[name] - other[name] for name in one if name in other}

    return weighted


def _without(value: float, reason: str) -> Difference:
    return Difference(value, math.nan, math.nan, math.nan, reason)


def _tested(value: float, drawn: Floats, left_out: Floats, units: int) -> Difference:
    bounds = resampling.bias_corrected(value, drawn, left_out, units)
    known = drawn[np.isfinite(drawn)]
    spread = float(known.std()) if len(known) else 0.0
    if not bounds.low < bounds.high or spread == 0:
        same = value == 0 and len(known) == len(drawn) and spread == 0
        return _without(value, "the two are the same on every sample" if same else "too few samples tell the two apart")
    freedom = max(min(float(units), bounds.rests_on) - 1, 1.0)
    p = float(2 * special.stdtr(freedom, -abs(value) / (spread * math.sqrt((freedom + 1) / freedom))))
    return Difference(value, bounds.low, bounds.high, max(p, 0.05) if bounds.low <= 0 <= bounds.high else p)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values made larger so that all of them together err in at most as many cases as each alone.

    The smallest times their number m, the next times m - 1, and so on, none below the one before, at most 1.

    Source: Holm: "A simple sequentially rejective multiple test procedure", 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(values, kind="stable")
    steps = np.arange(len(values), 0, -1) * np.asarray(values, np.float64)[order]
    found = np.empty(len(values))
    found[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return found.tolist()
