"""The manifest of a split, split.csv: each sample with its number, name, target, side and fingerprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torchwork import rundir
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Source

HEADER = ["id", "name", "target", "split", "content"]
_PARTS = ("train", "val", "test")


def rows(source: Source, splits: Mapping[str, np.ndarray], contents: Mapping[int, str]) -> list[list[Any]]:
    """Return a row for each sample of the splits, in the order of their numbers; ``contents`` are the fingerprints."""
    targets = source.targets
    where = sorted((int(i), name) for name, ids in splits.items() for i in ids)
    return [
        [i, source.name(i), "" if targets is None else _cell(targets[i]), name, contents.get(i, "")]
        for i, name in where
    ]


def _cell(target: Any) -> str:
    if np.ndim(target):
        return " ".join(rundir.number(value) for value in target)
    return rundir.number(float(target)) if isinstance(target, float | np.floating) else str(target)


def parts_of(source: Source, path: Path, where: str, among: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the splits that a manifest says, for a source with the same samples: equal numbers have equal names.

    Raises:
        InputError: the file is not there or no manifest, or names samples that the source has not at that place, or
            that are not ``among`` those that may be used.
    """
    found = read(path, where)
    usable = np.zeros(len(source), bool)
    usable[slice(None) if among is None else among] = True
    wrong = [
        row["name"]
        for row in found
        if not int(row["id"]) < len(source)
        or not usable[int(row["id"])]
        or as_written(source.name(int(row["id"]))) != row["name"]
    ]
    if wrong:
        raise InputError(_not_those(path, wrong, "gone, unusable or elsewhere", where))
    side = np.array([row["split"] for row in found], object)
    ids = np.array([int(row["id"]) for row in found], np.int64)
    return {part: ids[side == part] for part in _PARTS if (side == part).any()}


def changed(path: Path, contents: Mapping[int, str], where: str) -> list[Finding]:
    """Return a finding that names the samples whose content is no longer that of the manifest; [] where there is none.

    Samples without a fingerprint, then or now, are not compared.
    """
    wrong = [
        row["name"]
        for row in read(path, where)
        if row.get("content") and contents.get(int(row["id"])) and row["content"] != contents[int(row["id"])]
    ]
    return _not_those(path, wrong, "of other content", where)


def other_targets(source: Source, path: Path, where: str) -> list[Finding]:
    """Return a finding that names the samples whose target is another than in the manifest; [] where there is none."""
    targets = source.targets
    if targets is None:
        return []
    found = read(path, where)
    wrong = [row["name"] for row in found if as_written(_cell(targets[int(row["id"])])) != row["target"]]
    return _not_those(path, wrong, "with another target", where)


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
    except (OSError, UnicodeDecodeError) as error:
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
