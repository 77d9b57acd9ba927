"""Whether a delimited file holds texts to learn from, and in which column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torchwork.data import columns, kinds
from torchwork.data.cells import read_cells
from torchwork.data.text import typed
from torchwork.types import InputError

if TYPE_CHECKING:
    import pandas as pd

_WORDS = 3  # a column of texts has at least so many a cell, in the mean
_DISTINCT = 0.5  # and at least this share of its cells differ
_LONGEST_NAME = 60


def text_column(path: Path) -> tuple[pd.DataFrame, str, bool] | None:
    """Return a file's columns, which of them holds texts, and whether the first line is a header; None without texts.

    A table with further columns of numbers beside the target is no such file: there the texts are remarks.
    """
    try:
        cells = read_cells(path, str(path), header=False).frame
        header = _names_columns(cells)
        frame = read_cells(path, str(path), header=header).frame
    except InputError:  # whoever reads it next says what is wrong
        return None
    frame = frame.apply(typed)
    texts = {name: _length(frame[name]) for name in frame.columns if _is_text(frame[name])}
    if not texts or len(frame.columns) < 2:
        return None
    chosen = max(texts, key=texts.__getitem__)
    numbers = [name for name in frame.columns if columns.is_number(frame[name].dtype)]
    varied = [name for name in numbers if frame[name].nunique() > kinds.MANY and not _counts(frame[name])]
    return None if len(varied) > 1 else (frame, str(chosen), header)


def _names_columns(cells: pd.DataFrame) -> bool:
    """Tell whether the first line names the columns: short cells, none of which occurs again in its column."""
    first = cells.iloc[0]
    short = all(0 < len(cell.strip()) <= _LONGEST_NAME for cell in first)
    return short and not any((cells[name].iloc[1:] == first[name]).any() for name in cells.columns)


def _is_text(column: pd.Series) -> bool:
    if columns.is_number(column.dtype):
        return False
    words = column.fillna("").map(lambda cell: len(cell.split())).mean()
    return bool(words >= _WORDS and column.nunique() >= _DISTINCT * len(column))


def _length(column: pd.Series) -> float:
    return float(column.fillna("").str.len().mean())


def _counts(column: pd.Series) -> bool:
    return bool((column.diff().iloc[1:] == 1).all())
