"""Targets that are sequences of symbols, as rows of places among the symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError

# What stands behind the last symbol of a sequence that is shorter than the longest.
PADDING = -1


def symbols_of(raw: np.ndarray, splits: Mapping[str, np.ndarray], names: Callable[[int], str]) -> tuple[str, ...]:
    """Return the symbols of the training split, sorted (whole numbers as numbers).

    Args:
        raw: The sequence of every sample: texts, or tuples of symbols, [N].
        splits: Indices by split; ``train`` among them.
        names: What a person would call a sample.

    Raises:
        InputError: a target that is no sequence, no symbol at all in train, one in val or test that train lacks.

    >>> symbols_of(np.array(["ba", "", "ac"], object), {"train": np.arange(3)}, str)
    ('a', 'b', 'c')
    """
    no_sequence = [index for index, value in enumerate(raw.tolist()) if not isinstance(value, str | tuple | list)]
    if no_sequence:
        said = counted(len(no_sequence), "target is no sequence", "targets are no sequences")
        message = f"{said}, as {raw[no_sequence[0]]!r} of {names(no_sequence[0])}"
        raise InputError(Finding("no-sequence", "error", "data", message, "give texts or tuples of symbols"))
    distinct = list(dict.fromkeys(symbol for index in splits["train"].tolist() for symbol in raw[index]))
    if not distinct:
        message = "every sequence of the training split is empty"
        raise InputError(Finding("no-symbols", "error", "data.source", message, "give sequences to learn from"))
    alike = len({type(symbol) for symbol in distinct}) == 1
    symbols = tuple(str(symbol) for symbol in sorted(distinct, key=None if alike else str))
    findings = []
    for part, ids in splits.items():
        lacking: dict[str, int] = {}
        for index in ids.tolist():
            for symbol in raw[index]:
                if str(symbol) not in symbols:
                    lacking.setdefault(str(symbol), index)
        if lacking:
            said = named(f"{symbol!r} (as in {names(index)})" for symbol, index in sorted(lacking.items()))
            message = f"{part} has {counted(len(lacking), 'symbol', 'symbols')} that train lacks: {said}"
            fix = "give train samples of each, or remove these"
            findings.append(Finding("class-not-in-train", "error", "data.split", message, fix))
    if findings:
        raise InputError(findings)
    return symbols


def encode(raw: np.ndarray, place_of: Mapping[str, int], length: int) -> np.ndarray:
    """Return the places of the symbols, int64 [B, length], behind the last one ``PADDING``.

    Raises:
        InputError: a symbol that is not known, or a sequence longer than ``length``.

    >>> encode(np.array(["ba", ""], object), {"a": 0, "b": 1}, 3).tolist()
    [[1, 0, -1], [-1, -1, -1]]
    """
    rows: list[Sequence[object]] = raw.tolist()
    unknown = sorted({str(symbol) for row in rows for symbol in row} - place_of.keys())
    if unknown:
        message = f"unknown symbol{'s' if len(unknown) > 1 else ''} {named(map(repr, unknown))}"
        raise InputError(Finding("unknown-class", "error", "data", message, f"known: {named(map(repr, place_of))}"))
    longest = max(map(len, rows), default=0)
    if longest > length:
        message = f"a sequence has {counted(longest, 'symbol', 'symbols')}, the longest at training had {length}"
        raise InputError(Finding("too-long", "error", "data", message, "shorten it"))
    places = np.full((len(rows), length), PADDING, np.int64)
    for at, row in enumerate(rows):
        places[at, : len(row)] = [place_of[str(symbol)] for symbol in row]
    return places
