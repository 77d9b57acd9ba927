"""What a folder of sounds holds: class folders, or names that say what each file shows."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from torchwork.data.kinds import MANY
from torchwork.data.sound.decode import header
from torchwork.data.unreadable import UnreadableError

_PARTS = re.compile(r"[_-]")
_MOST_READ = 2000  # headers: enough to meet the rates that there are


def rate_of(files: list[Path]) -> tuple[dict[str, Any], list[str]]:
    """Return the option ``sample_rate`` where the files differ in theirs, and what to say about it."""
    rates: Counter[int] = Counter()
    for file in files[:_MOST_READ]:
        try:
            rates[header(file).sample_rate] += 1
        except UnreadableError:  # the source will name it
            continue
    if len(rates) < 2:
        return {}, []
    said = ", ".join(f"{count} of {rate:,} Hz" for rate, count in rates.most_common())
    return {"sample_rate": min(rates)}, [f"the files differ in rate ({said}): all are brought to the lowest"]


def pattern_of(files: list[Path]) -> tuple[str, list[str]] | None:
    """Guess which part of the names says the class: the first that takes few values, of names with as many parts each.

    >>> names = [Path(f"{digit}_{who}_{take}.wav") for digit in range(3) for who in ("ann", "bob") for take in range(9)]
    >>> pattern_of(names)[0]
    '(?P<label>[^_-]+)_(?P<part2>[^_-]+)_(?P<part3>[^_-]+)\\\\.wav'
    """
    split = [_PARTS.split(file.stem) for file in files]
    between = {tuple(_PARTS.findall(file.stem)) for file in files}
    if len({len(parts) for parts in split}) != 1 or len(between) != 1 or len(split[0]) < 2:
        return None
    values = [len(set(column)) for column in zip(*split, strict=True)]
    label = next((place for place, count in enumerate(values) if 2 <= count <= max(MANY, len(files) / 20)), None)
    if label is None:
        return None
    groups = ["label" if place == label else f"part{place + 1}" for place in range(len(values))]
    marks = [*between.pop(), ""]
    body = "".join(f"(?P<{group}>[^_-]+){mark}" for group, mark in zip(groups, marks, strict=True))
    suffixes = sorted({file.suffix for file in files})
    end = re.escape(suffixes[0]) if len(suffixes) == 1 else f"({'|'.join(map(re.escape, suffixes))})"
    remarks = [f"the class is a guess: part {label + 1} of the files' names ({values[label]} different)"]
    for place, count in enumerate(values):
        if place != label and 2 <= count <= MANY:
            group = groups[place]
            said = f"{group} has {count} different values; if it says who speaks, hold voices apart by split: "
            remarks.append(f"{said}{{by: grouped, group: {group}}}")
    return body + end, remarks
