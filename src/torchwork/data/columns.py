"""Columns of a CSV file: reading, finding by name, and what each can stand for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from torchwork import catalog
from torchwork.data.kinds import MANY, Kind, part_of
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError

# A column of texts of which at least this share are numbers is one of numbers with mistakes in it.
_MOST = 0.9
# What stands for a missing number: pandas takes these as one only where all other cells are numbers.
_MISSING = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A")


def read_csv(path: Path, where: str, header: bool = True) -> pd.DataFrame:
    """Read a CSV file (``.tsv``: tabs; also compressed) with text as text: only an empty cell of a text is missing.

    In a column of numbers pandas's marks for a missing one (NA, NaN, null and so on) count as missing too. Whole
    numbers, and true and false, stay what they are beside missing cells.

    Raises:
        InputError: the file is not there, is empty or no table.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is not there"
        raise InputError(Finding("missing-path", "error", where, f"{path} {found}", "give the path of a CSV file"))
    separator = "\t" if ".tsv" in path.suffixes else ","
    options: dict[str, Any] = {
        "sep": separator,
        "header": 0 if header else None,
        "skipinitialspace": True,
        "low_memory": False,
        "index_col": False,  # the first cells are no names of rows, also where there are more than the first line names
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, **options)
        frame.columns = [str(name).strip() for name in frame.columns]
        if frame.columns.has_duplicates:
            twice = named(map(repr, frame.columns[frame.columns.duplicated()].unique()))
            message = f"{path} has several columns of the name {twice}"
            raise InputError(Finding("same-column", "error", where, message, "give each a name of its own"))
        holes = [name for name in frame.columns if _may_differ(frame[name])]
        if holes:  # read once more, as texts: what stood in the file decides
            texts = pd.read_csv(path, **options, dtype=str, keep_default_na=False, na_values=[""])
            texts.columns = frame.columns
            for name in holes:
                frame[name] = _with_holes(frame[name], texts[name])
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, EOFError) as error:
        message = f"{path} cannot be read as a table: {error}"
        fix = "expected a CSV file in UTF-8 whose first line names the columns"
        raise InputError(Finding("unreadable-table", "error", where, message, fix)) from error
    except pd.errors.ParserWarning as error:
        message = f"the rows of {path} have more cells than its first line names"
        raise InputError(Finding("unnamed-column", "error", where, message, "name every column")) from error
    if len(frame) == 0:
        raise InputError(Finding("no-samples", "error", where, f"{path} has no rows", "give at least two"))
    return frame


def _may_differ(column: pd.Series) -> bool:
    """Tell whether pandas may have made something else of a column because of its missing cells."""
    if not column.isna().any():
        return False
    return not is_number(column.dtype) or bool((column.dropna() % 1 == 0).all())


def _with_holes(column: pd.Series, texts: pd.Series) -> pd.Series:
    """Return a column with missing cells as what it would be without: pandas makes floats or objects of them."""
    there = column.notna()
    if not is_number(column.dtype):
        truths = there.any() and column[there].map(lambda cell: isinstance(cell, bool)).all()
        return column.astype("boolean") if truths else texts
    whole = there.any() and texts[there].str.fullmatch(r"[+-]?\d{1,15}").all()
    return column.astype("Int64") if whole else column


def is_number(kind: Any) -> bool:
    """Tell whether a column's dtype holds numbers; true and false are 1 and 0."""
    return pd.api.types.is_numeric_dtype(kind)


def missing_columns(frame: pd.DataFrame, wanted: Mapping[str, str | None]) -> list[Finding]:
    """Return a finding for each wanted column, by option, that the table lacks."""
    return [
        Finding(
            "missing-column",
            "error",
            option,
            f"there is no column {name!r}",
            catalog.suggestion(name, list(frame.columns))
            or f"see the file's first line ({counted(len(frame.columns), 'column', 'columns')})",
        )
        for option, name in wanted.items()
        if name is not None and name not in frame.columns
    ]


def bad_cells(frame: pd.DataFrame, columns: Sequence[str], where: str) -> list[Finding]:
    """Return one finding that counts and names the cells which are missing or infinite; rows are counted from 1."""
    said = []
    total = 0
    for name in columns:
        column = frame[name]
        if is_number(column.dtype):
            bad = ~np.isfinite(column.to_numpy(np.float64, na_value=np.nan))
        else:
            bad = column.isna().to_numpy()
        rows = np.flatnonzero(bad) + 1
        if len(rows):
            total += len(rows)
            shown = ", ".join(map(str, rows[:10].tolist())) + (" …" if len(rows) > 10 else "")
            said.append(f"column {name!r} ({len(rows)}): row{'s' if len(rows) > 1 else ''} {shown}")
    if not said:
        return []
    more = f"; and {counted(len(said) - 10, 'column', 'columns')} more" if len(said) > 10 else ""
    message = f"{counted(total, 'cell is', 'cells are')} empty, NaN or infinite: {'; '.join(said[:10])}{more}"
    return [Finding("missing-cells", "error", where, message, "fill them in, or remove these rows or columns")]


def no_numbers(column: pd.Series) -> np.ndarray:
    """Tell of each cell [N] whether it holds what is no number; an empty one holds nothing.

    >>> no_numbers(pd.Series(["1.5", "x", None])).tolist()
    [False, True, False]
    """
    return (pd.to_numeric(column, errors="coerce").isna() & column.notna()).to_numpy(bool)


def said_texts(column: pd.Series) -> str:
    """Return the first ten cells that are no numbers, each with its row; the first text where all would be numbers.

    >>> said_texts(pd.Series(["1.5", "x", "2"]))
    "'x' in row 2"
    """
    wrong = no_numbers(column)
    rows = np.flatnonzero(wrong if wrong.any() else column.notna())
    return named(f"{column.iloc[row]!r} in row {row + 1}" for row in (rows if wrong.any() else rows[:1]).tolist())


def holds_stray_texts(column: pd.Series) -> bool:
    """Tell whether a column holds numbers but for a few texts: 90% of the cells that are not empty.

    >>> holds_stray_texts(pd.Series([*"123456789", "?"])), holds_stray_texts(pd.Series(["1", "2", "b"]))
    (True, False)
    """
    if is_number(column.dtype):
        return False
    texts = column[column.notna() & ~column.isin(_MISSING)]
    return len(texts) > 0 and bool(no_numbers(texts).mean() <= 1 - _MOST + 1e-9)


def stray_texts(frame: pd.DataFrame, columns: Sequence[str], where: str, fix: str) -> list[Finding]:
    """Return a finding for each column that holds numbers but for a few texts, with their rows, counted from 1."""
    return [
        Finding("stray-texts", "error", where, f"column {name!r} holds numbers, but {said_texts(frame[name])}", fix)
        for name in columns
        if holds_stray_texts(frame[name])
    ]


def texts_of(column: pd.Series) -> np.ndarray:
    """Return a column as texts (object [N]); whole floats without their point, so that 1.0 and 1 are one level.

    A missing cell is None.

    >>> texts_of(pd.Series([1.0, None, 2.5])).tolist()
    ['1', None, '2.5']
    """
    values = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in column.tolist()]
    texts = np.array(values, object)
    texts[column.isna().to_numpy()] = None
    return texts


def values_of(column: pd.Series) -> np.ndarray:
    """Return a column [N] as it is where it holds numbers, else as texts, "" for an empty cell.

    >>> values_of(pd.Series(["a", None])).tolist(), values_of(pd.Series([1, 2])).tolist()
    (['a', ''], [1, 2])
    """
    if not is_number(column.dtype):
        return texts_of(column.fillna(""))
    return column.to_numpy(np.float64, na_value=np.nan) if column.isna().any() else column.to_numpy()


def kind_of(column: pd.Series) -> Kind:
    """Guess what a target column holds: texts, true and false and whole numbers are classes, floats are numbers.

    Floats that all are whole are numbers where they take more than ``MANY`` values. Missing cells say nothing.

    >>> kind_of(pd.Series([0.5, 1.0])), kind_of(pd.Series([3, 1]))
    ('number', 'class')
    """
    if not pd.api.types.is_float_dtype(column.dtype):
        return "class"
    values = column.dropna().to_numpy(np.float64)
    return "number" if len(np.unique(values)) > MANY or bool((values % 1 != 0).any()) else "class"


def targets_of(frame: pd.DataFrame, columns: Sequence[str], kind: Kind | None, where: str) -> tuple[np.ndarray, Kind]:
    """Return the raw targets, classes [N] (whole numbers or texts) or numbers float64 [N, k], and which they are.

    A missing target is None among classes and NaN among numbers.

    Raises:
        InputError: numbers were asked for and a column holds texts; nothing was asked for and it holds numbers with a
            point but for a few texts; classes of several columns.
    """
    guessed = kind is None
    if kind is None:
        kind = kind_of(frame[columns[0]]) if len(columns) == 1 else "number"
    if kind == "number":
        fix = "correct the cells, or say kind: class"
        findings = [
            Finding("not-a-number", "error", where, f"column {name!r} holds texts: {said_texts(frame[name])}", fix)
            for name in columns
            if not is_number(frame[name].dtype)
        ]
        if findings:
            raise InputError(findings)
        return numbers_of(frame, columns), kind
    if len(columns) > 1:
        message = f"{len(columns)} columns are named, and classes stand in one"
        raise InputError(Finding("several-classes", "error", where, message, "name one column, or say kind: number"))
    column = frame[columns[0]]
    if guessed and holds_stray_texts(column) and kind_of(pd.to_numeric(column[~no_numbers(column)])) == "number":
        fix = "correct the cells, or say kind: class"
        raise InputError(stray_texts(frame, columns, where, fix))
    values = texts_of(column)
    whole = is_number(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    there = column.notna().to_numpy()
    if whole and bool((column[there].to_numpy(np.float64) % 1 == 0).all()):
        if there.all():
            return column.to_numpy(np.float64).astype(np.int64), kind
        values[there] = column[there].to_numpy(np.float64).astype(np.int64)
    return values, kind


def numbers_of(frame: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return columns of numbers as float64 [N, n], NaN in missing cells."""
    return np.ascontiguousarray(frame[list(columns)].to_numpy(np.float64, na_value=np.nan))


def splits_of(column: pd.Series, where: str) -> dict[str, np.ndarray]:
    """Return the indices of each split from a column that names them.

    Raises:
        InputError: a cell that is empty or names no split.
    """
    named = [None if pd.isna(value) else part_of(str(value)) for value in column.tolist()]
    bad = [row for row, part in enumerate(named) if part is None]
    if bad:
        shown = ", ".join(f"{column.iloc[row]!r} in row {row + 1}" for row in bad[:10])
        said = counted(len(bad), f"cell of column {column.name!r} names", f"cells of column {column.name!r} name")
        message = f"{said} no split: {shown}"
        raise InputError(Finding("no-split", "error", where, message, "write train, val or test in each row"))
    parts = np.array(named, object)
    return {part: np.flatnonzero(parts == part) for part in ("train", "val", "test") if (parts == part).any()}
