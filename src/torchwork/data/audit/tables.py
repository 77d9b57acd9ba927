"""What is to be said of a table: cells, columns and rows that a model would suffer from, or learn too well from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from torchwork.data.audit import giveaway, table_columns
from torchwork.data.audit.duplicates import same
from torchwork.data.audit.records import Column, Groups, Seen
from torchwork.data.audit.table_columns import Cells, read_cells
from torchwork.data.missing import absent, has_target, told
from torchwork.data.outliers import outliers
from torchwork.data.wording import counted, named
from torchwork.types import Finding, Source

_WHERE = "data.source"
# A column of whole numbers with 3 to this many values, each in ten rows on average, may be one of categories.
FEW_VALUES = 10
# A column of texts of which at least this share are numbers is of mixed types; from 0.9 on a Table is refused.
MIXED = 0.2
# In a table of fewer rows every value may well be another.
FEWEST_ROWS = 20


def columns(source: Source) -> list[Column]:
    """Return what stands in each column of a table: missing, distinct, min, median, max, a histogram of numbers.

    >>> from torchwork.data.builtin import Iris
    >>> columns(Iris())[0].facts["median"]
    5.8
    """
    return table_columns.columns(read_cells(source))


def findings(source: Source) -> list[Seen]:
    """Return what is to be said of the cells, columns and rows of a table.

    Missing and infinite cells; columns of one value, of mixed types, of whole numbers that may be categories, of a
    value per row, and those that give the target away (``giveaway``); rows that are there twice, rows of equal
    inputs and different numbers as targets, and outliers (``outliers``, here by figures of all rows).
    """
    cells = read_cells(source)
    return [
        *_holes(source, cells),
        *_constant(cells),
        *_mixed(source, cells),
        *_whole(cells),
        *_identifiers(cells),
        *_giveaways(cells),
        *_repeated(source, cells),
        *_outlying(source),
    ]


def _holes(source: Source, cells: Cells) -> list[Seen]:
    empty = np.concatenate([np.isnan(cells.numbers), absent(cells.texts)], 1)
    fix = "data.clean.missing says what becomes of them: drop, mean, median or constant"
    seen = []
    for code, what, bad in (("missing-cells", "empty", empty), ("infinite-cells", "infinite", np.isinf(cells.numbers))):
        if bad.any():
            rows = np.flatnonzero(bad.any(1))
            message = told(bad, cells.names[: bad.shape[1]], source.name, what)
            seen.append(_seen(code, "warning", message, fix, rows))
    return seen


def _constant(cells: Cells) -> list[Seen]:
    alone = [name for name, distinct in zip(cells.names, cells.distinct().tolist(), strict=True) if distinct <= 1]
    if not alone:
        return []
    message = f"{counted(len(alone), 'column holds', 'columns hold')} one value only: {named(map(repr, alone))}"
    return [_seen("constant-column", "warning", message, "leave such columns out: nothing can be learnt from them")]


def _mixed(source: Source, cells: Cells) -> list[Seen]:
    seen = []
    for name, column in zip(cells.schema.categories, cells.texts.T, strict=True):
        there = np.flatnonzero(~absent(column))
        numeric = np.array([_is_number(column[row]) for row in there], bool)
        if len(there) == 0 or numeric.all() or numeric.mean() < MIXED:
            continue
        texts = there[~numeric]
        said = named(f"{column[row]!r} in {source.name(int(row))}" for row in texts.tolist())
        message = f"column {name!r} holds numbers ({numeric.sum()} of {len(there)} cells) and texts: {said}"
        fix = "if it is one of numbers, correct the texts; as it is, each number is a category of its own"
        seen.append(_seen("mixed-types", "warning", message, fix, texts))
    return seen


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _whole(cells: Cells) -> list[Seen]:
    said = []
    for name, column in zip(cells.schema.numbers, cells.numbers.T, strict=True):
        finite = column[np.isfinite(column)]
        values = np.unique(finite)
        few = 3 <= len(values) <= FEW_VALUES and len(finite) >= 10 * len(values)
        if few and (values % 1 == 0).all():
            said.append(f"{name!r} ({', '.join(f'{value:.0f}' for value in values)})")
    if not said:
        return []
    message = f"{counted(len(said), 'column', 'columns')} of numbers may be of categories: {named(said)}"
    fix = "if the numbers stand for kinds, not amounts, list the column in data.source.categories"
    return [_seen("integer-categories", "info", message, fix)]


def _identifiers(cells: Cells) -> list[Seen]:
    rows, width = len(cells.codes), cells.numbers.shape[1]
    if rows < FEWEST_ROWS:
        return []
    whole = [bool((column % 1 == 0).all()) for column in np.nan_to_num(cells.numbers, nan=0.5).T]
    found = [
        name
        for place, (name, distinct) in enumerate(zip(cells.names, cells.distinct().tolist(), strict=True))
        if distinct == rows and (place >= width or whole[place])
    ]
    if not found:
        return []
    message = (
        f"{counted(len(found), 'column has', 'columns have')} another value in each row: {named(map(repr, found))}"
    )
    fix = "if it is an identifier, leave it out with data.source.columns: a model can only learn rows by heart from it"
    return [_seen("identifier", "warning", message, fix)]


def _giveaways(cells: Cells) -> list[Seen]:
    if cells.targets is None or not cells.names:
        return []
    there = has_target(cells.targets)
    if cells.schema.target == "number":
        pairs = zip(cells.schema.target_names, np.asarray(cells.targets, np.float64)[there].T, strict=True)
        aims = [(f" {name!r}", target) for name, target in pairs]
    else:
        aims = [("", np.unique(cells.targets[there].astype(str), return_inverse=True)[1])]
    said = []
    for aim, target in aims:
        for name, skill in zip(cells.names, giveaway.skills(cells.codes[there], target).tolist(), strict=True):
            if skill >= giveaway.NEARLY:
                said.append(f"{name!r} alone avoids {skill:.1%} of the errors in the target{aim}")
    if not said:
        return []
    message = f"{counted(len(said), 'column gives', 'columns give')} the target away: {named(said)}"
    fix = "leave out what would not be known when the model is used (judged on held-out rows, by a tree of one column)"
    return [_seen("gives-target-away", "warning", message, fix)]


def _repeated(source: Source, cells: Cells) -> list[Seen]:
    inputs = [row.tobytes().hex() for row in np.nan_to_num(cells.codes, nan=-1.0)]
    targets = cells.targets
    whole, unlike = same(inputs), same(())
    if targets is not None:
        aims = [str(target) for target in targets.tolist()]
        whole = same(f"{row} {aim}" for row, aim in zip(inputs, aims, strict=True))
        number = cells.schema.target == "number"  # two classes for one content are told for all kinds of samples
        unlike = tuple(g for g in same(inputs) if len({aims[i] for i in g}) > 1) if number else ()
    seen = []
    if whole:
        message = (
            f"{counted(sum(map(len, whole)), 'row is', 'rows are')} there more than once: {_groups(source, whole)}"
        )
        fix = "a split keeps them on one side; data.clean.duplicates: keep_first sets the later ones aside"
        seen.append(Seen(Finding("duplicate-rows", "warning", _WHERE, message, fix), whole))
    if unlike:
        message = f"the same inputs have different targets in {counted(len(unlike), 'group', 'groups')} of rows: "
        fix = "no model can get both right: see whether a column is lacking"
        seen.append(Seen(Finding("two-targets", "warning", _WHERE, message + _groups(source, unlike), fix), unlike))
    return seen


def _groups(source: Source, groups: Groups) -> str:
    return named(" = ".join(source.name(index) for index in group[:5]) for group in groups)


def _outlying(source: Source) -> list[Seen]:
    everything = np.arange(len(source))
    found = outliers(source, everything, everything)
    if not found:
        return []
    said = named(f"{source.name(fault.index)} ({fault.reason})" for fault in found)
    message = f"{counted(len(found), 'row lies', 'rows lie')} far from all others: {said}"
    fix = "see whether they are right; data.clean.outliers: drop sets them aside, by figures of the training split"
    return [_seen("outliers", "info", message, fix, np.array([fault.index for fault in found]))]


def _seen(
    code: str, severity: Literal["warning", "info"], message: str, fix: str, rows: Sequence[int] | np.ndarray = ()
) -> Seen:
    return Seen(Finding(code, severity, _WHERE, message, fix), tuple((int(row),) for row in rows))
