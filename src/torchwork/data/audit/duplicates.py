"""What stands in a data set more than once: in groups, under two labels, on two sides of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from torchwork.data.audit.records import Groups, Seen
from torchwork.data.wording import counted, named
from torchwork.types import Finding, Severity

_FEW = 3  # names of a group that a message holds

# How copies come to one side.
_GIVEN = "move each group to one split, or remove all but one of it"
_CUT = (
    "remove all but one of each group, or keep it on one side by data.split.by: grouped, with group: a column that "
    "names it (of files in folders: a group of the source's pattern)"
)


@dataclass(frozen=True)
class Samples:
    """What is said of N samples: how each is called, its class and its split; None where there are none."""

    name: Callable[[int], str]
    labels: np.ndarray | None
    parts: np.ndarray | None
    given: bool = False  # whether the data come with their splits


def same(keys: Iterable[str]) -> Groups:
    """Return the places of equal keys, group by group, in the order in which they first occur; "" equals nothing.

    >>> same(["a", "b", "a", "", ""])
    ((0, 2),)
    """
    keys = list(keys)
    places: dict[str, list[int]] = {key: [] for key, count in Counter(keys).items() if key and count > 1}
    for place, key in enumerate(keys if places else ()):
        if key in places:
            places[key].append(place)
    return tuple(map(tuple, places.values()))


def connected(pairs: Iterable[tuple[int, int]]) -> Groups:
    """Return the groups that pairs tie together, each in order, the one with the first place first.

    >>> connected([(1, 2), (5, 7), (2, 9)])
    ((1, 2, 9), (5, 7))
    """
    above: dict[int, int] = {}

    def root(place: int) -> int:
        while above.setdefault(place, place) != place:
            above[place] = above[above[place]]  # so that the next way up is shorter
            place = above[place]
        return place

    for first, second in pairs:
        one, other = sorted((root(first), root(second)))
        above[other] = one
    groups: dict[int, list[int]] = {}
    for place in sorted(above):
        groups.setdefault(root(place), []).append(place)
    return tuple(tuple(group) for group in groups.values())


def exact(groups: Groups, samples: Samples, what: str = "content") -> list[Seen]:
    """Return what is to be said of samples whose content is the same.

    Args:
        groups: The samples of equal content.
        samples: What is said of them.
        what: What is the same, for the message.
    """
    seen = _seen(
        groups,
        samples,
        "duplicates",
        "warning",
        lambda n: f"{counted(n, 'group', 'groups')} of samples with the same {what} ({{count}} samples)",
        "a split keeps each group on one side; data.clean.duplicates: keep_first sets the others aside",
    )
    seen += _seen(
        _unlike(groups, samples.labels),
        samples,
        "two-labels",
        "warning",
        lambda n: f"the same {what} has two labels or more in {counted(n, 'group', 'groups')}",
        "correct the labels: no model can get both right",
        with_labels=True,
    )
    return seen + _seen(
        _unlike(groups, samples.parts),
        samples,
        "duplicates-across-splits",
        "error",
        lambda n: f"the same {what} stands in two splits or more in {counted(n, 'group', 'groups')}",
        "remove it from one of them: what was trained on says nothing about new samples",
        with_parts=True,
        where="data.split",
    )


def near(groups: Groups, samples: Samples, how: str) -> list[Seen]:
    """Return what is to be said of samples that resemble each other so much that they are probably copies.

    Args:
        groups: Such samples; those of equal content are told by ``exact``.
        samples: What is said of them.
        how: In which way they are the same, for the message.
    """
    seen = _seen(
        groups,
        samples,
        "near-duplicates",
        "info",
        lambda n: f"{counted(n, 'group', 'groups')} of samples {how} ({{count}} samples)",
        "look whether they are copies",
    )
    seen += _seen(
        _unlike(groups, samples.labels),
        samples,
        "near-two-labels",
        "warning",
        lambda n: f"samples {how} have different labels in {counted(n, 'group', 'groups')}",
        "look which label is right",
        with_labels=True,
    )
    return seen + _seen(
        _unlike(groups, samples.parts),
        samples,
        "near-duplicates-across-splits",
        "warning",
        lambda n: f"samples {how} stand in different splits in {counted(n, 'group', 'groups')}",
        f"{_GIVEN if samples.given else _CUT}, else the figures flatter",
        with_parts=True,
    )


def _unlike(groups: Groups, values: np.ndarray | None) -> Groups:
    """Return the groups whose samples differ in a value; those without a value are left out of account."""
    if values is None:
        return ()
    return tuple(group for group in groups if len({str(values[i]) for i in group if values[i] is not None}) > 1)


def _seen(
    groups: Groups,
    samples: Samples,
    code: str,
    severity: Severity,
    message: Callable[[int], str],
    fix: str,
    *,
    with_labels: bool = False,
    with_parts: bool = False,
    where: str = "data.source",
) -> list[Seen]:
    if not groups:
        return []

    def said(place: int) -> str:
        aside: Sequence[object] = [
            values[place]
            for values, wanted in ((samples.labels, with_labels), (samples.parts, with_parts))
            if wanted and values is not None
        ]
        return f"{samples.name(place)}{f' ({aside[0]})' if aside else ''}"

    told = (
        " = ".join(map(said, group[:_FEW])) + (f" and {len(group) - _FEW} more" if len(group) > _FEW else "")
        for group in groups
    )
    text = message(len(groups)).format(count=sum(map(len, groups)))
    return [Seen(Finding(code, severity, where, f"{text}: {named(told)}", fix), groups)]
