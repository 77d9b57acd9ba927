"""Several sources as one: their samples one after the other, their classes and splits together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork.data.compose import class_names, opened
from torchwork.data.decoding import FileImages
from torchwork.data.fingerprint import fingerprints
from torchwork.data.target import sorted_names
from torchwork.data.wording import named
from torchwork.types import Fault, Finding, InputError, Schema, Source


class Concatenate:
    """The samples of several sources, one after the other.

    Classes are the same where they have the same name. Where some of the sources come with splits, all samples of those
    without are for training. A sample's name begins with the number of its source: ``0/cat/1.jpg``, ``1/cat/1.jpg``.
    Annotations are kept that all sources have.

    Args:
        sources: The sources, each with its options.

    Raises:
        InputError: what is wrong with any of them; samples or targets of different kinds.

    >>> both = Concatenate([{"name": "Iris"}, {"name": "Iris"}])
    >>> len(both), both.name(150), both.schema.classes
    (300, '1/row 1', ('setosa', 'versicolor', 'virginica'))
    """

    def __init__(self, sources: list[dict[str, Any] | Source]) -> None:
        self.sources = _opened(sources)
        self._ends = np.cumsum([len(source) for source in self.sources])
        self._starts = [0, *self._ends[:-1].tolist()]
        self.schema, self.targets = _targets(self.sources)
        self.given = _given(self.sources, self._starts)
        placed = list(zip(self.sources, self._starts, strict=True))
        self.faults: Sequence[Fault] = tuple(
            fault._replace(index=fault.index + start) for source, start in placed for fault in source.faults
        )
        columns = [name for name in self.sources[0].annotations if all(name in s.annotations for s in self.sources)]
        self.annotations: Mapping[str, np.ndarray] = {
            name: np.concatenate([source.annotations[name] for source in self.sources]) for name in columns
        }
        told = chain.from_iterable(getattr(source, "findings", ()) for source in self.sources)
        self.findings: Sequence[Finding] = tuple(dict.fromkeys(told))
        paths = [getattr(source, "paths", None) for source in self.sources]
        if all(found is not None for found in paths):
            self.paths = [path for found in paths for path in found or ()]
        files = [source for source in self.sources if isinstance(source, FileImages)]
        if len(files) == len(self.sources) and len({source.mode for source in files}) == 1:
            self.sizes, self.mode = np.concatenate([source.sizes for source in files]), files[0].mode
            each = (f"{source.reading} for {len(source)}" for source in files)
            self.reading = files[0].reading if len({s.reading for s in files}) == 1 else "; ".join(each)
            self.decode = self._decode

    def __len__(self) -> int:
        return int(self._ends[-1])

    def name(self, index: int) -> str:
        place, inside = self._at(index)
        return f"{place}/{self.sources[place].name(inside)}"

    def read(
        self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None
    ) -> tuple[Any, np.ndarray | None]:
        indices = np.asarray(indices, np.int64)
        runs = [
            (rows, self.sources[place].read(indices[rows] - self._starts[place], epoch=epoch, size=size)[0])
            for place, rows in self._runs(indices)
        ]
        back = np.argsort(np.concatenate([rows for rows, _ in runs]), kind="stable")
        inputs = joined([found for _, found in runs], back)
        return inputs, None if self.targets is None else self.targets[indices]

    def fingerprints(self, indices: np.ndarray) -> list[str]:
        """Return the fingerprint of each sample's content, as its source gives it."""
        indices = np.asarray(indices, np.int64)
        found = np.empty(len(indices), object)
        for place, rows in self._runs(indices):
            found[rows] = fingerprints(self.sources[place], indices[rows] - self._starts[place])
        return found.tolist()

    def _at(self, index: int) -> tuple[int, int]:
        place = int(np.searchsorted(self._ends, index, side="right"))
        return place, int(index) - self._starts[place]

    def _runs(self, indices: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Return, for each source that has any of the samples, its place and which of ``indices`` are its own."""
        places = np.searchsorted(self._ends, indices, side="right")
        return [(place, np.flatnonzero(places == place)) for place in np.unique(places).tolist()]

    def _decode(self, index: int, size: tuple[int, int] | None = None, into: np.ndarray | None = None) -> Tensor:
        place, inside = self._at(index)
        source = self.sources[place]
        assert isinstance(source, FileImages)
        return source.decode(inside, size, into)


def joined(parts: Sequence[Any], order: np.ndarray) -> Any:
    """Return raw inputs, read from several sources, as one batch in an order.

    Args:
        parts: What each source's ``read`` gave.
        order: Which of all their samples comes first, second and so on, int64 [B].

    >>> joined([torch.zeros(1, 2), torch.ones(1, 2)], np.array([1, 0])).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    first = parts[0]
    if isinstance(first, dict):
        return {name: joined([part[name] for part in parts], order) for name in first}
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)[order]
    forms = {(part.shape[1:], part.dtype) if isinstance(part, Tensor) else None for part in parts}
    if None not in forms and len(forms) == 1:
        return torch.cat(list(parts))[torch.from_numpy(order)]
    every = [sample for part in parts for sample in part]
    return [every[place] for place in order.tolist()]


def _opened(specs: Sequence[Any]) -> list[Source]:
    sources: list[Source] = []
    findings: list[Finding] = []
    for place, spec in enumerate(specs):
        try:
            sources.append(opened(spec, f"sources[{place}]"))
        except InputError as error:
            findings += error.findings
    if not specs:
        findings.append(Finding("no-samples", "error", "sources", "there are none", "name two or more"))
    if not findings:
        findings = [
            Finding("different-sources", "error", f"sources[{place}]", f"{said}: {mine}, the first {first}", _FIX)
            for place, source in enumerate(sources[1:], 1)
            for said, mine, first in _differences(source, sources[0])
        ]
    if findings:
        raise InputError(findings)
    return sources


_FIX = "sources that are put together hold samples of one kind"


def _differences(source: Source, first: Source) -> list[tuple[str, str, str]]:
    """Return in what two sources differ, and what each has, as far as they cannot be put together."""
    one, other = source.schema, first.schema
    found = []
    for said, mine, theirs in (
        ("the samples are", one.inputs, other.inputs),
        ("the targets are", one.target, other.target),
        ("the targets are called", one.target_names, other.target_names),
        ("the columns of numbers are", one.numbers, other.numbers),
        ("the columns of categories are", one.categories, other.categories),
        ("samples a second:", one.sample_rate, other.sample_rate),
    ):
        if mine != theirs:
            found.append((said, _text(mine), _text(theirs)))
    if not found and one.inputs in ("image", "array"):
        channels, expected = _form(source), _form(first)
        if channels != expected and None not in (channels, expected):
            found.append(("a sample is", str(channels), str(expected)))
    return found


def _form(source: Source) -> str | None:
    """Return the channels of images or the shape of arrays, from the first sample that can be read; None: none can."""
    faulty = {fault.index for fault in source.faults}
    index = next((index for index in range(len(source)) if index not in faulty), None)
    if index is None:
        return None
    try:
        sample = source.read(np.array([index]), epoch=0)[0][0]
    except InputError:  # told with all others when they are read
        return None
    return f"{sample.shape[0]} × h × w" if source.schema.inputs == "image" else " × ".join(map(str, sample.shape))


def _text(value: Any) -> str:
    return named(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _targets(sources: Sequence[Source]) -> tuple[Schema, np.ndarray | None]:
    """Return schema and targets of all samples; classes become names unless all sources number them alike."""
    first = sources[0].schema
    raw = [source.targets for source in sources]
    targets = [found for found in raw if found is not None]
    if len(targets) < len(raw):
        return first, None
    whole = all(np.issubdtype(found.dtype, np.integer) for found in targets)
    if first.target != "class" or (whole and all(source.schema.classes == first.classes for source in sources)):
        return first, np.concatenate(targets)
    names = np.concatenate([class_names(source) for source in sources])
    if all(source.schema.classes is None for source in sources):
        return first, names
    each = (source.schema.classes or sorted_names(np.asarray(source.targets)) for source in sources)
    return replace(first, classes=tuple(dict.fromkeys(chain.from_iterable(each)))), names


def _given(sources: Sequence[Source], starts: Sequence[int]) -> Mapping[str, np.ndarray] | None:
    if all(source.given is None for source in sources):
        return None
    parts: dict[str, list[np.ndarray]] = {}
    for source, start in zip(sources, starts, strict=True):
        own = {"train": np.arange(len(source))} if source.given is None else source.given
        for part, ids in own.items():
            parts.setdefault(part, []).append(np.asarray(ids, np.int64) + start)
    return {part: np.concatenate(ids) for part, ids in parts.items()}
