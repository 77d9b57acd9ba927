"""One config trained several times, over seeds or folds: how far the mean of its figures can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from torchwork import rundir
from torchwork.metrics.paired import Difference

_EQUAL = 1e-12  # values that are no farther apart have no spread to tell an interval from


def overlap(directories: Sequence[Path], split: str) -> float:
    """Return by how much runs share what they learnt from: the ratio of samples held out to samples trained on.

    0 where all runs train on the same samples, so that nothing but the seed differs. Where they train on different
    ones, their training sets overlap, and the more so the fewer are held out: for the split that is judged, if it
    changes from run to run, else for val.
    """
    sides = [_sides(path) for path in directories]
    if all(side.get("train") == sides[0].get("train") for side in sides):
        return 0.0
    same = all(side.get(split) == sides[0].get(split) for side in sides)
    ratios = [len(side.get("val" if same else split, ())) / max(1, len(side.get("train", ()))) for side in sides]
    return float(np.mean(ratios))


def _sides(path: Path) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for row in rundir.read_csv(path / rundir.SPLIT):
        found.setdefault(row["split"], set()).add(row["id"])
    return {split: frozenset(ids) for split, ids in found.items()}


def interval(values: Sequence[float], shared: float = 0.0) -> tuple[float, float]:
    """Return the 95% interval of the mean of n values, by t with n − 1 degrees of freedom; NaN where all are equal.

    The variance of the mean is s² (1/n + shared). Runs that train on different parts of the same data are not
    independent: without ``shared`` (see `overlap`) the interval would be too narrow.

    Source: Nadeau and Bengio: "Inference for the generalization error", 2003; for repeated folds Bouckaert and Frank:
    "Evaluating the replicability of significance tests for comparing learning algorithms", 2004.

    >>> low, high = interval([0.90, 0.92, 0.94])
    >>> round(low, 3), round(high, 3)
    (0.87, 0.97)
    >>> low, high = interval([0.90, 0.92, 0.94], shared=0.5)
    >>> round(low, 3), round(high, 3)
    (0.841, 0.999)
    """
    if len(values) < 2 or np.ptp(values) < _EQUAL:
        return math.nan, math.nan
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * _error(values, shared)
    return mean - half, mean + half


def _error(values: Sequence[float], shared: float) -> float:
    """Return the standard error of a mean."""
    return float(np.std(values, ddof=1) * math.sqrt(1 / len(values) + shared))


def difference(first: Sequence[float], second: Sequence[float], shared: float = 0.0) -> Difference:
    """Return the mean difference of two configs over the same seeds and folds, with its 95% interval and p.

    By the corrected resampled t-test, see `interval`, on the differences of each pair.

    >>> difference([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]).reason
    'the difference is the same every time'
    """
    differences = np.subtract(first, second)
    value = float(differences.mean())
    if np.ptp(differences) < _EQUAL:
        return Difference(value, math.nan, math.nan, math.nan, "the difference is the same every time")
    low, high = interval(differences.tolist(), shared)
    t = value / _error(differences.tolist(), shared)
    return Difference(value, low, high, float(2 * stats.t.sf(abs(t), len(differences) - 1)))
