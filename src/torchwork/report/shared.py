"""The samples that two runs were both evaluated on, and whether their difference there is more than chance gives."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from torchwork import rng, rundir
from torchwork.metrics import paired, weighted
from torchwork.metrics.direction import direction
from torchwork.metrics.weighted import Figures, Table
from torchwork.report import names
from torchwork.report.figures import figure

MOST = 20_000  # samples that are drawn anew
_WHOLE = ("ranking", "embedding")  # a sample's numbers depend on the others of its split
_POINTS = ("accuracy", "exact_match")


@dataclass
class Pair:
    """Two runs on the samples that both have: a test of each metric, and what is said about it in words.

    ``main`` is the metric that the sentence is about, ``p`` its own and ``p_holm`` that for all pairs together.
    """

    first: str
    second: str
    split: str
    shared: int = 0
    sizes: tuple[int, int] = (0, 0)
    tests: dict[str, paired.Difference] = field(default_factory=dict)
    main: str = ""
    method: str = ""
    p: float = math.nan
    p_holm: float = math.nan
    notes: list[str] = field(default_factory=list)
    sentence: str = ""


@dataclass(frozen=True)
class Side:
    """One run's split: its table, and for each row what the sample is: its name, content and target."""

    table: Table
    keys: list[tuple[Any, ...]]
    groups: list[str] | None


def side(directory: Path, data: Mapping[str, Any], split: str) -> Side:
    """Read one run's split.

    Raises:
        ValueError, KeyError, OSError: its files are damaged or missing.
    """
    table = weighted.read(directory / rundir.predictions(split), data)
    manifest = {row["id"]: row for row in rundir.read_csv(directory / rundir.SPLIT)}
    groups = rundir.read_groups(directory / rundir.SPLIT)
    ids, seen = list(table.columns["id"]), Counter[tuple[Any, ...]]()
    keys = []
    for sample in ids:
        row = manifest[sample]
        key = (row["name"], row.get("content") or "")
        seen[key] += 1
        keys.append((*key, seen[key]))
    return Side(table, keys, None if groups is None else [groups.get(int(sample), "") for sample in ids])


def matched(first: Side, second: Side) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the rows of the samples that both sides have, and how many of them have another target: these are not in.

    Samples are the same by name and content, which is compared where both have one.
    """
    bare = not all(key[1] for key in (*first.keys, *second.keys))
    one, other = (
        {(key[0], "" if bare else key[1], key[2]): row for row, key in enumerate(s.keys)} for s in (first, second)
    )
    common = [key for key in one if key in other]
    rows = np.array([[one[key], other[key]] for key in common], np.int64).reshape(-1, 2)
    targets = [name for name in first.table.columns if name == "target" or name.startswith("target_")]
    same = np.array(
        [
            all(first.table.columns[t][a] == second.table.columns.get(t, first.table.columns[t])[b] for t in targets)
            for a, b in rows
        ],
        bool,
    )
    return rows[same, 0], rows[same, 1], int((~same).sum())


def compared(pair: Pair, first: Side, second: Side, main: Sequence[str]) -> Pair:
    """Fill a pair in with the tests of its metrics; ``main`` are the metrics that say most, the first that is there."""
    rows = matched(first, second)
    pair.sizes, pair.shared = (len(first.keys), len(second.keys)), len(rows[0])
    if rows[2]:
        pair.notes.append(f"{figure(rows[2])} samples have another target in the other run; they are left out.")
    if not pair.shared:
        pair.notes.append(f"They have no sample of {pair.split} in common, by name and content: nothing can be tested.")
        return pair
    if max(pair.sizes) > pair.shared:
        sizes = " and ".join(figure(size) for size in pair.sizes)
        pair.notes.append(
            f"Of their {sizes} samples of {pair.split} the {figure(pair.shared)} that both have count. "
            "One split for both, by data.split.file, would let all of them count."
        )
        if first.table.data.get("task") in _WHOLE:
            pair.notes.append("What each sample gets depends on the others here, so that the two cannot be tested.")
            return pair
    sides = [first.table.only(rows[0]), second.table.only(rows[1])]
    if first.table.data.get("task") in _WHOLE:
        sides = [first.table, second.table]
    groups = first.groups if first.groups is not None else second.groups
    own = rows[0] if groups is first.groups else rows[1]
    taken = None if groups is None else [groups[row] for row in own]
    _test(pair, [weighted.figures(table) for table in sides], sides, taken, main)
    return pair


def _test(pair: Pair, both: list[Figures], sides: list[Table], groups: list[str] | None, main: Sequence[str]) -> None:
    number = len(both[0].rows)
    kept = None if groups is None else [groups[row] for row in both[0].rows]
    drawn, drawn_groups = both, kept
    if number > MOST and sides[0].data.get("task") not in _WHOLE:
        some = np.sort(rng.permutation(number, "compare")[:MOST])
        drawn = [weighted.figures(table.only(some)) for table in sides]
        drawn_groups = None if kept is None else [kept[row] for row in some]
        pair.notes.append(f"The bootstrap was of {MOST:,} of them, drawn at random.")
    one, other = (_headline(each) for each in drawn)
    pair.tests = paired.bootstrap(one, other, len(drawn[0].rows), drawn_groups)
    pair.main = next((name for name in main if name in pair.tests), "")
    if not pair.main:
        return
    said = pair.tests[pair.main]
    pair.method, pair.p = "paired bootstrap", said.p
    if pair.main in both[0].shares and pair.main in _POINTS:
        hits = [each.shares[pair.main].hits for each in both]
        units = None if kept is None else np.unique(kept, return_inverse=True)[1]
        pair.p = paired.mcnemar(hits[0], hits[1]).p if units is None else paired.grouped_shares(hits[0], hits[1], units)
        pair.method = "McNemar's test" if units is None else "signs of the groups' differences drawn at random"
        exact = float(hits[0].mean() - hits[1].mean())
        scale = exact - said.value  # a part of the samples was drawn
        pair.tests[pair.main] = said._replace(value=exact, low=said.low + scale, high=said.high + scale, p=pair.p)


def _headline(figures: Figures) -> weighted.Weighted:
    """Return the metrics that are not of one class or target alone."""
    return lambda weights: {name: value for name, value in figures.weighted(weights).items() if "/" not in name}


def sentence(pair: Pair, several: bool) -> str:
    """Return in words whether the difference is more than chance would give."""
    if not pair.main:
        return ""
    said, p = pair.tests[pair.main], pair.p_holm if several else pair.p
    metric, both = names.metric(pair.main), f"{pair.first} and {pair.second}"
    if math.isnan(p):
        amount = _amount(pair.main, abs(said.value))
        return f"In {metric} {both} differ by {amount}; no test of it: {said.reason}."
    if said.value == 0:
        found = f"In {metric} no difference beyond chance was found between {both}"
        return f"{found}: p {p_value(p, equals=True)} ({pair.method})."
    better, worse = (pair.first, pair.second)
    way = direction(pair.main)
    if (said.value > 0) == (way == "lower"):
        better, worse = worse, better
    sign = 1 if said.value > 0 else -1
    low, high = sorted((sign * said.low, sign * said.high))
    doubt = (
        "" if math.isnan(low) else f" ({_amount(pair.main, low, bare=True)} to {_amount(pair.main, high, bare=True)})"
    )
    amount = f"{_amount(pair.main, abs(said.value))}{doubt}"
    end = f"than chance would give: p {p_value(p, equals=True)} ({pair.method}{', after Holm' if several else ''})."
    if p < 0.05:
        word = "is better than" if way else "is above"
        return f"{better} {word} {worse} in {metric}. The difference of {amount} is more {end}"
    towards = f"in favour of {better}" if way else f"by which {better} is above"
    return f"{both} cannot be told apart in {metric}. The difference of {amount}, {towards}, is not more {end}"


def _amount(metric: str, value: float, *, bare: bool = False) -> str:
    """Return a difference: of accuracy in percentage points, else as a number.

    >>> _amount("accuracy", -1e-17, bare=True), _amount("accuracy", -0.012), _amount("mae", 0.5)
    ('0', '−1.2 points', '0.5')
    """
    value = round(value, 12) + 0.0  # what is 0 but for rounding is 0, and has no sign
    if metric in _POINTS:
        text = f"{100 * value:.1f}" if abs(value) >= 0.01 else f"{100 * value:.2g}"
        return text.replace("-", "−") + ("" if bare else " point" if text == "1.0" else " points")
    return f"{value:.3g}".replace("-", "−")


def p_value(p: float, *, equals: bool = False) -> str:
    """Return a p value for people.

    >>> p_value(0.0312), p_value(0.00001), p_value(0.00001, equals=True), p_value(0.4, equals=True)
    ('0.031', '< 0.001', '< 0.001', '= 0.40')
    """
    if math.isnan(p):
        return "–"
    if p < 0.001:
        return "< 0.001"
    text = f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    return f"= {text}" if equals else text
