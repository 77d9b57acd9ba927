"""From raw targets to tensors: class names and their order, fixed by the training split; numbers and their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from torchwork import catalog
from torchwork.data import sequence
from torchwork.data.wording import counted
from torchwork.types import Finding, InputError, Schema


class Target:
    """What the targets of a run are, and how a raw one becomes a number for the model.

    Make one with ``fit``, or with ``from_state`` from what ``state`` gave.

    >>> raw = np.array(["b", "a", "b", "a"], dtype=object)
    >>> target = Target.fit(Schema("array", "class"), raw, {"train": np.arange(4)}, str, None)
    >>> target.classes, target.encode(raw).tolist()
    (('a', 'b'), [1, 0, 1, 0])
    """

    def __init__(
        self,
        kind: Literal["class", "number", "sequence"],
        classes: tuple[str, ...] | None,
        target_names: tuple[str, ...],
        places: bool = False,
        transform: str | None = None,
        length: int = 0,
        one_hot: bool = False,
    ) -> None:
        self.kind = kind
        self.classes = classes
        self.target_names = target_names
        self.length = length  # of the longest sequence of all samples
        self.one_hot = one_hot  # a class is a row of 0 and one 1
        self._places = places  # raw whole numbers are places among the classes, not names of classes
        self._transform_path = transform
        self._transform = _load_transform(transform)
        self._place_of = {name: place for place, name in enumerate(classes or ())}

    @classmethod
    def fit(
        cls,
        schema: Schema,
        raw: np.ndarray,
        splits: Mapping[str, np.ndarray],
        names: Callable[[int], str],
        target_transform: str | None = None,
    ) -> Target:
        """Fix the meaning of targets from the training split and check those of all splits.

        The classes are those that the data set itself names, in its order, or else those of the training split, sorted
        (whole numbers as numbers). A ``target_transform`` is a function of one raw target, by import path: where it
        returns texts or whole numbers they are classes (named by the training split), where floats they are numbers.
        The classes of sequences are their symbols; a ``target_transform`` of a sequence returns a sequence.

        Args:
            schema: What the source says of its samples.
            raw: The raw targets of all samples: names or whole numbers [N], or float64 [N, k], or sequences [N].
            splits: Indices by split; ``train`` among them.
            names: What a person would call a sample.
            target_transform: The import path, or None.

        Raises:
            InputError: one class only; a class or symbol in val or test that train lacks; a label out of range; a
                number that is not finite.
        """
        transform = _load_transform(target_transform)
        if schema.target == "sequence":
            changed = raw if transform is None else _each(raw, transform, target_transform or "")
            symbols = sequence.symbols_of(changed, splits, names)
            length = max(len(changed[index]) for ids in splits.values() for index in ids.tolist())
            return cls("sequence", symbols, (), transform=target_transform, length=length)
        changed = raw
        if transform is not None:  # samples that are in no split may lack a target
            used = np.sort(np.concatenate(list(splits.values())))
            found = _changed(raw[used], transform, target_transform or "")
            changed = np.zeros((len(raw), *found.shape[1:]), found.dtype)
            changed[used] = found
        if changed.ndim == 2:
            _check_finite(changed, splits, names)
            kept = transform is None or changed.shape[1] == len(schema.target_names)
            target_names = schema.target_names if kept else tuple(f"target_{k}" for k in range(changed.shape[1]))
            return cls("number", None, target_names, transform=target_transform)
        places = transform is None and schema.classes is not None and np.issubdtype(changed.dtype, np.integer)
        own = schema.classes if transform is None else None
        if places and own is not None:
            _check_range(changed, own, splits, names)
        distinct, rows = _distinct(changed)
        named = np.array([_class_name(value, own if places else None) for value in distinct], object)[rows]
        train = set(named[splits["train"]])
        _check_classes(named, train, splits, names)
        classes = own if own is not None else sorted_names(changed[splits["train"]])
        return cls("class", classes, (), places, target_transform)

    def encode(self, raw: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return int64 [B] places among the classes, or ``dtype`` [B, k] numbers, from raw targets.

        Sequences become int64 [B, S], S the longest of all samples, with -1 behind the last symbol; classes as one-hot
        rows are ``dtype`` [B, K].

        Raises:
            InputError: a class that is not known, with the ones that are.
        """
        places = self._encode(raw, dtype)
        if not self.one_hot:
            return places
        return torch.nn.functional.one_hot(places, len(self.classes or ())).to(dtype)

    def at(self, ids: np.ndarray, raw: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the targets of samples from their ids [B] and raw targets: here the raw ones alone decide."""
        return self.encode(raw, dtype)

    def _encode(self, raw: np.ndarray, dtype: torch.dtype) -> Tensor:
        if self.kind == "sequence":
            if self._transform is not None:
                raw = _each(raw, self._transform, self._transform_path or "")
            return torch.from_numpy(sequence.encode(raw, self._place_of, self.length))
        if self._transform is not None:
            raw = _changed(raw, self._transform, self._transform_path or "")
        if self.kind == "number":
            return torch.from_numpy(np.asarray(raw, np.float64)).to(dtype)
        assert self.classes is not None
        distinct, rows = _distinct(raw)
        names = [_class_name(value, self.classes if self._places else None) for value in distinct]
        unknown = sorted({name for name in names if name not in self._place_of})
        if unknown:
            message = f"unknown {'class' if len(unknown) == 1 else 'classes'} {_listed(unknown)}"
            raise InputError(Finding("unknown-class", "error", "data", message, f"known: {_listed(self.classes)}"))
        return torch.from_numpy(np.array([self._place_of[name] for name in names], np.int64)[rows])

    def counts(self, raw: np.ndarray) -> dict[str, int]:
        """Return how many raw targets belong to each class, or how often each symbol occurs, in the classes' order."""
        places = self._encode(raw, torch.float32).numpy()
        found = np.bincount(places[places >= 0], minlength=len(self.classes or ()))
        return dict(zip(self.classes or (), found.tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """Return what ``from_state`` needs, as plain JSON values."""
        return {
            "kind": self.kind,
            "classes": None if self.classes is None else list(self.classes),
            "target_names": list(self.target_names),
            "places": self._places,
            "target_transform": self._transform_path,
            "length": self.length,
            "one_hot": self.one_hot,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Target:
        """Return the target that ``state`` described."""
        classes = None if state["classes"] is None else tuple(state["classes"])
        names, transform = tuple(state["target_names"]), state["target_transform"]
        length, one_hot = state.get("length", 0), state.get("one_hot", False)
        return cls(state["kind"], classes, names, state["places"], transform, length, one_hot)

    def as_one_hot(self) -> Target:
        """Return the same classes as one-hot rows.

        >>> Target("class", ("a", "b"), ()).as_one_hot().encode(np.array(["b"], object)).tolist()
        [[0.0, 1.0]]
        """
        return Target.from_state(self.state() | {"one_hot": True})


def _load_transform(path: str | None) -> Callable[[Any], Any] | None:
    return None if path is None else catalog.load(path, {}, "target transform", "data.target_transform")


def _each(raw: np.ndarray, transform: Callable[[Any], Any], path: str) -> np.ndarray:
    """Return what a user's function makes of each sequence, [N]."""
    changed = np.empty(len(raw), object)
    try:
        for index, value in enumerate(raw.tolist()):
            changed[index] = transform(value)
    except Exception as error:
        error.add_note(f"in data.target_transform {path}")
        raise
    return changed


def _changed(raw: np.ndarray, transform: Callable[[Any], Any], path: str) -> np.ndarray:
    """Return class names or whole numbers [N], or float64 [N, k], from a user's function of each raw target."""
    rows = raw.tolist() if raw.ndim == 1 else [row.item() if len(row) == 1 else row for row in raw]
    done: dict[Any, Any] = {}
    try:
        if raw.ndim == 1:  # a class is asked for once
            done = {value: transform(value) for value in dict.fromkeys(rows)}
            results = [done[value] for value in rows]
        else:
            results = [transform(row) for row in rows]
    except Exception as error:
        error.add_note(f"in data.target_transform {path}")
        raise
    plain = [value.item() if getattr(value, "ndim", None) == 0 else value for value in results]
    if all(isinstance(value, str | int) for value in plain):
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in plain)
        return np.array(plain, np.int64 if whole else object)
    try:
        numbers = np.array([np.asarray(value, np.float64).reshape(-1) for value in plain])
        if numbers.ndim != 2 or any(value is None for value in plain):  # numpy takes None for NaN
            raise ValueError("no numbers, or not as many in each")
    except (TypeError, ValueError) as error:
        kinds = ", ".join(sorted({type(value).__name__ for value in plain}))
        fix = "return a text or a whole number for a class, a float or a vector of floats of one length for numbers"
        finding = Finding("target-transform", "error", "data.target_transform", f"{path} returned {kinds}", fix)
        raise InputError(finding) from error
    return numbers


def _distinct(raw: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return raw targets, whole numbers once each, and which of them each sample has."""
    if raw.dtype.kind not in "iu":
        return raw.tolist(), np.arange(len(raw))
    values, rows = np.unique(raw, return_inverse=True)
    return values.tolist(), rows


def _class_name(value: Any, places: tuple[str, ...] | None) -> str:
    if places is None:
        return str(value)
    return places[value] if 0 <= value < len(places) else str(value)


def sorted_names(values: np.ndarray) -> tuple[str, ...]:
    """Return the distinct class names of raw targets [N], sorted: whole numbers as numbers. None, no target, is none.

    >>> sorted_names(np.array([10, 9, 10]))
    ('9', '10')
    """
    distinct = [value for value in dict.fromkeys(values.tolist()) if value is not None]
    alike = len({type(value) for value in distinct}) == 1
    return tuple(str(value) for value in sorted(distinct, key=None if alike else str))


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _check_finite(numbers: np.ndarray, splits: Mapping[str, np.ndarray], names: Callable[[int], str]) -> None:
    used = np.sort(np.concatenate(list(splits.values())))
    bad = used[~np.isfinite(numbers[used]).all(1)]
    if len(bad):
        shown = ", ".join(names(int(index)) for index in bad[:10]) + (" …" if len(bad) > 10 else "")
        message = f"{counted(len(bad), 'target is', 'targets are')} NaN or infinite: {shown}"
        raise InputError(Finding("target-not-finite", "error", "data", message, "mend or remove these samples"))


def _check_range(
    raw: np.ndarray, classes: tuple[str, ...], splits: Mapping[str, np.ndarray], names: Callable[[int], str]
) -> None:
    used = np.sort(np.concatenate(list(splits.values())))
    bad = used[(raw[used] < 0) | (raw[used] >= len(classes))]
    if len(bad):
        message = (
            f"{counted(len(bad), 'label is', 'labels are')} out of range, as {raw[bad[0]]} of {names(int(bad[0]))}"
        )
        fix = f"expected 0 to {len(classes) - 1}, the places of {_listed(classes)}"
        raise InputError(Finding("label-range", "error", "data", message, fix))


def _check_classes(
    named: np.ndarray, train: set[str], splits: Mapping[str, np.ndarray], names: Callable[[int], str]
) -> None:
    findings = []
    if len(train) < 2:
        message = f"the training split has one class only, {_listed(train)}"
        fix = "a classifier needs two; for numbers, say kind: number in the source"
        findings.append(Finding("one-class", "error", "data.source", message, fix))
    for part, ids in splits.items():
        lacking = {name: ids[named[ids] == name] for name in sorted(set(named[ids]) - train)}
        if part == "train" or not lacking:
            continue
        said = ", ".join(f"{name!r} ({len(at)}, as {names(int(at[0]))})" for name, at in list(lacking.items())[:10])
        more = f" and {len(lacking) - 10} more" if len(lacking) > 10 else ""
        message = f"{part} has {counted(len(lacking), 'class', 'classes')} that train lacks: {said}{more}"
        fix = "give train samples of each, or remove these; if the targets are numbers, say kind: number in the source"
        findings.append(Finding("class-not-in-train", "error", "data.split", message, fix))
    if findings:
        raise InputError(findings)
