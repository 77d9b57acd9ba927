"""The manifest of a split, split.csv: each sample with its number, name, target, side and fingerprint."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torchwork import rundir
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Source

HEADER = ["id", "name", "target", "split", "content"]
_PARTS = ("train", "val", "test")


def rows(
    source: Source,
    splits: Mapping[str, np.ndarray],
    contents: Mapping[int, str],
    groups: Mapping[int, str] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each sample of the splits, in the order of their numbers.

    ``contents`` are the fingerprints; ``groups``, where there are such, make one column more.
    """
    sides = np.repeat(np.array(list(splits), object), [len(ids) for ids in splits.values()])
    ids = np.concatenate([np.asarray(ids, np.int64) for ids in splits.values()])
    order = np.argsort(ids, kind="stable")
    ids, sides = ids[order], sides[order]
    numbers = ids.tolist()
    targets = [""] * len(ids) if source.targets is None else _cells(source.targets[ids])
    columns: list[Iterable[Any]] = [numbers, map(source.name, numbers), targets, sides.tolist()]
    columns += [[known.get(i, "") for i in numbers] for known in (contents, groups) if known is not None]
    return zip(*columns, strict=True)


def _cells(targets: np.ndarray) -> list[str]:
    if targets.dtype.kind in "iub" and targets.ndim == 1:
        return list(map(str, targets.tolist()))
    return [_cell(target) for target in targets]


def _cell(target: Any) -> str:
    if np.ndim(target):
        return " ".join(rundir.number(value) for value in target)
    return rundir.number(float(target)) if isinstance(target, float | np.floating) else str(target)


def parts_of(source: Source, path: Path, where: str, among: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the splits that a manifest says, as numbers of this source: samples are the same by their names.

    Raises:
        InputError: the file is not there or no manifest, or names samples that the source has not, or that are not
            ``among`` those that may be used.
    """
    found = matched(source, path, where)
    findings = _lacking(path, found, np.arange(len(source)) if among is None else among, where)
    if findings:
        raise InputError(findings)
    side = np.array([row["split"] for row, _ in found], object)
    ids = np.array([place for _, place in found], np.int64)
    return {part: ids[side == part] for part in _PARTS if (side == part).any()}


def matched(source: Source, path: Path, where: str) -> list[tuple[dict[str, str], int]]:
    """Return each row of a manifest with the number that the sample of its name has in this source; -1 where none has.

    Where several samples have one name, each stands for one row, the one of its number first.

    Raises:
        InputError: as `read`.
    """
    found = read(path, where)
    places = [
        place if place < len(source) and as_written(source.name(place)) == row["name"] else -1
        for row, place in ((row, int(row["id"])) for row in found)
    ]
    if -1 in places:
        free: dict[str, deque[int]] = defaultdict(deque)
        for place in np.setdiff1d(np.arange(len(source)), places).tolist():
            free[as_written(source.name(place))].append(place)
        places = [
            free[row["name"]].popleft() if place < 0 and free.get(row["name"]) else place
            for row, place in zip(found, places, strict=True)
        ]
    return list(zip(found, places, strict=True))


def compared(source: Source, path: Path, contents: Mapping[int, str], where: str) -> list[Finding]:
    """Return errors that name the samples of a manifest that are gone or changed, and a warning that names new ones.

    Args:
        source: The samples.
        path: The manifest.
        contents: The fingerprint of each sample that may be used; where there is none, then or now, it is not compared.
        where: The place in the config that names the manifest.

    Raises:
        InputError: as `read`.
    """
    found = matched(source, path, where)
    there = [(row, place) for row, place in found if place in contents]
    changed = [
        row["name"]
        for row, place in there
        if row.get("content") and contents[place] and row["content"] != contents[place]
    ]
    targets = source.targets
    other = [
        row["name"]
        for row, place in there
        if targets is not None and row.get("target") and as_written(_cell(targets[place])) != row["target"]
    ]
    return [
        *_lacking(path, found, contents, "data.source"),
        *_not_those(path, changed, "of other content", "data.source"),
        *_not_those(path, other, "with another target", "data.source"),
        *_added(source, path, found, contents),
    ]


def _added(
    source: Source, path: Path, found: Sequence[tuple[dict[str, str], int]], usable: Iterable[int]
) -> list[Finding]:
    """Name the samples that a manifest knows nothing of; those that its run had set aside are known."""
    beside = path.parent / rundir.SET_ASIDE
    aside = {row["name"] for row in rundir.read_csv(beside)} if beside.is_file() else set()
    known = {place for _, place in found}
    names = [source.name(place) for place in usable if place not in known]
    new = [name for name in names if as_written(name) not in aside]
    if not new:
        return []
    message = (
        f"{counted(len(new), 'sample stands', 'samples stand')} not in {path} and {'is' if len(new) == 1 else 'are'}"
    )
    return [Finding("added-samples", "warning", "data.source", f"{message} in no split: {named(new)}")]


def _lacking(
    path: Path, found: Sequence[tuple[dict[str, str], int]], usable: Iterable[int], where: str
) -> list[Finding]:
    at_hand = set(usable)
    gone = [row["name"] for row, place in found if place < 0]
    unusable = [row["name"] for row, place in found if place >= 0 and place not in at_hand]
    return [*_not_those(path, gone, "gone", where), *_not_those(path, unusable, "set aside by now", where)]


def _not_those(path: Path, wrong: Sequence[str], what: str, where: str) -> list[Finding]:
    if not wrong:
        return []
    message = f"the data are not those of {path}: {counted(len(wrong), 'sample is', 'samples are')} {what}: "
    message += named(wrong)
    return [Finding("data-changed", "error", where, message, "restore the data, or start a new run")]


def read(path: Path, where: str) -> list[dict[str, str]]:
    """Return the rows of a manifest.

    Raises:
        InputError: there is no such file, or it is no manifest.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is not there"
        fix = "give the split.csv of a run, as runs/digits/1/split.csv"
        raise InputError(Finding("missing-path", "error", where, f"{path} {found}", fix))
    try:
        found_rows = rundir.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(Finding("no-manifest", "error", where, f"{path} cannot be read: {error}")) from error
    good = all(
        {"id", "name", "split"} <= row.keys() and str(row["id"]).isdecimal() and row["split"] in _PARTS
        for row in found_rows
    )
    if not found_rows or not good:
        message = f"{path} is no manifest of a split"
        fix = "expected the columns id, name and split, which is train, val or test, as in the split.csv of a run"
        raise InputError(Finding("no-manifest", "error", where, message, fix))
    return found_rows


def as_written(cell: object) -> str:
    """Return a cell as it stands in a file in UTF-8: bytes of a name that are none are escapes.

    >>> as_written("caf\\udce9")
    'caf\\\\udce9'
    """
    return str(cell).encode(errors="backslashreplace").decode()
