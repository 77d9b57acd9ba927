"""Files that are named by a CSV file, with their targets and further columns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from torchwork.data import columns, kinds
from torchwork.data.folders import Labelled, Sort, no_folder
from torchwork.data.wording import counted
from torchwork.types import Finding, InputError


@dataclass(frozen=True)
class Annotated(Labelled):
    """Files with what a CSV file says of each; the targets are classes or numbers, and have that column's name."""

    kind: kinds.Kind
    target_names: tuple[str, ...]


def read_annotations(
    annotations: str,
    root: str | None,
    file_column: str | None,
    target_column: str | None,
    split_column: str | None,
    kind: kinds.Kind | None,
    header: bool,
    sort: Sort,
) -> Annotated:
    """Return the files that a CSV file names, by default in its first column, with the target, by default its second.

    All other columns become ``annotations``: numbers where they hold such, else texts, "" in an empty cell.

    Raises:
        InputError: a missing file, folder or column, no file at all where the names lead, empty cells, one class only,
            a first line that names a file.
    """
    frame = columns.read_csv(Path(annotations), "annotations", header)
    folder = Path(annotations).parent if root is None else Path(root)
    wanted = {"file_column": file_column, "target_column": target_column, "split_column": split_column}
    findings = no_folder(folder, "root", sort) + columns.missing_columns(frame, wanted)
    free = [name for name in frame.columns if name not in wanted.values()]
    if len(free) < (file_column is None) + (target_column is None):
        message = f"{annotations} has {counted(len(frame.columns), 'column', 'columns')}"
        findings.append(Finding("missing-column", "error", "annotations", message, "expected a file and a target"))
    if header and sort.accepts(Path(frame.columns[0])):
        article = "an" if sort.one[0] in "aeiou" else "a"
        message = f"the first line of {annotations} names {article} {sort.one} ({frame.columns[0]}), not columns"
        findings.append(Finding("no-header", "error", "annotations", message, "add header: false"))
    if findings:
        raise InputError(findings)
    file_column = file_column or free.pop(0)
    target_column = target_column or free.pop(0)
    used = [file_column, target_column] + ([split_column] if split_column else [])
    findings = columns.bad_cells(frame, used, "annotations")
    if findings:
        raise InputError(findings)
    targets, kind = columns.targets_of(frame, [target_column], kind, "target_column")
    if kind == "class" and len(set(targets.tolist())) < 2:
        message = f"column {target_column!r} has one class only ({targets[0]})"
        raise InputError(Finding("one-class", "error", "target_column", message, "a classifier needs two"))
    given = columns.splits_of(frame[split_column], "split_column") if split_column else None
    names = columns.texts_of(frame[file_column]).tolist()
    # a name too long for the system is no error here, as it were for Path.exists
    if names and not any(os.path.exists(folder / name) for name in names):  # noqa: PTH110
        message = f"none of the {counted(len(names), sort.one, sort.several)} of {annotations} is in {folder}, "
        message += f"as {names[0]}"
        fix = "name the folder that the names start from as root"
        raise InputError(Finding("missing-path", "error", "root", message, fix))
    further = {name: columns.values_of(frame[name]) for name in frame.columns if name not in used}
    target_names = (target_column,) if kind == "number" else ()
    return Annotated([folder / name for name in names], names, targets, given, further, kind, target_names)
