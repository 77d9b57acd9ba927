"""What stands in each column of a table: how many values, how many are missing, the least, the median, the most."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from torchwork.data.audit.records import Column, Histogram
from torchwork.data.missing import absent, has_target
from torchwork.types import Schema, Source

_BINS = 24


@dataclass(frozen=True)
class Cells:
    """All cells of a table of N rows.

    ``numbers`` is float64 [N, n], NaN where missing; ``texts`` [N, k], None where missing; ``codes`` float64 [N, n + k]
    has for each cell the rank of its value among the column's, NaN where missing. ``targets`` are as the source's.
    """

    numbers: np.ndarray
    texts: np.ndarray
    codes: np.ndarray
    targets: np.ndarray | None
    schema: Schema

    @property
    def names(self) -> list[str]:
        """The names of the columns: numbers, then categories."""
        return [*self.schema.numbers, *self.schema.categories]

    def distinct(self) -> np.ndarray:
        """Return how many values each column has, int64 [n + k]."""
        return np.array([len(np.unique(column[~np.isnan(column)])) for column in self.codes.T], np.int64)


def read_cells(source: Source) -> Cells:
    """Return all cells of a table.

    >>> from torchwork.data.builtin import Iris
    >>> read_cells(Iris()).codes.shape
    (150, 4)
    """
    raw, targets = source.read(np.arange(len(source)), epoch=0)
    numbers = np.asarray(raw["numbers"], np.float64)
    texts = raw["categories"]
    columns = [_codes(column, np.isnan(column)) for column in numbers.T]
    columns += [_codes(column, absent(column)) for column in texts.T]
    codes = np.stack(columns, 1) if columns else np.empty((len(source), 0))
    return Cells(numbers, texts, codes, targets, source.schema)


def _codes(column: np.ndarray, missing: np.ndarray) -> np.ndarray:
    codes = np.full(len(column), np.nan)
    codes[~missing] = np.unique(column[~missing], return_inverse=True)[1]
    return codes


def columns(cells: Cells) -> list[Column]:
    """Return the facts of each column and of the targets."""
    schema = cells.schema
    found = [_number(name, "number", column) for name, column in zip(schema.numbers, cells.numbers.T, strict=True)]
    found += [
        _category(name, "category", column) for name, column in zip(schema.categories, cells.texts.T, strict=True)
    ]
    if cells.targets is None:
        return found
    if schema.target == "number":
        pairs = zip(schema.target_names, np.asarray(cells.targets, np.float64).T, strict=True)
        return [*found, *(_number(name, "target", column) for name, column in pairs)]
    there = has_target(cells.targets)
    classes = np.array(
        [
            str(_class(value, schema)) if known else None
            for value, known in zip(cells.targets.tolist(), there, strict=True)
        ],
        object,
    )
    return [*found, _category("target", "target", classes)]


def _class(value: object, schema: Schema) -> object:
    listed = schema.classes
    return listed[value] if listed and isinstance(value, int) and 0 <= value < len(listed) else value


def _number(name: str, kind: str, column: np.ndarray) -> Column:
    finite = column[np.isfinite(column)]
    facts: dict[str, str | int | float] = {
        "missing": int(np.isnan(column).sum()),
        "infinite": int(np.isinf(column).sum()),
        "distinct": len(np.unique(finite)),
    }
    if not len(finite):
        return Column(name, kind, facts)
    low, high = float(finite.min()), float(finite.max())
    facts |= {"min": low, "median": float(np.median(finite)), "max": high}
    spread = high - low
    if not 0 < spread < np.inf:
        return Column(name, kind, facts)
    places = ((finite - low) / spread * _BINS).astype(np.int64).clip(max=_BINS - 1)
    counts = np.bincount(places, minlength=_BINS)
    return Column(name, kind, facts, Histogram(name, tuple(counts.tolist()), low, high))


def _category(name: str, kind: str, column: np.ndarray) -> Column:
    counts = Counter(text for text in column.tolist() if text is not None)
    facts: dict[str, str | int | float] = {"missing": int(absent(column).sum()), "distinct": len(counts)}
    if counts:
        text, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
        facts |= {"most frequent": f"{text} ({most})"}
    return Column(name, kind, facts)
