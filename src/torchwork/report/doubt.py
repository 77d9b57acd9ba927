"""Metrics as a page shows them: to as many digits as their intervals allow, next to what no skill at all would give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torchwork.report import names
from torchwork.report.facts import Facts
from torchwork.report.figures import figure, number

_MOST_DECIMALS = 9
_MOST_SAID = 240  # letters of a reason, which may name a class


class Doubted(NamedTuple):
    """A metric's value, its 95% interval and its baseline as texts; what there is not is empty, its value a dash."""

    value: str
    interval: str
    baseline: str


def doubted(facts: Facts, split: str, metric: str) -> Doubted:
    """Return a metric of a split with its interval and its baseline, all to the same number of decimals."""
    value = facts.metrics.get(split, {}).get(metric)
    base = _inner(facts.baselines, split).get(metric)
    found = _inner(facts.intervals, split).get(metric)
    low, high = (number(found.get(end)) for end in ("low", "high")) if isinstance(found, Mapping) else (None, None)
    centre = number(value)
    if low is None or high is None or centre is None or not high > low:
        return Doubted(figure(value), "", "" if base is None else figure(base))
    places = _decimals(centre, high - low)
    ends = f"{low:,.{places}f} to {high:,.{places}f}"
    base_number = number(base)
    said = "" if base is None else figure(base) if base_number is None else _rounded(base_number, places)
    return Doubted(f"{centre:,.{places}f}", ends, said)


def _decimals(value: float, width: float) -> int:
    """Return how many decimals show an interval's width to two digits, and the value to two where one more does it.

    What is less than 1 is never rounded to 1.
    """
    of_width = _places(width)
    places = max(of_width, min(_places(value), of_width + 1) if value else 0)
    while places < _MOST_DECIMALS and round(value, places) in (0, 1) and value not in (0, 1):
        places += 1
    return places


def _places(value: float) -> int:
    """Return how many decimals show a number to two digits.

    >>> _places(0.028), _places(1.5), _places(-250.0)
    (3, 1, 0)
    """
    return min(_MOST_DECIMALS, max(0, 1 - math.floor(math.log10(abs(value)))))


def _rounded(value: float, places: int) -> str:
    """Return a number with so many decimals, or in full where that would leave nothing of it."""
    return figure(value) if value and not round(value, places) else f"{value:,.{places}f}"


def _inner(content: Mapping[str, Mapping[str, Any]], split: str) -> Mapping[str, Any]:
    found = content.get(split, {}).get("metrics")
    return found if isinstance(found, Mapping) else {}


def baseline_names(facts: Facts) -> list[tuple[str, list[str]]]:
    """Return what the baselines predict, and the splits that each is of."""
    return grouped([(str(part["name"]), split) for split, part in facts.baselines.items() if part.get("name")])


def methods(facts: Facts, split: str) -> str:
    """Return what the intervals of a split say and how they were made, as sentences; empty where there are none."""
    found = [item for item in _inner(facts.intervals, split).values() if isinstance(item, Mapping)]
    names = sorted({str(item["method"]) for item in found if item.get("method") and "low" in item})
    if not names:
        return ""
    part = facts.intervals[split]
    over = f"{figure(part.get('n'))} samples of {split}"
    groups = part.get("groups")
    if isinstance(groups, Mapping):
        over += f", in {figure(groups.get('n'))} groups by {groups.get('by')} that are drawn as wholes"
    return (
        f"In brackets is the 95% interval ({', '.join(names)}; {over}): of 100 such experiments with other samples, "
        "about 95 would have the true value inside theirs. It does not say what another seed would give."
    )


def without_interval(facts: Facts) -> list[tuple[str, list[str]]]:
    """Return why metrics have no interval: each reason, and the metrics that it holds for."""
    pairs = [
        (names.label(item["reason"], _MOST_SAID), f"{names.metric(metric)} on {split}")
        for split in facts.intervals
        for metric, item in _inner(facts.intervals, split).items()
        if isinstance(item, Mapping) and item.get("reason") and "/" not in metric
    ]
    return grouped(pairs)


def undefined(facts: Facts) -> list[tuple[str, list[str]]]:
    """Return why metrics have no value: each reason, and the metrics and splits that it holds for."""
    return grouped(
        [
            (names.label(reason, _MOST_SAID), f"{names.metric(metric)} on {split}")
            for split, reasons in facts.undefined.items()
            for metric, reason in reasons.items()
        ]
    )


def grouped(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Return the second items by their first, in the order of their first coming.

    >>> grouped([("a", "1"), ("b", "2"), ("a", "3")])
    [('a', ['1', '3']), ('b', ['2'])]
    """
    groups: dict[str, list[str]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return list(groups.items())


class Choice(NamedTuple):
    """What something that was chosen on val changes in a metric."""

    what: str
    split: str
    metric: str
    before: str
    after: str


def choices(facts: Facts) -> list[Choice]:
    """Return what the temperature and the threshold that were chosen on val would change, metric by metric."""
    rows = []
    for what, content in facts.chosen.items():
        said = f"{what} {figure(content.get('value'))}"
        if content.get("by"):
            said += f", the best for {names.metric(content['by'])}"
        for split, metrics in content.items():
            for metric, pair in metrics.items() if isinstance(metrics, Mapping) else ():
                if isinstance(pair, list | tuple) and len(pair) == 2:
                    name = names.metric(metric)
                    rows.append(Choice(said, str(split), name, figure(pair[0]), figure(pair[1])))
    return rows
