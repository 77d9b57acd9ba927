"""How many samples each class has, in each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from torchwork.data.target import sorted_names
from torchwork.data.wording import named
from torchwork.types import Finding, Source

_WHERE = "data.source"
WHOLE = "all"  # the one split where there are none

# A class of fewer samples than this in a split is rare: one sample is more than a fifth of its figures.
FEW = 5
# A class is imbalanced from so many times the samples of another on.
MANY_TIMES = 10

Counts = dict[str, dict[str, int]]


def counts(source: Source, splits: Mapping[str, np.ndarray] | None) -> Counts:
    """Return the samples of each class by split, the classes in their own order; {} where targets are no classes.

    A sample without a target belongs to none.
    """
    if source.targets is None or source.schema.target != "class":
        return {}
    names = [str(name) for name in source.targets.tolist()]
    listed = source.schema.classes
    if listed and source.targets.dtype.kind in "iu":  # numbers of the listed classes
        names = [listed[int(name)] if 0 <= int(name) < len(listed) else name for name in names]
    order = listed or sorted_names(source.targets)
    found = {}
    for part, ids in (splits or {WHOLE: np.arange(len(source))}).items():
        counted = Counter(names[index] for index in ids.tolist() if source.targets[index] is not None)
        found[part] = {name: counted[name] for name in dict.fromkeys([*order, *counted])}
    return found


def findings(found: Counts) -> list[Finding]:
    """Return what is to be said of the samples of each class by split."""
    if not found:
        return []
    sums = {name: sum(part.get(name, 0) for part in found.values()) for part in found.values() for name in part}
    there = [name for name, count in sums.items() if count]
    if len(there) < 2:
        message = f"there is one class only ({there[0]})" if there else "there are no classes"
        return [Finding("one-class", "error", _WHERE, message, "a classifier needs two")]
    return [*_missing(found, {name: sums[name] for name in there}), *_rare(found), *_imbalance(found)]


def _missing(found: Counts, sums: Mapping[str, int]) -> list[Finding]:
    said = []
    for part, counted in found.items():
        lacking = [name for name in sums if not counted.get(name)]
        if not lacking:
            continue
        if part == "train":
            message = f"train has no samples of {named(lacking)}, which other splits have"
            fix = "add some, or remove the class from the other splits: it cannot be learned"
            said.append(Finding("missing-class", "error", _WHERE, message, fix))
        else:
            message = f"{part} has no samples of {named(lacking)}"
            share = sum(counted.values()) / sum(sums.values())
            enough = any(sums[name] * share >= 1 for name in lacking)  # of fewer, stratified may give none either
            way = "by: stratified gives each split its share" if enough else "there are too few for each split"
            fix = f"its figures will say nothing of them; {way}"
            said.append(Finding("missing-class", "warning", _WHERE, message, fix))
    return said


def _rare(found: Counts) -> list[Finding]:
    said = []
    for part, counted in found.items():
        rare = [f"{name} ({count})" for name, count in counted.items() if 0 < count < FEW]
        if rare:
            message = f"{'there are' if part == WHOLE else f'{part} has'} fewer than {FEW} samples of {named(rare)}"
            fix = "add samples, or join classes: the figures of so few mean little"
            said.append(Finding("rare-class", "warning", _WHERE, message, fix))
    return said


def _imbalance(found: Counts) -> list[Finding]:
    part = "train" if "train" in found else next(iter(found))
    present = {name: count for name, count in found[part].items() if count}
    if not present:
        return []
    most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    if present[most] < MANY_TIMES * present[least]:
        return []
    share = present[most] / sum(present.values())
    times = present[most] / present[least]
    message = (
        f"{most} has {times:.0f} times the samples of {least} ({present[most]} and {present[least]}); "
        f"to say {most} always is right in {share:.1%} of {'all' if part == WHOLE else part}"
    )
    fix = "look at recall and F1 of each class, not at accuracy alone; a loss can weigh the classes"
    return [Finding("imbalance", "warning", _WHERE, message, fix)]
