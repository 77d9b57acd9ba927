"""Who goes with whom: the partners of a sample, drawn by (seed, epoch, sample) or listed in a user's CSV file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from torchwork import rng
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Source

Kind = Literal["ranking", "pairs", "triplets"]
NUM_MEMBERS: dict[str, int] = {"ranking": 2, "pairs": 2, "triplets": 3}
_HALF = 0.5


@dataclass(frozen=True)
class Companions:
    """The rows of an epoch: each an anchor and its ``num_members - 1`` companions, all by their places in the split.

    ``anchors`` is int64 [rows]: every place once where companions are drawn. ``signs``, float64 [rows] of 1 and -1, is
    there only where a user's file says what is to come out of a pair. ``drawing`` gives the companions [n, m - 1] of
    rows [n] in an epoch.
    """

    anchors: np.ndarray
    num_members: int
    drawing: Callable[[int, np.ndarray], np.ndarray]
    signs: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.anchors)

    def draw(self, epoch: int, rows: np.ndarray) -> np.ndarray:
        """Return the companions of rows [n] in an epoch, int64 [n, m - 1]: places within the split."""
        return self.drawing(epoch, rows)

    def members(self, epoch: int, rows: np.ndarray) -> np.ndarray:
        """Return anchors and companions of rows [n] in an epoch, int64 [n, m]: places within the split."""
        return np.column_stack([self.anchors[rows], self.draw(epoch, rows)])


def companions(
    kind: Kind,
    targets: np.ndarray,
    ids: np.ndarray,
    seed: int,
    *,
    classes: Sequence[str] = (),
    part: str = "train",
    where: str = "data.split",
) -> Companions:
    """Draw companions for every sample of a split: a function of (seed, epoch, id of the anchor) and nothing else.

    - ``ranking``: a sample with another value, each such sample equally likely.
    - ``pairs``: by a fair coin another sample of the anchor's class or one of another class; one of another class
      where the anchor is the only one of its own.
    - ``triplets``: another sample of the anchor's class, and one of another class.

    Args:
        kind: One of the three.
        targets: Of the samples of the split: classes int64 [N], or numbers [N, k].
        ids: Which sample of the source each is, [N].
        seed: The run's.
        classes: What the classes are called, for errors.
        part: What the split is called, for errors.
        where: The place in the config, for findings.

    Raises:
        InputError: all targets of the split are equal, or for triplets a class has one sample only.

    >>> drawn = companions("triplets", np.array([0, 0, 1, 1]), np.arange(4), seed=0)
    >>> drawn.draw(1, np.arange(4))[:, 0].tolist()
    [1, 0, 3, 2]
    """
    values, groups = _Groups.of(np.asarray(targets))
    _check(kind, values, groups, classes, part, where)
    ids = np.asarray(ids)

    def drawing(epoch: int, rows: np.ndarray) -> np.ndarray:
        chances = rng.uniform(rng.keys(seed, "companions", epoch, ids[rows]), 3)
        other = groups.other(rows, chances[:, 1])
        if kind == "ranking":
            return other[:, None]
        same = groups.same(rows, chances[:, 2])
        if kind == "triplets":
            return np.column_stack([same, other])
        alike = (chances[:, 0] < _HALF) & (groups.counts[groups.code[rows]] > 1)
        return np.where(alike, same, other)[:, None]

    return Companions(np.arange(len(ids)), NUM_MEMBERS[kind], drawing)


@dataclass(frozen=True)
class _Groups:
    """Places sorted by value, so that a draw among those of one value, or of all others, is one multiplication."""

    code: np.ndarray  # [N] which value a place has
    order: np.ndarray  # [N] places, those of one value side by side
    rank: np.ndarray  # [N] where a place stands among those of its value
    starts: np.ndarray  # [K] where each value begins in `order`
    counts: np.ndarray  # [K]

    @classmethod
    def of(cls, targets: np.ndarray) -> tuple[np.ndarray, _Groups]:
        rows = targets.reshape(len(targets), -1)
        if rows.shape[1] == 1:  # ten times faster than rows of one number
            values, code, counts = np.unique(rows[:, 0], return_inverse=True, return_counts=True)
        else:
            values, code, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
        code = code.reshape(-1)
        order = np.argsort(code, kind="stable")
        starts = np.cumsum(counts) - counts
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order)) - starts[code[order]]
        return values, cls(code, order, rank, starts, counts)

    def same(self, places: np.ndarray, chances: np.ndarray) -> np.ndarray:
        """Return another place of the same value (the place itself where there is no other)."""
        code = self.code[places]
        drawn = (chances * (self.counts[code] - 1)).astype(np.int64)
        drawn += (drawn >= self.rank[places]) & (self.counts[code] > 1)
        return self.order[self.starts[code] + drawn]

    def other(self, places: np.ndarray, chances: np.ndarray) -> np.ndarray:
        """Return a place of another value."""
        code = self.code[places]
        drawn = (chances * (len(self.code) - self.counts[code])).astype(np.int64)
        return self.order[drawn + np.where(drawn >= self.starts[code], self.counts[code], 0)]


def _check(kind: Kind, values: np.ndarray, groups: _Groups, classes: Sequence[str], part: str, where: str) -> None:
    if len(values) < 2:
        said = "targets are all equal" if kind == "ranking" else "samples are all of one class"
        message = f"the {len(groups.code)} {part} {said}, so that there is no other to set against one"
        raise InputError(Finding("one-value", "error", where, message, "share the samples out otherwise"))
    alone = values[groups.counts == 1].reshape(-1).tolist()
    if kind == "triplets" and alone:
        names = named([repr(classes[int(value)]) if classes else str(value) for value in alone])
        message = f"{part} has one sample only of {names}: a triplet needs two of a class"
        fix = "give more samples of it or remove it, or share the samples out with by: stratified"
        raise InputError(Finding("lone-class", "error", where, message, fix))


def read_pairs(
    path: str | Path,
    kind: Kind,
    source: Source,
    splits: Mapping[str, np.ndarray],
    where: str = "data.pairs.file",
) -> dict[str, Companions]:
    """Read pairs or triplets of samples from a CSV file; return the rows of each split that has any.

    A row is two samples and perhaps 1 or -1 for them, or (kind ``triplets``) anchor, positive and negative. A sample
    is told by its number in the source, counted from 0, or else by its name. A first line that tells no sample names
    the columns. A row belongs to the split that holds all of its members.

    Args:
        path: The file; ``.tsv``: separated by tabs.
        kind: What the loss asks for.
        source: Whose samples they are.
        splits: Indices by split.
        where: The place in the config, for findings.

    Raises:
        InputError: a missing or empty file, too few or too many columns, samples that the source does not have, a third
            column of other values than 1 and -1, a sample paired with itself, pairs to rank with equal targets, rows
            across splits, no row for train.
    """
    rows = _rows(Path(path), where)
    numbers = _numbers(rows, kind, source, where)
    signs = _signs(rows, where) if kind != "triplets" and len(rows[0][1]) > 2 else None
    _check_rows(numbers, kind, signs, source, [line for line, _ in rows], where)
    part_of = np.full(len(source), -1)
    place_of = np.zeros(len(source), np.int64)
    for number, ids in enumerate(splits.values()):
        part_of[ids] = number
        place_of[ids] = np.arange(len(ids))
    parts = part_of[numbers]
    across = np.flatnonzero((parts != parts[:, :1]).any(1) | (parts < 0).any(1))
    if len(across):
        stand = "stands" if len(across) == 1 else "stand"
        message = f"{len(across)} of {counted(len(rows), 'row', 'rows')} {stand} in no split as a whole: "
        message += _lines([rows[row][0] for row in across.tolist()])
        fix = "remove them, or keep their samples together with splits of the data's own (by: given)"
        raise InputError(Finding("rows-across-splits", "error", where, message, fix))
    found = {}
    for number, name in enumerate(splits):
        mine = parts[:, 0] == number
        if mine.any():
            found[name] = _listed(place_of[numbers[mine]], None if signs is None else signs[mine])
    if "train" not in found:
        raise InputError(Finding("no-train", "error", where, f"{path} has no rows of training samples"))
    return found


def _listed(members: np.ndarray, signs: np.ndarray | None) -> Companions:
    return Companions(members[:, 0], members.shape[1], lambda epoch, rows: members[rows, 1:], signs)


def _rows(path: Path, where: str) -> list[tuple[int, list[str]]]:
    """Return the cells of each row that is not empty, with the number of its line."""
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is not there"
        raise InputError(Finding("missing-path", "error", where, f"{path} {found}", "give the path of a CSV file"))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",", skipinitialspace=True)
            cells = ((reader.line_num, [cell.strip() for cell in row]) for row in reader)
            rows = [(line, row) for line, row in cells if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"{path} cannot be read as a table: {error}"
        raise InputError(Finding("unreadable-table", "error", where, message, "expected CSV in UTF-8")) from error
    if not rows:
        raise InputError(Finding("no-samples", "error", where, f"{path} has no rows"))
    return rows


def _numbers(rows: list[tuple[int, list[str]]], kind: Kind, source: Source, where: str) -> np.ndarray:
    """Return which samples each row names, int64 [rows, m]; take a line of column names off ``rows``."""
    width = NUM_MEMBERS[kind]
    most = width if kind == "triplets" else width + 1
    first = len(rows[0][1])
    odd = [line for line, row in rows if len(row) != first]
    if odd or not width <= first <= most:
        differ = "differs" if len(odd) == 1 else "differ"
        there = "is" if first == 1 else "are"
        what = f"{_lines(odd)} {differ} from the first" if odd else f"there {there} {first}"
        fix = "write anchor, positive, negative" if kind == "triplets" else "write two samples and perhaps 1 or -1"
        raise InputError(Finding("wrong-columns", "error", where, f"the columns are wrong: {what}", fix))
    number_of = _NumberOf(source)
    if all(number_of(cell) is None for cell in rows[0][1][:width]):
        names = rows.pop(0)
        if not rows:
            raise InputError(Finding("no-samples", "error", where, f"there is no sample called {names[1][0]!r}"))
    unknown, numbers = [], np.zeros((len(rows), width), np.int64)
    for at, (line, row) in enumerate(rows):
        for member, cell in enumerate(row[:width]):
            number = number_of(cell)
            if number is None:
                unknown.append(f"{cell!r} (line {line})")
            else:
                numbers[at, member] = number
    if unknown:
        fix = f"expected 0 to {len(source) - 1}, or names such as {source.name(0)!r}"
        message = f"{counted(len(unknown), 'cell tells', 'cells tell')} no sample: {named(unknown)}"
        raise InputError(Finding("unknown-sample", "error", where, message, fix))
    return numbers


class _NumberOf:
    """Find a sample by its number or its name; names are gathered only when one is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._by_name: dict[str, int] | None = None

    def __call__(self, cell: str) -> int | None:
        if cell.isdecimal():
            number = int(cell)
            if number < len(self._source):
                return number
        if self._by_name is None:
            self._by_name = {self._source.name(number): number for number in range(len(self._source))}
        return self._by_name.get(cell)


def _lines(numbers: Sequence[int]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {named(map(str, numbers))}"


def _signs(rows: list[tuple[int, list[str]]], where: str) -> np.ndarray:
    known = {"1": 1.0, "+1": 1.0, "1.0": 1.0, "-1": -1.0, "-1.0": -1.0}
    wrong = [f"{row[2]!r} (line {line})" for line, row in rows if row[2] not in known]
    if wrong:
        said = counted(len(wrong), "cell of the third column is", "cells of the third column are")
        message = f"{said} neither 1 nor -1: {named(wrong)}"
        fix = "write 1 for alike (or for the first above the second), -1 for the contrary"
        raise InputError(Finding("wrong-sign", "error", where, message, fix))
    return np.array([known[row[2]] for _, row in rows])


def _check_rows(
    numbers: np.ndarray, kind: Kind, signs: np.ndarray | None, source: Source, lines: list[int], where: str
) -> None:
    findings = []
    twice = np.flatnonzero([len(set(row)) < len(row) for row in numbers.tolist()])
    if len(twice):
        message = (
            f"{counted(len(twice), 'row names', 'rows name')} a sample twice: {_lines([lines[row] for row in twice])}"
        )
        findings.append(Finding("sample-twice", "error", where, message, "remove them"))
    elif kind == "ranking" and signs is None and source.targets is not None:
        values = np.asarray(source.targets).reshape(len(source), -1)
        ties = np.flatnonzero((values[numbers[:, 0]] == values[numbers[:, 1]]).all(1))
        if len(ties):
            message = (
                f"{counted(len(ties), 'pair has', 'pairs have')} equal targets: {_lines([lines[row] for row in ties])}"
            )
            findings.append(Finding("tie", "error", where, message, "remove them, or add a column of 1 and -1"))
    if findings:
        raise InputError(findings)
