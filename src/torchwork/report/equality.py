"""Whether two runs are one and the same, bit for bit, or where they first differ on their way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from torchwork import rundir

_Rows = Sequence[Mapping[str, Any]]
_OF_THE_CLOCK = ("seconds", "waited")


class Difference(NamedTuple):
    """Where two runs differ, and what each of them has there."""

    step: int
    where: str
    first: str
    second: str


@dataclass(frozen=True)
class Equality:
    """``difference`` says where two runs first differ; it is None where all that was ``compared`` is equal."""

    difference: Difference | None = None
    compared: list[str] = field(default_factory=list)


def compare(first: Path, second: Path, *, checkpoints: bool = True) -> Equality:
    """Compare two runs from their split to their predictions, in the order in which they came about.

    Args:
        first: A run.
        second: Another one.
        checkpoints: Whether to read the checkpoints that both kept, for the optimizer's state and the weights on the
            way; without them the final weights are compared.
    """
    compared: list[str] = []
    for what, differences in _stages(first, second, checkpoints):
        found = min(differences, key=lambda difference: difference.step, default=None)
        if found is not None:
            return Equality(found, compared)
        if what:
            compared.append(what)
    return Equality(None, compared)


def _stages(first: Path, second: Path, checkpoints: bool) -> Iterator[tuple[str, list[Difference]]]:
    """Yield what is compared, and the first difference in each file of it."""
    yield "split", _in_rows(*_rows(first, second, rundir.SPLIT), "sample {id}: {column}", "samples")
    one, other = _histories(first, second, checkpoints)
    steps = one[-1]["step"] if one else 0
    differences = _in_rows(one, other, "epoch {epoch}, step {step}: {column}", "epochs")
    layers = _rows(first, second, rundir.LAYERS)
    differences += _in_rows(*layers, "epoch {epoch}, step {step}: {column} of {layer}", f"rows of {rundir.LAYERS}")
    yield f"history of {len(one)} epochs and {steps} steps", differences
    if checkpoints:
        for name in sorted(_checkpoints(first) & _checkpoints(second)):
            places = [path / rundir.CHECKPOINTS / name for path in (first, second)]
            for file in sorted({path.name for place in places for path in place.glob("*.safetensors")}):
                told = f"{file.partition('.')[0]} after step {int(name.partition('-')[0])}"
                yield told, _tensors(places[0] / file, places[1] / file, f"{told}: ")
    yield "final weights", _tensors(first / rundir.MODEL, second / rundir.MODEL, "final weights: ")
    for split in ("train", "val", "test"):
        name = rundir.predictions(split)
        if (first / name).is_file() and (second / name).is_file():
            found = _arrays(first, second, f"outputs-{split}.npz", split)
            rows = _rows(first, second, name)
            where = f"{split}: {{column}} of sample {{id}}"
            yield f"predictions of {split}", found or _in_rows(*rows, where, f"predictions of {split}")
    yield "metrics", _metrics(rundir.read_metrics(first), rundir.read_metrics(second))


def _checkpoints(directory: Path) -> set[str]:
    from torchwork.training import store

    return {place.name for place in store.places(directory / rundir.CHECKPOINTS) if store.fault(place) is None}


def _histories(first: Path, second: Path, checkpoints: bool) -> tuple[_Rows, _Rows]:
    """Return the rows of the histories, with all their bits where they are read from the last checkpoints."""
    from torchwork.training import checkpoint

    last = [checkpoint.latest(path / rundir.CHECKPOINTS) if checkpoints else None for path in (first, second)]
    if last[0] is None or last[1] is None:
        return rundir.read_history(first), rundir.read_history(second)
    return checkpoint.progress_of(last[0]).history, checkpoint.progress_of(last[1]).history


def _rows(first: Path, second: Path, name: str) -> tuple[_Rows, _Rows]:
    """Return the rows of two files, but what a crash cut short; none where there is no such file."""
    files = [path / name for path in (first, second)]
    rows = [rundir.read_csv(file) if file.is_file() else [] for file in files]
    one, other = ([row for row in each if None not in row and None not in row.values()] for each in rows)
    return one, other


def _in_rows(one: _Rows, other: _Rows, where: str, what: str) -> list[Difference]:
    """Return the first difference of two tables, none where there is none."""
    for row, match in zip(one, other, strict=False):
        for column in dict.fromkeys((*row, *match)):
            if column not in _OF_THE_CLOCK and repr(row.get(column)) != repr(match.get(column)):
                shown = [str(found.get(column, "missing")) for found in (row, match)]
                return [Difference(int(row.get("step", 0)), where.format(**{**row, "column": column}), *shown)]
    if len(one) != len(other):
        longer = max(one, other, key=len)[min(len(one), len(other))]
        return [Difference(int(longer.get("step", 0)), f"the number of {what}", str(len(one)), str(len(other)))]
    return []


def _arrays(first: Path, second: Path, name: str, split: str) -> list[Difference]:
    places = [path / rundir.ARRAYS / name for path in (first, second)]
    if not all(place.is_file() for place in places):
        return []
    with np.load(places[0]) as one, np.load(places[1]) as other:
        return [_array(one[key], other[key], f"{split}: {key}") for key in one if not _same(one[key], other[key])][:1]


def _tensors(first: Path, second: Path, where: str) -> list[Difference]:
    """Return the first tensor that differs, in the order of their names."""
    from torchwork.training import weights

    one, other = weights.read(first), weights.read(second)
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            there = ["there" if name in tensors else "missing" for tensors in (one, other)]
            return [Difference(0, f"{where}{name}", *there)]
        mine, others = weights.as_array(one[name]), weights.as_array(other[name])
        if not _same(mine, others):
            return [_array(mine, others, f"{where}{name}")]
    return []


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    same_kind = one.dtype == other.dtype and one.shape == other.shape
    return same_kind and one.tobytes() == other.tobytes()


def _array(one: np.ndarray, other: np.ndarray, where: str) -> Difference:
    """Return the first element that differs in its bits, and how many do."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return Difference(0, where, f"{one.dtype} {list(one.shape)}", f"{other.dtype} {list(other.shape)}")
    width = one.dtype.itemsize
    bytes_ = [np.frombuffer(array.tobytes(), np.uint8).reshape(-1, width) for array in (one, other)]
    wrong = np.flatnonzero((bytes_[0] != bytes_[1]).any(1))
    place = [int(index) for index in np.unravel_index(wrong[0], one.shape)]
    values = [str(array.reshape(-1)[wrong[0]]) for array in (one, other)]
    return Difference(0, f"{where}{place if place else ''} ({len(wrong):,} of {one.size:,} values differ)", *values)


def _metrics(one: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
    for split in dict.fromkeys((*one, *other)):
        own, others = one.get(split, {}), other.get(split, {})
        for name in dict.fromkeys((*own, *others)):
            if own.get(name) != others.get(name):
                shown = (str(own.get(name, "missing")), str(others.get(name, "missing")))
                return [Difference(0, f"{name} of {split}", *shown)]
    return []
