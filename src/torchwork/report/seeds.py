"""Two seeds are two models: runs that differ in the seed alone are one config, and configs are compared over seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from torchwork.metrics import paired
from torchwork.report import names
from torchwork.report.figures import figure
from torchwork.report.shared import p_value

ENOUGH = 5  # of each config: the t of fewer is so wide that only great differences show
_BESIDE = ("seed", "name", "log", "device")  # keys of a config that make no other config of it


@dataclass(frozen=True)
class Group:
    """Runs of one config: their seeds, and the value of a metric for each."""

    name: str
    runs: list[str]
    seeds: list[int]
    values: list[float]

    @property
    def mean(self) -> float:
        """The mean over the seeds; NaN where there are none."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation of the sample; NaN of a single seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan


def config_key(config: Mapping[str, Any]) -> str:
    """Return what is equal for runs of one config, whatever their seeds.

    >>> config_key({"seed": 1, "name": "a", "loss": "x"}) == config_key({"seed": 2, "loss": "x"})
    True
    """
    return json.dumps({key: value for key, value in config.items() if key not in _BESIDE}, sort_keys=True, default=str)


def grouped(configs: Mapping[str, Mapping[str, Any]], values: Mapping[str, float]) -> tuple[list[Group], list[str]]:
    """Return the groups of runs of one config, and what there is to say about runs that do not count.

    Args:
        configs: The config of each run, by its name.
        values: The metric that is compared; runs without it do not count.
    """
    runs: dict[str, dict[int, str]] = {}
    notes = []
    for name, config in configs.items():
        if name not in values:
            continue
        seed, known = int(config.get("seed") or 0), runs.setdefault(config_key(config), {})
        if seed in known:
            notes.append(f"{name} has the config and the seed of {known[seed]}: it counts as the same model.")
        else:
            known[seed] = name
    found = [
        Group(next(iter(own.values())), list(own.values()), list(own), [values[name] for name in own.values()])
        for own in runs.values()
    ]
    return found, notes


def welch(first: Sequence[float], second: Sequence[float]) -> paired.Difference:
    """Return the difference of two means with its 95% interval and p, by Welch's t-test.

    Source: Welch: "The generalization of 'Student's' problem when several different population variances are
    involved", 1947.

    >>> welch([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]).value
    -1.0
    """
    value = float(np.mean(first) - np.mean(second))
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return paired.Difference(value, math.nan, math.nan, math.nan, "the seeds of each give one and the same value")
    tested = stats.ttest_ind(first, second, equal_var=False)
    interval = tested.confidence_interval(0.95)
    return paired.Difference(value, float(interval.low), float(interval.high), float(tested.pvalue))


def sentences(groups: Sequence[Group], metric: str) -> list[str]:
    """Return what comparing the configs over their seeds says."""
    said = names.metric(metric)
    start = "Two seeds are two models: a test of two runs compares trained models, not the configs that they come from."
    if len(groups) < 2:
        return [start, *(_alone(group, said) for group in groups)]
    few = [group for group in groups if len(group.seeds) < ENOUGH]
    if few:
        counts = ", ".join(f"{group.name} has {len(group.seeds)}" for group in few)
        return [start, f"To compare configs, train {ENOUGH} seeds of each or more: {counts}."]
    pairs = [(one, other) for place, one in enumerate(groups) for other in groups[place + 1 :]]
    tests = [welch(one.values, other.values) for one, other in pairs]
    known = [place for place, test in enumerate(tests) if not math.isnan(test.p)]
    corrected = dict(zip(known, paired.holm([tests[place].p for place in known]), strict=True))
    return [
        start,
        *(
            _said(*pair, test, corrected.get(place), said, len(pairs))
            for place, (pair, test) in enumerate(zip(pairs, tests, strict=True))
        ),
    ]


def _alone(group: Group, metric: str) -> str:
    number = len(group.seeds)
    spread = f" ± {figure(group.deviation)} (standard deviation)" if number > 1 else ""
    seeds = f"{number} seed{'s' if number > 1 else ''}"
    return f"All runs are of one config: over {seeds} its {metric} is {figure(group.mean)}{spread}."


def _said(first: Group, second: Group, test: paired.Difference, p: float | None, metric: str, number: int) -> str:
    means = f"{first.name} has a mean {metric} of {figure(first.mean)} over {len(first.seeds)} seeds, {second.name} "
    means += f"{figure(second.mean)} over {len(second.seeds)}."
    if p is None:
        return f"{means} No test of it: {test.reason}."
    verdict = "more" if p < 0.05 else "not more"
    holm = ", after Holm" if number > 1 else ""
    sign = 1 if test.value >= 0 else -1
    low, high = sorted((sign * test.low, sign * test.high))
    span = f"{low:.3g} to {high:.3g}".replace("-", "−")
    return (
        f"{means} The difference of {abs(test.value):.3g} ({span}) is {verdict} than seeds would give: "
        f"p {p_value(p, equals=True)} (Welch's t-test{holm})."
    )
