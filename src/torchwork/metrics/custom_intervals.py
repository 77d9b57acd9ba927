"""Intervals of a user's own metrics and of torchmetrics': called on samples drawn anew, or the reason why not."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torchwork import rng
from torchwork.metrics import custom, custom_arrays, intervals, resampling
from torchwork.metrics.custom import Component, Metric
from torchwork.metrics.custom_arrays import Arrays
from torchwork.metrics.resampling import Integers
from torchwork.metrics.table import read_columns
from torchwork.types import InputError

TIMES, BLOCKS = 500, 100  # samples drawn anew, and left out in turn
MOST_SECONDS = 10.0  # of all calls of a metric
LEAST_UNITS, LEAST_OF_CLASS, LEAST_RESTING = 20, 5, 10.0
MOST_SHIFT = 0.35  # standard deviations


def of_split(
    specs: Sequence[Component],
    path: Path,
    data: Mapping[str, Any],
    metrics: Mapping[str, float],
    groups: Sequence[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return for each number of a config's metrics ``low``, ``high`` and ``method``, or a ``reason``.

    Nothing is known of such a metric, so it is called: on 500 data sets of samples drawn anew with replacement, and on
    up to 100 that lack some, for a bias-corrected and accelerated interval (`torchwork.metrics.resampling`). There is
    none where these calls would take more than 10 seconds; of fewer than 20 samples or groups, or 5 of a class; where
    drawing anew moves the number itself to one side, as that of a maximum; or where few samples make all of its spread.

    Args:
        specs: Components, as for `torchwork.metrics.custom.load`.
        path: A ``predictions-<split>.csv``; arrays of outputs stand beside it.
        data: The content of the run's ``data.json``.
        metrics: The split's part of ``metrics.json``.
        groups: The group of each row, where the split kept groups whole.
    """
    if not specs:
        return {}
    arrays = custom_arrays.read(path, data)
    units = resampling.units_of(read_columns(path)["id"] if groups is None else groups, len(arrays.target))
    found: dict[str, dict[str, Any]] = {}
    for index, spec in enumerate(specs):
        try:
            metric = custom.load_one(spec, data, f"metrics[{index}]")
        except InputError:  # it has no number either
            continue
        names = [name for name in metrics if name == metric.name or name.startswith(f"{metric.name}/")]
        if "calibration" in str(spec["name"]).lower():  # of 100 simulated intervals of it 60 contained the truth
            found |= {name: {"reason": intervals.BIASED} for name in names}
        elif names:
            found |= _of_metric(metric, arrays, units, {name: metrics[name] for name in names}, groups is not None)
    return found


def _of_metric(
    metric: Metric, arrays: Arrays, units: Integers, values: Mapping[str, float], grouped: bool
) -> dict[str, dict[str, Any]]:
    count, what = int(units.max(initial=-1)) + 1, "groups" if grouped else "samples"
    rare = {name: _too_rare(name.removeprefix(metric.name).removeprefix("/"), arrays) for name in values}
    if count < LEAST_UNITS or all(rare.values()):
        few = f"there are {count} {what}, fewer than {LEAST_UNITS}" if count < LEAST_UNITS else ""
        return {name: {"reason": few or rare[name]} for name in values}
    seconds, again = _tried(metric, arrays)
    if any(again.get(name, math.nan) != value for name, value in values.items()):
        return {name: {"reason": "called again on the same samples it gives another number"} for name in values}
    calls = TIMES + min(count, BLOCKS)
    if seconds * calls > MOST_SECONDS:
        why = f"one call takes {seconds:.2g} s, and an interval needs {calls} of them: more than {MOST_SECONDS:g} s"
        return {name: {"reason": why} for name in values}
    drawn, left_out = _drawn(metric, arrays, units, list(values))
    found = {}
    for name, value in values.items():
        bounds = resampling.bias_corrected(value, drawn[name], left_out[name], count)
        why = rare[name] or _untold(value, drawn[name], bounds, what)
        found[name] = {"reason": why} if why else {"low": bounds.low, "high": bounds.high, "method": "bootstrap"}
    return found


def _too_rare(part: str, arrays: Arrays) -> str:
    """Return why classes or labels are too rare for draws to have them all, or nothing."""
    if arrays.task not in ("classification", "binary", "embedding", "multilabel") or isinstance(arrays.target, list):
        return ""
    if arrays.task == "multilabel":
        support = dict(zip(arrays.names, (np.asarray(arrays.target) > 0).sum(0).tolist(), strict=True))
    else:
        counted = np.bincount(np.asarray(arrays.target), minlength=len(arrays.names)).tolist()
        support = {name: number for name, number in zip(arrays.names, counted, strict=False) if number}
    name = part if part in support else min(support, key=lambda one: support[one], default="")
    number = support.get(name, 0)
    if number >= LEAST_OF_CLASS:
        return ""
    return f"{name} has {number} sample{'s' * (number != 1)}, fewer than {LEAST_OF_CLASS}"


def _tried(metric: Metric, arrays: Arrays) -> tuple[float, dict[str, float]]:
    """Return how long a call takes, the quickest of three, and what the last gave."""
    found, times = {}, []
    for _ in range(3):
        started = time.perf_counter()
        found = custom.called(metric, arrays)
        times.append(time.perf_counter() - started)
        if times[-1] * TIMES > 10 * MOST_SECONDS:
            break
    return min(times), found


def _drawn(
    metric: Metric, arrays: Arrays, units: Integers, names: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the numbers of samples drawn anew, and of those with some left out; NaN where there is none."""
    count = int(units.max()) + 1
    order = np.argsort(units, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(units))[:-1])
    draws = np.random.default_rng(rng.seed("resamples", "own", count))
    chosen = [draws.integers(count, size=count) for _ in range(TIMES)]
    kept = [np.flatnonzero(column) for column in resampling.left_out(units, BLOCKS).T]

    def numbers(parts: Sequence[Integers]) -> dict[str, np.ndarray]:
        found: dict[str, list[float]] = {name: [] for name in names}
        for part in parts:
            rows = order[part] if len(order) == count else np.concatenate([members[unit] for unit in part])
            values = custom.called(metric, custom_arrays.taken(arrays, rows))
            for name in names:
                found[name].append(values.get(name, math.nan))
        return {name: np.array(column) for name, column in found.items()}

    return numbers(chosen), numbers(kept)


def _untold(value: float, drawn: np.ndarray, bounds: resampling.Bounds, what: str) -> str:
    """Return why an interval says nothing, or nothing."""
    if not bounds.low < bounds.high or not bounds.low <= value <= bounds.high:
        return f"drawing the {what} anew gives no other value, or is not defined often enough"
    known = drawn[np.isfinite(drawn)]
    if abs(known.mean() - value) > MOST_SHIFT * known.std():
        return f"drawing the {what} anew moves it to one side, as it does a maximum or a measure of its own chance"
    if bounds.rests_on < LEAST_RESTING:
        return f"it rests on about {bounds.rests_on:.0f} {what}"
    return ""
