"""Two seeds are two models: runs that differ in the seed alone are one config, and configs are compared over seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from torchwork.metrics import paired
from torchwork.report import names, repeated
from torchwork.report.figures import figure
from torchwork.report.shared import p_value

ENOUGH = 5  # of each config: the t of fewer is so wide that only great differences show
_BESIDE = ("seed", "name", "log", "device")  # keys of a config that make no other config of it


@dataclass(frozen=True)
class Group:
    """Runs of one config: their seeds, and folds where there are such, and the value of a metric for each.

    ``overlap`` says by how much they learnt from the same samples, see `torchwork.report.repeated.overlap`.
    """

    name: str
    runs: list[str]
    seeds: list[int]
    values: list[float]
    folds: list[int | None]
    overlap: float = 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the mean; NaN of a single run."""
        return repeated.interval(self.values, self.overlap)

    @property
    def count(self) -> str:
        """How many runs, in words."""
        number, distinct = len(self.runs), len(set(self.seeds))
        if self.folds[0] is None:
            return f"{number} seed{'s' if number > 1 else ''}"
        folds = f"{number // distinct} fold{'s' if number // distinct > 1 else ''}"
        return folds if distinct == 1 else f"{distinct} seeds of {folds}"

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
    kept = {key: value for key, value in config.items() if key not in _BESIDE}
    if fold_of(config) is not None:
        kept["data"] = {**config["data"], "split": {**config["data"]["split"], "fold": None}}
    return json.dumps(kept, sort_keys=True, default=str)


def fold_of(config: Mapping[str, Any]) -> int | None:
    """Return which fold is val; None where a config has no folds.

    >>> fold_of({"data": {"split": {"folds": 5, "fold": 2}}}), fold_of({})
    (2, None)
    """
    data = config.get("data")
    split = data.get("split") if isinstance(data, Mapping) else None
    fold = split.get("fold") if isinstance(split, Mapping) and split.get("folds") is not None else None
    return fold if isinstance(fold, int) else None


def with_overlap(group: Group, directories: Sequence[Path], split: str) -> Group:
    """Return the group with what its runs share; nothing is known of runs whose split.csv cannot be read."""
    try:
        return replace(group, overlap=repeated.overlap(directories, split))
    except (OSError, KeyError, ValueError):
        return group


def grouped(configs: Mapping[str, Mapping[str, Any]], values: Mapping[str, float]) -> tuple[list[Group], list[str]]:
    """Return the groups of runs of one config, and what there is to say about runs that do not count.

    Args:
        configs: The config of each run, by its name.
        values: The metric that is compared; runs without it do not count.
    """
    runs: dict[str, dict[tuple[int, int | None], str]] = {}
    notes = []
    for name, config in configs.items():
        if name not in values:
            continue
        which, known = (int(config.get("seed") or 0), fold_of(config)), runs.setdefault(config_key(config), {})
        if which in known:
            notes.append(f"{name} has the config and the seed of {known[which]}: it counts as the same model.")
        else:
            known[which] = name
    found = []
    for own in runs.values():
        all_names, which_seeds, which_folds = list(own.values()), [seed for seed, _ in own], [fold for _, fold in own]
        found.append(
            Group(_called(all_names, values), all_names, which_seeds, [values[name] for name in all_names], which_folds)
        )
    return found, notes


def _called(runs: Sequence[str], others: Iterable[str]) -> str:
    """Return the folder that holds these runs and no other, else the first of them.

    >>> _called(["wide/1", "wide/2"], ["wide/1", "wide/2", "deep/1"]), _called(["a/1", "a/2"], ["a/1", "a/2", "a/3"])
    ('wide', 'a/1')
    """
    folder = runs[0].rpartition("/")[0]
    inside = [name for name in others if name.rpartition("/")[0] == folder]
    return folder if folder and len(runs) > 1 and sorted(inside) == sorted(runs) else runs[0]


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
    few = [group for group in groups if len(group.runs) < ENOUGH]
    if few:
        counts = ", ".join(f"{group.name} has {len(group.runs)}" for group in few)
        return [start, f"To compare configs, train {ENOUGH} seeds of each or more: {counts}."]
    pairs = [(one, other) for place, one in enumerate(groups) for other in groups[place + 1 :]]
    tests = [_tested(one, other) for one, other in pairs]
    known = [place for place, test in enumerate(tests) if not math.isnan(test.p)]
    corrected = dict(zip(known, paired.holm([tests[place].p for place in known]), strict=True))
    return [
        start,
        *(
            _said(*pair, test, corrected.get(place), said, len(pairs))
            for place, (pair, test) in enumerate(zip(pairs, tests, strict=True))
        ),
    ]


def _tested(first: Group, second: Group) -> paired.Difference:
    """Test two configs: pair by pair where both have the same seeds and folds, else by their means alone."""
    if not _are_paired(first, second):
        return welch(first.values, second.values)
    values = dict(zip(_which(second), second.values, strict=True))
    others = [values[which] for which in _which(first)]
    return repeated.difference(first.values, others, max(first.overlap, second.overlap))


def _which(group: Group) -> list[tuple[int, int | None]]:
    return list(zip(group.seeds, group.folds, strict=True))


def _are_paired(first: Group, second: Group) -> bool:
    """Tell whether two configs were trained on the same parts of the data: then these differ in neither."""
    return set(_which(first)) == set(_which(second)) and (first.folds[0] is not None or first.overlap > 0)


def _alone(group: Group, metric: str) -> str:
    spread = f" ± {figure(group.deviation)} (standard deviation)" if len(group.runs) > 1 else ""
    return f"All runs are of one config: over {group.count} its {metric} is {figure(group.mean)}{spread}."


def _said(first: Group, second: Group, test: paired.Difference, p: float | None, metric: str, number: int) -> str:
    means = f"{first.name} has a mean {metric} of {figure(first.mean)} over {first.count}, {second.name} "
    means += f"{figure(second.mean)} over {second.count}."
    if p is None:
        return f"{means} No test of it: {test.reason}."
    verdict = "more" if p < 0.05 else "not more"
    way = "Welch's t-test"
    holm = ", after Holm" if number > 1 else ""
    sign = 1 if test.value >= 0 else -1
    low, high = sorted((sign * test.low, sign * test.high))
    span = f"{low:.3g} to {high:.3g}".replace("-", "−")
    return (
        f"{means} The difference of {abs(test.value):.3g} ({span}) is {verdict} than seeds would give: "
        f"p {p_value(p, equals=True)} ({'corrected t-test of pairs' if _are_paired(first, second) else way}{holm})."
    )
