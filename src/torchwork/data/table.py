"""Rows of a CSV file: columns of numbers and of categories, and a target column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from torchwork.data import missing
from torchwork.data.columns import (
    Kind,
    bad_cells,
    is_number,
    missing_columns,
    numbers_of,
    read_csv,
    said_texts,
    splits_of,
    stray_texts,
    targets_of,
    texts_of,
    values_of,
)
from torchwork.data.memory import Rows
from torchwork.types import Finding, InputError, Schema


class Table(Rows):
    """Rows of a CSV file: number and category columns as inputs, and a target column.

    A column of texts is one of categories, all others hold numbers (true and false are 1 and 0). Texts in a column
    that otherwise holds numbers, at least 90% of its cells, are taken for mistakes. ``.tsv`` files are
    separated by tabs, and a file may be compressed. A row with an empty or infinite cell is a fault, and
    ``data.clean.missing`` says what becomes of it. Columns that are no inputs, or that ``columns`` lists, can say of
    which group a row is, or of which time (``data.split.group`` and ``time``).

    Args:
        path: The CSV file, whose first line names the columns.
        target: The target column, or several columns of numbers.
        columns: The input columns; by default all others.
        split_column: A column that says train, val or test, where there is one.
        categories: Columns that are to be taken as categories, whatever they hold.
        kind: Whether the target is a class or a number; guessed where left out: floats are numbers, all else classes.
        ignore: Columns that are no inputs, as ``[patient, date]``: the number of a row, or what the split goes by.

    Raises:
        InputError: a missing file or column, one class only, texts among numbers, or where numbers were asked for, a
            column that holds nothing.
    """

    def __init__(
        self,
        path: str,
        target: str | list[str],
        columns: list[str] | None = None,
        split_column: str | None = None,
        categories: list[str] | None = None,
        kind: Kind | None = None,
        ignore: list[str] | None = None,
    ) -> None:
        frame = read_csv(Path(path), "path")
        targets = [target] if isinstance(target, str) else target
        findings = _check_names(frame, targets, columns, split_column, categories or [], ignore or [])
        if findings:
            raise InputError(findings)
        further = [name for name in frame.columns if name not in targets]
        if columns is None:
            columns = [name for name in further if name != split_column and name not in (ignore or [])]
            further = [name for name in further if name not in columns]
        free = [name for name in columns if name not in (categories or [])]
        findings = _empty_columns(frame, {"columns": columns, "target": targets})
        findings += stray_texts(frame, free, "path", "correct the cells, or list the column in `categories`")
        if not columns:
            findings.append(Finding("no-inputs", "error", "columns", "no column is left as an input", "name some"))
        if findings:
            raise InputError(findings)
        raw, found_kind = targets_of(frame, targets, kind, "target")
        classes = sorted({str(name) for name in raw[missing.has_target(raw)].tolist()}) if found_kind == "class" else []
        if len(classes) == 1:
            message = f"column {targets[0]!r} has one class only ({classes[0]})"
            raise InputError(Finding("one-class", "error", "target", message, "a classifier needs two"))
        given = splits_of(frame[split_column], "split_column") if split_column else None
        texts = [name for name in columns if name in (categories or []) or not is_number(frame[name].dtype)]
        schema = Schema(
            "table",
            found_kind,
            target_names=tuple(targets) if found_kind == "number" else (),
            numbers=tuple(name for name in columns if name not in texts),
            categories=tuple(texts),
        )
        numbers, words = cells(frame, schema)
        faults = missing.faults(numbers, words, raw, schema)
        super().__init__(
            numbers,
            words,
            raw,
            schema,
            given,
            faults=faults,
            annotations={name: values_of(frame[name]) for name in further},
        )


def cells(frame: pd.DataFrame, schema: Schema) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers, float64 [N, n], and the texts of the categories [N, k] of a table; missing: NaN and None."""
    numbers = numbers_of(frame, schema.numbers)
    texts = [texts_of(frame[name]) for name in schema.categories]
    return numbers, np.stack(texts, 1) if texts else np.empty((len(frame), 0), object)


def read_rows(frames: Mapping[str, pd.DataFrame], schema: Schema, filled: Sequence[str] = ()) -> Rows:
    """Return the rows of tables, by file, as a source without targets, for prediction.

    Cells of the columns ``filled`` may be missing or infinite: the model's transform fills them in.

    Raises:
        InputError: a column that ``schema`` names is missing, or holds texts in place of numbers; empty, NaN or
            infinite cells in a column that is not filled.

    >>> frame = pd.DataFrame({"size": [1.5], "colour": ["red"], "more": [0]})
    >>> source = read_rows({"a.csv": frame}, Schema("table", None, numbers=("size",), categories=("colour",)))
    >>> source.name(0), source.read(np.arange(1), epoch=0)[0]["categories"].tolist()
    ('a.csv row 1', [['red']])
    """
    findings: list[Finding] = []
    for file, frame in frames.items():
        lacking = [name for name in (*schema.numbers, *schema.categories) if name not in frame.columns]
        if lacking:
            said = f"lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(map(repr, lacking))}"
            fix = "give a table with the columns that the model was trained on"
            findings.append(Finding("missing-column", "error", file, said, fix))
            continue
        fix = "correct the cells: the model was trained on numbers there"
        for name in schema.numbers:
            if not is_number(frame[name].dtype) and frame[name].notna().any():
                said = f"column {name!r} holds texts: {said_texts(frame[name])}"
                findings.append(Finding("not-a-number", "error", file, said, fix))
        strict = [name for name in (*schema.numbers, *schema.categories) if name not in filled]
        findings += bad_cells(frame, strict, file)
    if findings:
        raise InputError(findings)
    both = [cells(frame, schema) for frame in frames.values()]
    names = [f"{file} row {row + 1}" for file, frame in frames.items() for row in range(len(frame))]
    numbers, categories = np.concatenate([n for n, _ in both]), np.concatenate([c for _, c in both])
    return Rows(numbers, categories, None, schema, names=names)


def _empty_columns(frame: pd.DataFrame, wanted: Mapping[str, Sequence[str]]) -> list[Finding]:
    return [
        Finding("empty-column", "error", option, f"column {name!r} holds nothing", "leave it out, or fill it in")
        for option, names in wanted.items()
        for name in names
        if frame[name].isna().all()
    ]


def _check_names(
    frame: pd.DataFrame,
    targets: Sequence[str],
    columns: Sequence[str] | None,
    split_column: str | None,
    categories: Sequence[str],
    ignore: Sequence[str],
) -> list[Finding]:
    wanted: dict[str, str | None] = {"split_column": split_column}
    listed = {"target": targets, "columns": columns or [], "categories": categories, "ignore": ignore}
    for option, names in listed.items():
        wanted |= {option if len(names) == 1 else f"{option}[{place}]": name for place, name in enumerate(names)}
    findings = missing_columns(frame, wanted)
    for name in columns or []:
        if name in targets:
            message = f"column {name!r} is the target as well"
            findings.append(Finding("target-as-input", "error", "columns", message, "take it out of one of them"))
    for name in categories:
        if name in (*targets, *ignore) or (columns is not None and name not in columns):
            message = f"column {name!r} is no input column"
            findings.append(Finding("no-input", "error", "categories", message, "take it out"))
    for name in ignore:
        if name in targets or name in (columns or []):
            message = f"column {name!r} is {'the target' if name in targets else 'listed in columns'}"
            findings.append(Finding("contradiction", "error", "ignore", message, "take it out of one of them"))
    if not targets:
        findings.append(Finding("no-target", "error", "target", "names no column", "name at least one"))
    return findings
