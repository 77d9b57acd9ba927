"""Cells of a table that hold nothing to compute with: missing (empty, NaN) or infinite; found, told, judged.

What becomes of a row with such cells is decided by ``data.clean.missing`` (drop, or a figure that stands in for them)
and by Impute in ``data.transform``. A row without a target is never given one: it is set aside, or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, Schema, Source

NO_TARGET = "missing-target"
CODES = ("missing", "infinite", NO_TARGET)
IMPUTED = ("mean", "median", "constant")

_MOST = 10


def absent(cells: np.ndarray) -> np.ndarray:
    """Tell of each text or class whether it is None, bool of the same shape.

    >>> absent(np.array(["a", None], dtype=object)).tolist()
    [False, True]
    """
    return np.asarray(cells == np.array(None, object), bool)


def bad(numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """Tell of each cell, bool [N, n + k], whether it is missing or infinite, from numbers [N, n] and texts [N, k].

    >>> bad(np.array([[1.0], [np.inf]]), np.array([[None], ["a"]], object)).tolist()
    [[False, True], [True, False]]
    """
    return np.concatenate([~np.isfinite(numbers), absent(categories)], 1)


def faults(numbers: np.ndarray, categories: np.ndarray, targets: np.ndarray, schema: Schema) -> tuple[Fault, ...]:
    """Return a fault for each row with a missing or infinite cell, or without a target, with the columns' names.

    Its code is ``missing-target``, ``infinite`` or ``missing``, the first that fits.

    >>> schema = Schema("table", "class", numbers=("size",))
    >>> faults(np.array([[1.0], [np.nan]]), np.empty((2, 0), object), np.array(["a", "b"], object), schema)
    (Fault(index=1, code='missing', reason="'size' is empty"),)
    """
    infinite = np.isinf(numbers)
    empty = bad(numbers, categories)
    empty[:, : infinite.shape[1]] &= ~infinite
    marks = np.concatenate([~has_target(targets)[:, None], empty, infinite], 1)
    rows = np.flatnonzero(marks.any(1))
    columns = [*schema.numbers, *schema.categories]
    said = ["the target is missing", *(f"{name!r} is empty" for name in columns)]
    said += [f"{name!r} is infinite" for name in schema.numbers]
    kinds: dict[bytes, tuple[str, str]] = {}  # many rows have the same holes, which are put into words once

    def judged(marked: np.ndarray) -> tuple[str, str]:
        code = NO_TARGET if marked[0] else "infinite" if marked[1 + len(columns) :].any() else "missing"
        return code, named(said[place] for place in np.flatnonzero(marked).tolist())

    found = []
    for row, marked in zip(rows.tolist(), marks[rows], strict=True):
        key = marked.tobytes()
        if key not in kinds:
            kinds[key] = judged(marked)
        found.append(Fault(row, *kinds[key]))
    return tuple(found)


def has_target(targets: np.ndarray) -> np.ndarray:
    """Tell of each row, bool [N], whether it has its target: finite numbers [N, k], or a class that is not None."""
    return np.isfinite(targets).all(1) if targets.ndim == 2 else ~absent(targets)


def told(
    cells: np.ndarray, columns: Sequence[str], name: Callable[[int], str], what: str = "empty, NaN or infinite"
) -> str:
    """Say how many cells of a mask [N, n] are bad, in which columns, and in which rows, the first ten of each."""
    said = []
    for column, rows in ((column, np.flatnonzero(cells[:, place])) for place, column in enumerate(columns)):
        if len(rows):
            said.append(f"column {column!r} ({len(rows)}): {named((name(row) for row in rows.tolist()), _MOST)}")
    total = int(cells.sum())
    more = f"; and {counted(len(said) - _MOST, 'column', 'columns')} more" if len(said) > _MOST else ""
    return f"{counted(total, 'cell is', 'cells are')} {what}: {'; '.join(said[:_MOST])}{more}"


def judge(
    source: Source, spec: Mapping[str, Any], where: str = "data.clean", filled: Collection[str] = ()
) -> tuple[list[Fault], list[Finding]]:
    """Return the faults of a table's rows that set them aside, and what is to be said of the others.

    A row is at fault for its target, or for cells in columns that the transform does not fill in.

    Args:
        source: A table, with its faults.
        spec: ``missing``: drop sets rows at fault aside, all else is an error; ``unreadable``: drop sets aside those
            without a target.
        where: The place of ``spec`` in the config.
        filled: The columns that the transform fills in: by ``missing`` (mean, median, constant) or an Impute step.

    Returns:
        The faults to set aside, and findings: errors, or a note on the cells that are filled in.
    """
    found = [fault for fault in source.faults if fault.code in CODES]
    if not found:
        return [], []
    rows = np.array([fault.index for fault in found], np.int64)
    raw = source.read(rows, epoch=0)[0]
    columns = [*source.schema.numbers, *source.schema.categories]
    fills = np.array([column in filled for column in columns], bool)
    cells = bad(np.asarray(raw["numbers"]), raw["categories"])
    lacking = np.array([fault.code == NO_TARGET for fault in found], bool)
    aside = np.zeros(len(found), bool)
    if spec.get("missing") == "drop":
        aside = lacking | (cells & ~fills).any(1)
    elif spec.get("unreadable") == "drop":
        aside = lacking.copy()

    def name(place: int) -> str:
        return source.name(int(rows[place]))

    left = cells & ~aside[:, None]
    findings = []
    if (left & ~fills).any():
        message = told(left & ~fills, columns, name)
        findings.append(Finding("missing-cells", "error", f"{where}.missing", message, _mend(source.schema)))
    if (lacking & ~aside).any():
        findings.append(_no_target(np.flatnonzero(lacking & ~aside), name, where))
    if not findings and left.any():
        counts = left.sum(0)
        said = named(f"{columns[place]!r} ({counts[place]})" for place in np.flatnonzero(counts).tolist())
        message = f"the transform fills in {counted(int(counts.sum()), 'cell', 'cells')}: {said}"
        findings.append(Finding("filled-in", "info", f"{where}.missing", message))
    return [fault for fault, out in zip(found, aside.tolist(), strict=True) if out], findings


def steps(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the transform that ``data.clean`` asks for: none, or an Impute.

    >>> steps({"missing": "median"}), steps({"missing": "drop"})
    ([{'name': 'Impute', 'strategy': 'median'}], [])
    """
    policy, fill = spec.get("missing"), spec.get("fill")
    if policy not in IMPUTED:
        return []
    return [{"name": "Impute", "strategy": policy, **({} if fill is None else {"fill": fill})}]


def _mend(schema: Schema) -> str:
    apart = "; a missing category becomes one of its own" if schema.categories else ""
    return (
        "fill them in, or set data.clean.missing to drop (these rows are set aside) or to mean, median or constant "
        f"(figures of the training split stand in{apart})"
    )


def _no_target(places: np.ndarray, name: Callable[[int], str], where: str) -> Finding:
    shown = named((name(place) for place in places.tolist()), _MOST)
    message = f"{counted(len(places), 'row has', 'rows have')} no target, which is never filled in: {shown}"
    fix = f"set {where}.unreadable to drop, and such rows are set aside"
    return Finding(NO_TARGET, "error", f"{where}.unreadable", message, fix)
