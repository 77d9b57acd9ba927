"""What a split's predictions hold: the columns of the table as texts, and the arrays beside it."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchwork import rundir

Columns = Mapping[str, Sequence[str]]


def read_columns(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the columns of a ``predictions-<split>.csv`` as texts: a class may be called ``NA``, ``01`` or ``1.0``."""
    csv.field_size_limit(2**31 - 1)  # a sample's ten thousand labels are one field, and csv gives up at 128 KiB
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())


def numbers(columns: Columns, names: Sequence[str]) -> NDArray[np.float64]:
    """Return some of the columns as float64 [N, len(names)]; a cell that is empty or no number is NaN, as in pandas.

    >>> numbers({"a": ("1", "2.5"), "b": ("0", "")}, ["a", "b"]).tolist()
    [[1.0, 0.0], [2.5, nan]]
    """
    cells = list(itertools.chain.from_iterable(columns[name] for name in names))
    try:  # float() is quicker here than numpy
        found = np.fromiter(map(float, cells), np.float64)
    except ValueError:
        found = np.fromiter(map(_number, cells), np.float64)
    return found.reshape(len(names), -1).T


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def outputs_beside(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays ``id``, ``output`` and ``target`` that belong to a table of predictions."""
    split = path.stem.removeprefix("predictions-")
    with np.load(path.parent / rundir.ARRAYS / f"outputs-{split}.npz") as arrays:
        return {name: arrays[name] for name in ("id", "output", "target")}
