"""How far read sequences are from the true ones: character error rate and exact match."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def distance(first: Sequence[Any], second: Sequence[Any]) -> int:
    """Return the least number of insertions, deletions and replacements that make one sequence of the other.

    Source: Levenshtein: "Binary codes capable of correcting deletions, insertions, and reversals", 1966.

    >>> distance("kitten", "sitting")
    3
    """
    before = list(range(len(second) + 1))
    for row, left in enumerate(first, 1):
        current = [row]
        for column, right in enumerate(second, 1):
            current.append(min(before[column] + 1, current[-1] + 1, before[column - 1] + (left != right)))
        before = current
    return before[-1]


def rates(target: Sequence[Sequence[Any]], prediction: Sequence[Sequence[Any]]) -> dict[str, float]:
    """Return the character error rate, all edits over all characters of the targets, and the part read exactly.

    The rate is NaN where the targets have no characters at all, both are where there are no sequences.

    >>> rates(["31", "4"], ["31", "44"])
    {'character_error_rate': 0.3333333333333333, 'exact_match': 0.5}
    """
    pairs = list(zip(target, prediction, strict=True))
    characters = sum(len(true) for true, _ in pairs)
    edited = sum(distance(true, read) for true, read in pairs)
    exact = sum(list(true) == list(read) for true, read in pairs)
    return {
        "character_error_rate": edited / characters if characters else math.nan,
        "exact_match": exact / len(pairs) if pairs else math.nan,
    }


def joined(symbols: Sequence[str], known: Sequence[str]) -> str:
    """Return symbols as one text: side by side where every known symbol is one character, else with spaces between.

    >>> joined(["3", "1"], ["1", "3"]), joined(["sh", "a"], ["a", "sh"])
    ('31', 'sh a')
    """
    return ("" if all(len(name) == 1 for name in known) else " ").join(symbols)


def separated(text: str, known: Sequence[str]) -> list[str]:
    """Return the symbols of a text that `joined` made.

    >>> separated("sh a", ["a", "sh"])
    ['sh', 'a']
    """
    return list(text) if all(len(name) == 1 for name in known) else text.split()
