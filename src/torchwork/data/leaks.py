"""What stands on two sides of a split, and how near a split came to what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from torchwork.data.wording import counted
from torchwork.types import Finding, Severity, Source

_SHOWN = 10  # pairs that are told

# A part whose count is this far from its share of the samples, relative to it, is told; so are rows of which this share
# is equal to another.
_FAR = 0.2


def across(
    source: Source,
    splits: Mapping[str, np.ndarray],
    keys: Mapping[int, str],
    severity: Severity = "error",
    where: str = "data.split",
) -> list[Finding]:
    """Return a finding that names the samples with equal content in two splits; [] where there are none.

    Args:
        source: The samples.
        splits: Indices by split.
        keys: The fingerprint of each sample; one with "" is equal to none.
        severity: What the finding is.
        where: The place in the config.

    >>> from torchwork.data.builtin import Iris
    >>> sides = {"train": np.array([0, 101]), "test": np.array([142])}
    >>> across(Iris(), sides, {0: "a", 101: "b", 142: "b"})[0].message
    '1 content stands in two splits: row 102 (train) = row 143 (test)'
    """
    sides = [{keys.get(index, "") for index in ids.tolist()} - {""} for ids in splits.values()]
    if sum(map(len, sides)) == len(set().union(*sides)):
        return []
    first: dict[str, tuple[str, int]] = {}
    pairs: dict[tuple[str, str], str] = {}
    for part, ids in splits.items():
        for index in ids.tolist():
            key = keys.get(index, "")
            if not key:
                continue
            other, place = first.setdefault(key, (part, index))
            if other != part:
                pairs.setdefault((key, part), f"{source.name(place)} ({other}) = {source.name(index)} ({part})")
    said = list(pairs.values())
    shown = "; ".join(said[:_SHOWN]) + (f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else "")
    contents = counted(len({key for key, _ in pairs}), "content stands", "contents stand")
    fix = "take them out of one side, or say data.clean.duplicates: keep_first, or ignore where that is meant"
    return [Finding("leak", severity, where, f"{contents} in two splits: {shown}", fix)]


def uneven(
    splits: Mapping[str, np.ndarray], shares: Mapping[str, float], by: str, where: str = "data.split"
) -> list[Finding]:
    """Return a finding where a part is far from the fraction that was asked for, as whole groups allow no better.

    >>> sides = {"train": np.arange(90), "test": np.arange(90, 100)}
    >>> uneven(sides, {"train": 0.7, "val": 0, "test": 0.3}, "grouped")[0].message
    'asked for train 70%, test 30%, got train 90% (90), test 10% (10)'
    """
    total = sum(len(ids) for ids in splits.values())
    counts = {part: len(splits[part]) for part, share in shares.items() if part in splits and share > 0}
    if all(
        abs(count - shares[part] * total) <= max(1.0, _FAR * shares[part] * total) for part, count in counts.items()
    ):
        return []
    asked = ", ".join(f"{part} {shares[part]:.0%}" for part in counts)
    got = ", ".join(f"{part} {count / total:.0%} ({count})" for part, count in counts.items())
    why = {
        "hash": "by hash the fractions hold roughly",
        "time": "equal times stay together",
        "grouped": "groups stay whole",
    }.get(by, "equal content stays together; data.clean.duplicates: ignore parts it")
    return [Finding("uneven-split", "warning", where, f"asked for {asked}, got {got}", why)]


def repeated(contents: Sequence[str], where: str = "data.clean.duplicates") -> list[Finding]:
    """Return a finding where so many rows of a table are equal to another that to part them may be what is meant.

    >>> repeated(["a", "a", "b", ""])[0].message
    '2 of 4 rows (50%) are equal to another one, and equal rows stay on one side of the split'
    """
    counts = Counter(content for content in contents if content)
    equal = sum(count for count in counts.values() if count > 1)
    if equal <= _FAR * len(contents):
        return []
    message = f"{equal} of {len(contents)} rows ({equal / len(contents):.0%}) are equal to another one, and equal rows "
    fix = "where they are natural, as of few categories, say ignore, so that all parts have their share of them"
    return [Finding("repeated-rows", "warning", where, f"{message}stay on one side of the split", fix)]


def keys_of(indices: Sequence[int] | np.ndarray, contents: Sequence[str]) -> dict[int, str]:
    """Return fingerprints by index."""
    return dict(zip(np.asarray(indices).tolist(), contents, strict=True))
