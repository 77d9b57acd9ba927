"""Which samples belong together (a patient's, a speaker's, equal ones), and in which order they came about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from torchwork import catalog
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Source


def groups(source: Source, spec: Mapping[str, Any], ids: np.ndarray, where: str) -> np.ndarray | None:
    """Return the group of each sample as a text (object [n]), or None where ``spec`` names none.

    ``group`` is a column of ``source.annotations``; ``pattern`` a regular expression that is searched in the samples'
    names, and whose first group is the key. Whole floats are taken as whole numbers.

    Raises:
        InputError: no such column, an empty cell, a pattern without a group, names that it does not match.
    """
    if spec.get("group") is not None:
        found = _as_texts(column(source, spec["group"], ids, f"{where}.group"))
        _refuse_empty(source, ids, [text is None for text in found], spec["group"], f"{where}.group")
        return np.array(found, object)
    if spec.get("pattern") is not None:
        return _by_pattern(source, str(spec["pattern"]), ids, f"{where}.pattern")
    return None


def times(source: Source, name: str, ids: np.ndarray, where: str) -> np.ndarray:
    """Return when each sample came about, int64 or float64 [n]: numbers, or dates and times as ISO 8601 writes them.

    Raises:
        InputError: no such column, an empty cell, a cell that is neither.
    """
    import pandas as pd  # which only this rule needs

    cells = column(source, name, ids, where)
    is_date = cells.dtype.kind == "M"
    values = pd.Series(cells) if is_date else pd.Series(cells.tolist(), dtype=object)
    _refuse_empty(source, ids, (values.isna() | (values.astype(str) == "")).tolist(), name, where)
    if not is_date:
        numbers = pd.to_numeric(values, errors="coerce")
        if numbers.notna().all():
            return numbers.to_numpy()
    moments = pd.to_datetime(values.astype(str), format="ISO8601", errors="coerce", utc=True)
    wrong = np.flatnonzero(moments.isna())
    if len(wrong):
        shown = named([f"{values.iloc[row]!r} of {source.name(int(ids[row]))}" for row in wrong[:10]], 10)
        message = f"{counted(len(wrong), 'cell', 'cells')} of column {name!r} tell no time: {shown}"
        fix = "write numbers, or dates as 2024-01-31 or 2024-01-31T18:30:00"
        raise InputError(Finding("no-time", "error", where, message, fix))
    return moments.astype("int64").to_numpy()


def units(*keys: Sequence[str] | np.ndarray | None, count: int) -> np.ndarray:
    """Return the unit of each sample, int64 [count] from 0: those that share a key, or share it with one in between.

    Each of ``keys`` holds a text a sample; "" belongs to nobody else.

    >>> units(["a", "a", "b", ""], ["x", "y", "y", "y"], count=4).tolist()
    [0, 0, 0, 0]
    >>> units(["a", "", "", "a"], count=4).tolist()
    [0, 1, 2, 0]
    """
    unit = np.arange(count)
    linked = [_codes(key) for key in keys if key is not None]
    while True:
        before = unit
        for code in linked:
            least = np.full(int(code.max(initial=-1)) + 1, count)
            np.minimum.at(least, code, unit)
            unit = least[code]
        if np.array_equal(unit, before) or len(linked) == 0:
            return np.unique(unit, return_inverse=True)[1].reshape(-1)


def _codes(keys: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return a whole number for each text; every "" has one of its own."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(key, place) if key else place for place, key in enumerate(keys)], np.int64)


_BY_NAME = "take the group from the samples' names with pattern, or describe the samples in a CSV file"


def column(source: Source, name: str, ids: np.ndarray, where: str, fix: str = _BY_NAME) -> np.ndarray:
    """Return a column of ``source.annotations``, [n].

    Raises:
        InputError: there is none of that name; ``fix`` is what to do where there are no columns at all.
    """
    there = source.annotations
    if name in there:
        return np.asarray(there[name])[ids]
    schema = source.schema
    if name in (*schema.numbers, *schema.categories):
        message = f"column {name!r} is an input of the model"
        fix = f"write ignore: [{name}] in data.source, or list it in columns where it shall be both"
    elif there:
        message = f"the data have no column {name!r}"
        fix = catalog.suggestion(name, list(there)) or f"there are {named(sorted(there))}"
    else:
        message = f"the data have no columns to take {name!r} from"
    raise InputError(Finding("missing-column", "error", where, message, fix))


def _as_texts(column: np.ndarray) -> list[str | None]:
    texts: list[str | None] = []
    for value in column.tolist():
        if value is None or value == "" or value != value:  # NaN differs from itself
            texts.append(None)
        else:
            texts.append(str(int(value)) if isinstance(value, float) and value.is_integer() else str(value))
    return texts


def _refuse_empty(source: Source, ids: np.ndarray, empty: Sequence[bool], name: str, where: str) -> None:
    wrong = np.flatnonzero(np.asarray(empty, bool))
    if len(wrong):
        message = f"column {name!r} is empty for {counted(len(wrong), 'sample', 'samples')}: "
        message += named([source.name(int(ids[row])) for row in wrong])
        raise InputError(Finding("missing-cells", "error", where, message, "fill it in for every sample"))


def _by_pattern(source: Source, pattern: str, ids: np.ndarray, where: str) -> np.ndarray:
    try:
        search = re.compile(pattern)
    except re.error as error:
        fix = "expected a regular expression, as '_([a-z]+)_'"
        raise InputError(Finding("wrong-pattern", "error", where, f"{pattern!r}: {error}", fix)) from error
    if search.groups == 0:
        fix = "put what names the group into brackets, as in '_([a-z]+)_'"
        raise InputError(Finding("wrong-pattern", "error", where, f"{pattern!r} has no group in brackets", fix))
    names = [source.name(index) for index in ids.tolist()]
    found = [search.search(name) for name in names]
    wrong = [name for name, match in zip(names, found, strict=True) if match is None or not match.group(1)]
    if wrong:
        said = counted(len(wrong), "name has", "names have")
        message = f"{said} no part that matches {pattern!r}: {named([repr(name) for name in wrong])}"
        raise InputError(Finding("no-group", "error", where, message, "the pattern must match every name"))
    return np.array([match.group(1) for match in found if match is not None], object)
