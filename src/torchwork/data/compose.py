"""Sources made of sources: some of the samples, so many of each class, other labels, several one after the other."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from torchwork import catalog, rng
from torchwork.data.dataset import DatasetSource
from torchwork.data.decoding import FileImages
from torchwork.data.fingerprint import fingerprints
from torchwork.data.missing import absent
from torchwork.data.source import open_source
from torchwork.data.target import sorted_names
from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, InputError, Schema, Source


class Picked:
    """Samples of a source in an order of their own, perhaps with other targets.

    Where the source's samples are files, so are these: ``paths``, and for images what ``FileImages`` has.

    Args:
        source: The whole.
        indices: Which of its samples, int64 [N], each once.
        targets: The raw targets of the whole, where they are not the source's own.
        schema: What the samples are, where that is not what the source says.
    """

    def __init__(
        self, source: Source, indices: np.ndarray, targets: np.ndarray | None = None, schema: Schema | None = None
    ) -> None:
        whole = source.targets if targets is None else targets
        self.source = source
        self.indices = np.asarray(indices, np.int64)
        self.targets = None if whole is None else whole[self.indices]
        self.schema = schema or source.schema
        place = np.full(len(source), -1)
        place[self.indices] = np.arange(len(self.indices))
        self.given: Mapping[str, np.ndarray] | None = None
        if source.given is not None:
            self.given = {part: np.sort(place[ids][place[ids] >= 0]) for part, ids in source.given.items()}
        faults = (fault._replace(index=int(place[fault.index])) for fault in source.faults)
        self.faults: Sequence[Fault] = tuple(fault for fault in faults if fault.index >= 0)
        self.annotations = {name: values[self.indices] for name, values in source.annotations.items()}
        self.findings: Sequence[Finding] = getattr(source, "findings", ())
        paths: Sequence[Path] | None = getattr(source, "paths", None)
        if paths is not None:  # these stand in the object itself only where they can be: that is how one asks for them
            self.paths = [paths[index] for index in self.indices.tolist()]
        if isinstance(source, FileImages):
            self.sizes, self.mode, self.reading = source.sizes[self.indices], source.mode, source.reading
            self.decode = self._decode

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        return self.source.name(int(self.indices[index]))

    def read(
        self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None
    ) -> tuple[Any, np.ndarray | None]:
        inputs, _ = self.source.read(self.indices[indices], epoch=epoch, size=size)
        return inputs, None if self.targets is None else self.targets[indices]

    def fingerprints(self, indices: np.ndarray) -> list[str]:
        """Return the fingerprint of each sample's content, as the source gives it."""
        return fingerprints(self.source, self.indices[indices])

    def _decode(self, index: int, size: tuple[int, int] | None = None, into: np.ndarray | None = None) -> Tensor:
        assert isinstance(self.source, FileImages)
        return self.source.decode(int(self.indices[index]), size, into)


class Subset(Picked):
    """Some samples of a source; the classes are those of the whole, also where a class has none left.

    Args:
        source: The whole: a source with its options.
        indices: The samples by their numbers, counted from 0, in this order.
        fraction: The part to keep, drawn at random; of each split, where the data come with splits. A smaller fraction
            keeps a part of what a larger one keeps.
        names: A pattern of the names to keep, or several, as ``train/*``.
        seed: Decides what ``fraction`` draws.

    Raises:
        InputError: not one of the three, a number that no sample has or that stands there twice, no sample left.

    >>> few = Subset({"name": "Iris"}, indices=[149, 0])
    >>> len(few), few.schema.classes, few.targets.tolist()
    (2, ('setosa', 'versicolor', 'virginica'), [2, 0])
    """

    def __init__(
        self,
        source: dict[str, Any] | Source,
        indices: list[int] | None = None,
        fraction: float | None = None,
        names: str | list[str] | None = None,
        seed: int = 0,
    ) -> None:
        written = [option for option in (indices, fraction, names) if option is not None]
        if len(written) != 1:
            message = f"got {len(written)} of indices, fraction and names"
            raise InputError(Finding("wrong-value", "error", "", message, "give one of them"))
        whole = opened(source, "source")
        if indices is not None:
            kept = _listed(indices, whole)
        elif fraction is not None:
            kept = _fraction(whole, fraction, seed)
        else:
            kept = _matching(whole, [names] if isinstance(names, str) else names or [])
        super().__init__(whole, kept, *_with_classes(whole))


class CapPerClass(Picked):
    """At most so many samples of each class; of each class and split, where the data come with splits.

    Which ones is drawn by sample: with a larger count those of a smaller one stay. Rows without a target all stay:
    ``data.clean`` says what becomes of them.

    Args:
        source: The whole: a source with its options.
        count: The most samples of a class.
        seed: Decides which.

    Raises:
        InputError: a count below 1, samples without classes.

    >>> few = CapPerClass({"name": "Iris"}, count=2)
    >>> few.targets.tolist()
    [0, 0, 1, 1, 2, 2]
    """

    def __init__(self, source: dict[str, Any] | Source, count: int, seed: int = 0) -> None:
        if count < 1:
            raise InputError(Finding("wrong-value", "error", "count", f"got {count}", "expected 1 or more"))
        whole = opened(source, "source")
        names = _names_of_classes(whole, "CapPerClass")
        code = np.unique(names.astype(str), return_inverse=True)[1]
        drawn = rng.keys(seed, "cap", np.arange(len(whole)))
        kept = []
        for part in _parts(whole):
            mine = part[np.lexsort((drawn[part], code[part]))]
            rank = np.arange(len(mine)) - np.searchsorted(code[mine], code[mine])
            kept.append(mine[(rank < count) | absent(names[mine])])
        super().__init__(whole, np.sort(np.concatenate(kept)))


class Relabel(Picked):
    """The samples of a source under other class names; several old classes may become one.

    The new classes stand in the order of the old ones.

    Args:
        source: The whole: a source with its options.
        mapping: The new name by old name.
        rest: What becomes of samples of classes that ``mapping`` does not name: error, keep (their class), or drop.

    Raises:
        InputError: an old name that no class has, classes that are not mapped, samples without classes, one class left.

    >>> two = Relabel({"name": "Iris"}, {"setosa": "short", "virginica": "long", "versicolor": "long"})
    >>> two.schema.classes, two.targets[[0, 50, 149]].tolist()
    (('short', 'long'), [0, 1, 1])
    """

    def __init__(
        self,
        source: dict[str, Any] | Source,
        mapping: dict[str, str],
        rest: Literal["error", "keep", "drop"] = "error",
    ) -> None:
        whole = opened(source, "source")
        names = _names_of_classes(whole, "Relabel")
        old = whole.schema.classes or sorted_names(whole.targets)  # type: ignore[arg-type]
        new_of = {str(before): str(after) for before, after in mapping.items()}
        _check_mapping(new_of, old, rest)
        if rest == "keep":
            new_of = {name: name for name in old} | new_of
        classes = tuple(dict.fromkeys(new_of[name] for name in old if name in new_of))
        if len(classes) < 2:
            message = f"one class is left: {', '.join(classes) or 'none'}"
            raise InputError(Finding("one-class", "error", "mapping", message, "a classifier needs two"))
        place = {name: classes.index(new_of[name]) if name in new_of else -1 for name in old}
        missing = absent(names)
        targets = np.array([place.get(name, -1) for name in names.tolist()], np.int64)
        kept, schema = np.flatnonzero((targets >= 0) | missing), replace(whole.schema, classes=classes)
        if missing.any():  # no whole number says that there is no target: names do, and None, the last, which is -1
            targets = np.array([*classes, None], object)[targets]
        super().__init__(whole, kept, targets, schema)


def opened(spec: Any, where: str) -> Source:
    """Open the source that another one is made of.

    Raises:
        InputError: what ``open_source`` raises, and for a user's own data set: torch itself composes those.
    """
    found = open_source({"name": spec} if isinstance(spec, str) else spec, where)
    if isinstance(found, DatasetSource):
        message = f"{type(found.dataset).__name__} is a data set of your own"
        fix = "compose it in your code, with torch.utils.data.Subset or ConcatDataset, and name the result"
        raise InputError(Finding("own-data-set", "error", where, message, fix))
    return found


def class_names(source: Source) -> np.ndarray:
    """Return the name of each sample's class, object [N], None where its target is missing.

    Raises:
        InputError: a label beyond the classes.
    """
    targets, classes = np.asarray(source.targets), source.schema.classes
    if classes is None or not np.issubdtype(targets.dtype, np.integer):
        return np.array([None if value is None else str(value) for value in targets.tolist()], object)
    bad = np.flatnonzero((targets < 0) | (targets >= len(classes)))
    if len(bad):
        message = f"{counted(len(bad), 'label is', 'labels are')} out of range: "
        message += named(f"{targets[at]} of {source.name(int(at))}" for at in bad.tolist())
        raise InputError(Finding("label-range", "error", "source", message, f"expected 0 to {len(classes) - 1}"))
    return np.array(classes, object)[targets]


def _names_of_classes(source: Source, title: str) -> np.ndarray:
    if source.schema.target != "class" or source.targets is None:
        found = {"number": "numbers", "sequence": "sequences"}.get(source.schema.target or "", "nothing")
        raise InputError(Finding("no-classes", "error", "source", f"its targets are {found}", f"{title} takes classes"))
    return class_names(source)


def _with_classes(source: Source) -> tuple[np.ndarray | None, Schema]:
    """Return targets and schema that name the classes, so that a part of the samples has those of the whole."""
    schema, targets = source.schema, source.targets
    if schema.target != "class" or schema.classes is not None or targets is None:
        return targets, schema
    classes = sorted_names(targets)
    are_places = np.issubdtype(targets.dtype, np.integer) and classes == tuple(map(str, range(len(classes))))
    return (targets if are_places else class_names(source)), replace(schema, classes=classes)


def _parts(source: Source) -> list[np.ndarray]:
    """Return the samples of each split that the data come with, and those of none; all where there are no splits."""
    every = np.arange(len(source))
    parts = [np.asarray(ids) for ids in (source.given or {}).values()]
    rest = np.setdiff1d(every, np.concatenate(parts)) if parts else every
    return [part for part in (*parts, rest) if len(part)]


def _listed(indices: Sequence[int], source: Source) -> np.ndarray:
    found = np.asarray(indices, np.int64)
    findings = []
    beyond = [str(index) for index in indices if not 0 <= index < len(source)]
    if beyond:
        message = f"{counted(len(beyond), 'number is', 'numbers are')} those of no sample: {named(beyond)}"
        findings.append(Finding("wrong-value", "error", "indices", message, f"expected 0 to {len(source) - 1}"))
    values, counts = np.unique(found, return_counts=True)
    if (counts > 1).any():
        message = f"{named(map(str, values[counts > 1].tolist()))} stand there more than once"
        findings.append(Finding("wrong-value", "error", "indices", message, "name each sample once"))
    if not len(found):
        findings.append(Finding("no-samples", "error", "indices", "names no sample"))
    if findings:
        raise InputError(findings)
    return found


def _fraction(source: Source, fraction: float, seed: int) -> np.ndarray:
    if not 0 < fraction <= 1:
        raise InputError(Finding("wrong-value", "error", "fraction", f"got {fraction}", "expected above 0, up to 1"))
    drawn = rng.keys(seed, "subset", np.arange(len(source)))
    kept = [part[np.argsort(drawn[part], kind="stable")[: round(fraction * len(part))]] for part in _parts(source)]
    found = np.sort(np.concatenate(kept))
    if not len(found):
        message = f"{fraction} of {counted(len(source), 'sample', 'samples')} is none"
        raise InputError(Finding("no-samples", "error", "fraction", message, "give a larger one"))
    return found


def _matching(source: Source, patterns: Sequence[str]) -> np.ndarray:
    names = [source.name(index) for index in range(len(source))]
    hits = [[fnmatch.fnmatchcase(name, pattern) for name in names] for pattern in patterns]
    vain = [pattern for pattern, hit in zip(patterns, hits, strict=True) if not any(hit)]
    if vain or not patterns:
        message = f"no sample's name matches {named(map(repr, vain))}" if vain else "holds no pattern"
        fix = f"names are such as {named(map(repr, (names[0], names[-1])))}"
        raise InputError(Finding("no-samples", "error", "names", message, fix))
    return np.flatnonzero(np.any(hits, axis=0))


def _check_mapping(mapping: Mapping[str, str], classes: Sequence[str], rest: str) -> None:
    findings = [
        Finding("unknown-class", "error", "mapping", f"no class is called {name!r}", catalog.suggestion(name, classes))
        for name in mapping
        if name not in classes
    ]
    unmapped = [name for name in classes if name not in mapping]
    if unmapped and rest == "error":
        said = counted(len(unmapped), "class has", "classes have")
        message = f"{said} no new name: {named(map(repr, unmapped))}"
        fix = "name them in mapping, or say rest: keep or rest: drop"
        findings.append(Finding("unmapped-class", "error", "mapping", message, fix))
    if findings:
        raise InputError(findings)
