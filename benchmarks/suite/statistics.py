"""Ratios of paired measurements: their median, and a bootstrap interval of it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A median over blocks with its 95% interval."""

    median: float
    low: float
    high: float
    blocks: int


def estimate(values: Sequence[float], seed: int = 0, resamples: int = 10_000) -> Estimate:
    """Return the median of values, one from each block, and the percentile interval of medians of resampled blocks.

    Source: Efron: "Bootstrap methods: another look at the jackknife", 1979.

    >>> estimate([2.0, 2.0, 2.0])
    Estimate(median=2.0, low=2.0, high=2.0, blocks=3)
    """
    found = np.asarray(values, float)
    if not len(found):
        raise ValueError("no block has both measurements")
    drawn = np.random.default_rng(seed).integers(0, len(found), (resamples, len(found)))
    low, high = np.quantile(np.median(found[drawn], axis=1), [0.025, 0.975], method="inverted_cdf")
    return Estimate(float(median(found)), float(low), float(high), len(found))
