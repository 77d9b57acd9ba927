"""A 95% interval for each metric of a split, from its table of predictions alone, or the reason why there is none."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from torchwork import rng
from torchwork.metrics import resampling, weighted
from torchwork.metrics.resampling import Bounds, Integers
from torchwork.metrics.weighted import Figures, Share, Table

LEAST_UNITS = 20  # samples or groups
LEAST_COUNTED = 5  # samples of a proportion
LEAST_OF_LOSS = 100  # samples of a mean that rests on its rare large values
LEAST_RESTING = 8.0
MOST_CELLS = 300_000_000  # samples x passes x resamples: a few seconds
MOST_TIMES, LEAST_TIMES = 2000, 1000
_Z = 1.959963984540054

# metrics to which a single sample can add any amount
_TAILED = (
    "loss",
    "log_loss",
    "brier",
    "mae",
    "rmse",
    "r2",
    "explained_variance",
    "poisson_deviance",
    "character_error_rate",
    "median_absolute_error",
    "absolute_error_q90",
    "absolute_error_q95",
)
_RARE = ("loss", "log_loss", "brier")
_COUNT = "it is a count, not an estimate"
BIASED = "chance in its bins raises it, and drawing the samples anew raises it again"


def of_split(
    path: Path, data: Mapping[str, Any], metrics: Mapping[str, float], groups: Sequence[str] | None = None, by: str = ""
) -> dict[str, Any]:
    """Return the intervals of a split for ``intervals.json``.

    Args:
        path: A ``predictions-<split>.csv``; arrays of outputs stand beside it.
        data: The content of the run's ``data.json``.
        metrics: The split's part of ``metrics.json``: an interval is given only where it is around this very number.
        groups: The group of each row, where the split kept groups whole: then groups are drawn, not samples.
        by: What the groups are, as a column's name.

    Returns:
        ``n``, ``groups`` (``by`` and ``n``, or None) and ``metrics``: for each metric ``low``, ``high`` and ``method``
        ("Wilson" or "bootstrap"), or ``reason``. ``note`` where only a part of the samples was resampled.

    Proportions have Wilson's score interval; where there are groups, that of as many samples as tell the same as the
    grouped ones. All else has a bias-corrected, accelerated bootstrap interval (`torchwork.metrics.resampling`) of
    2,000 resamples, of large splits 1,000. Rules that were found by simulation: at least 20 samples or groups; 100
    samples for log loss and Brier score, which rest on few large values; 5 samples of each class for
    a mean over classes (where it is weighted, of the classes that hold at least half of the samples), 10 for a class's
    own F1. An interval has never zero width, and always contains the metric.
    """
    try:
        table = weighted.read(path, data)
        figures = weighted.figures(table)
    except (OSError, ValueError, KeyError, csv.Error, IndexError) as error:
        why = f"the predictions cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        return {"n": 0, "groups": None, "metrics": {name: {"reason": why} for name in metrics}}
    number = len(figures.rows)
    units = resampling.units_of(None if groups is None else [groups[row] for row in figures.rows], number)
    what = "samples" if groups is None else "groups"
    found: dict[str, dict[str, Any]] = {}
    for name in metrics:
        if (share := figures.shares.get(name)) is not None:
            found[name] = proportion(share, None if groups is None else units)
        elif why := _unresampled(figures, name, units, what, numbers="mae" in metrics):
            found[name] = {"reason": why}
    left = {name: float(value) for name, value in metrics.items() if name not in found and _is_number(value)}
    resampled, note = _resampled(table, figures, units, left, what)
    unknown = {"reason": "no interval is known for it"}
    described = None if groups is None else {"by": by, "n": int(units.max(initial=-1)) + 1}
    known = {**resampled, **found}
    said = {name: _around(metrics[name], known.get(name, unknown)) for name in metrics}
    return {"n": number, "groups": described, "metrics": said, **({"note": note} if note else {})}


def _around(value: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Return an interval if it contains its metric, else why there is none: it would tell of another number."""
    if "low" not in found or (_is_number(value) and found["low"] <= value <= found["high"]):
        return found
    said = f"{found['low']:.4g} to {found['high']:.4g}"
    return {"reason": f"the one that the samples give, {said}, does not contain it, so that it is no guide"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def wilson(hits: float, number: float, z: float = _Z) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion, by default of 95%.

    (p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n).

    Source: Wilson: "Probable inference, the law of succession, and statistical inference", 1927.

    Args:
        hits: How many of them.
        number: Of how many, more than 0.
        z: The quantile of the normal distribution.

    >>> [round(bound, 4) for bound in wilson(9, 10)]
    [0.5958, 0.9821]
    """
    share, part = hits / number, z * z / number
    middle = (share + part / 2) / (1 + part)
    half = z / (1 + part) * math.sqrt(max(share * (1 - share), 0.0) / number + part / (4 * number))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return 0.0 if hits == 0 else low, 1.0 if hits == number else high


def proportion(share: Share, units: Integers | None = None) -> dict[str, Any]:
    """Return the interval of a proportion; where ``units`` [N] groups samples, one that knows of it.

    Groups: n is divided by the design effect, the variance of the proportion between groups over that of as many
    single samples, at least 1; where all samples are hits, or none, each group counts as one sample. z is Student's t
    with groups - 1 degrees of freedom. After Korn and Graubard: "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data", 1998, with Wilson's interval.
    """
    number, hits = int(share.counted.sum()), int((share.hits & share.counted).sum())
    if number < LEAST_COUNTED:
        return {"reason": _too_few(number, "samples", LEAST_COUNTED)}
    if units is None:
        low, high = wilson(hits, number)
        return {"low": low, "high": high, "method": "Wilson"}
    sizes = np.bincount(units, share.counted)
    inside = np.bincount(units, share.hits & share.counted)[sizes > 0]
    sizes = sizes[sizes > 0]
    count = len(sizes)
    if count < LEAST_COUNTED:
        return {"reason": _too_few(count, "groups", LEAST_COUNTED)}
    rate = hits / number
    worth = float(count)
    if 0 < hits < number:
        between = count / (count - 1) * float(((inside - rate * sizes) ** 2).sum()) / number**2
        worth = min(number, rate * (1 - rate) / between) if between > 0 else number
    low, high = wilson(rate * worth, worth, float(special.stdtrit(count - 1, 0.975)))
    return {"low": low, "high": high, "method": "Wilson"}


def _too_few(number: int, what: str, least: int) -> str:
    return f"there {'is' if number == 1 else 'are'} {number} {what[:-1] if number == 1 else what}, fewer than {least}"


def _resampled(
    table: Table, figures: Figures, units: Integers, metrics: Mapping[str, float], what: str
) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the bootstrap intervals of metrics, and what there is to say about how they were made."""
    if not metrics:
        return {}, ""
    once = figures.weighted(np.ones((len(units), 1)))
    same = [
        name for name, value in metrics.items() if name in once and math.isclose(once[name][0], value, rel_tol=1e-6)
    ]
    number, cells = len(units), len(units) * figures.passes
    note, scale, estimates = "", 1.0, once
    if (
        cells * LEAST_TIMES > MOST_CELLS
        and (chosen := _some(units, number * MOST_CELLS // (cells * LEAST_TIMES))).any()
    ):
        figures = weighted.figures(table.only(np.flatnonzero(chosen)))
        units = np.unique(units[chosen], return_inverse=True)[1]
        scale, estimates = math.sqrt(len(units) / number), figures.weighted(np.ones((len(units), 1)))
        note = f"the bootstrap drew from {len(units):,} of the {number:,} samples, its widths scaled to all of them"
    times = MOST_TIMES if cells * MOST_TIMES <= MOST_CELLS else LEAST_TIMES
    count = int(units.max(initial=-1)) + 1
    resampled = resampling.evaluated(figures.weighted, resampling.counts(count, times, count), units)
    left_out = resampling.evaluated(figures.weighted, iter([resampling.left_out(units)]), units)
    found = {}
    for name in same:
        if why := _unresampled(figures, name, units, what, numbers="mae" in metrics):
            found[name] = {"reason": why}
        elif name in resampled:
            tailed, estimate = name.partition("/")[0] in _TAILED, float(estimates[name][0])
            bounds = resampling.bias_corrected(estimate, resampled[name], left_out[name], count, tailed=tailed)
            low, high = (metrics[name] + scale * (bound - estimate) for bound in (bounds.low, bounds.high))
            found[name] = _said(Bounds(low, high, bounds.rests_on), tailed, what)
    return found, note


def _some(units: Integers, number: int) -> NDArray[np.bool_]:
    """Return which samples are taken so that they are about ``number``, of whole units drawn at random."""
    order = rng.permutation(int(units.max()) + 1, "some")
    sizes = np.bincount(units)[order].cumsum()
    return np.isin(units, order[sizes <= number])


def _unresampled(figures: Figures, name: str, units: Integers, what: str, *, numbers: bool) -> str:
    """Return why a metric shall not be resampled, or nothing."""
    base = name.partition("/")[0]
    count = int(units.max(initial=-1)) + 1
    if base in ("support", "calibration_error"):
        return _COUNT if base == "support" else BIASED
    if name in figures.thin:
        return figures.thin[name]
    if base in _RARE and not (base == "loss" and numbers) and len(units) < LEAST_OF_LOSS:
        return f"{_too_few(len(units), 'samples', LEAST_OF_LOSS)}, and it rests on few large values"
    return _too_few(count, what, LEAST_UNITS) if count < LEAST_UNITS else ""


def _said(bounds: Bounds, tailed: bool, what: str) -> dict[str, Any]:
    if tailed and 0 < bounds.rests_on < LEAST_RESTING:
        return {"reason": f"it rests on about {bounds.rests_on:.0f} {what} that differ from the others by much"}
    if not bounds.low < bounds.high:
        return {"reason": f"drawing the {what} anew gives no other value, or is not defined often enough"}
    return {"low": bounds.low, "high": bounds.high, "method": "bootstrap"}
