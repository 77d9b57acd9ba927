"""Targets of a student: another model's probabilities for the samples of training, the labels for all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from torchwork.data.target import Target
from torchwork.data.wording import named
from torchwork.types import Finding, InputError

# float32 probabilities of a hundred thousand classes add up to 1 within this.
_TOLERANCE = 1e-3


class SoftTarget:
    """Distributions over the classes: rows [K] that add up to 1. Made by ``distilled``.

    It stands in for a ``Target``, and a run that is loaded again has the labels as one-hot rows for every split:
    ``Target.from_state(soft.state())``.
    """

    kind: Literal["class"] = "class"
    target_names: tuple[str, ...] = ()
    one_hot = True

    def __init__(self, labels: Target, ids: np.ndarray, probabilities: np.ndarray) -> None:
        self._labels = labels
        self._probabilities = torch.from_numpy(probabilities)
        self._ids = np.sort(ids)
        self._row_of = np.argsort(ids, kind="stable")

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, in the order of the columns."""
        return self._labels.classes

    def encode(self, raw: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the labels as one-hot rows, ``dtype`` [B, K]."""
        return self._labels.encode(raw, dtype)

    def at(self, ids: np.ndarray, raw: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return ``dtype`` [B, K]: the probabilities of the samples that have them, the labels of the others."""
        ids = np.asarray(ids)
        near = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        known = self._ids[near] == ids
        rows = self._probabilities[torch.from_numpy(self._row_of[near])].to(dtype)
        if known.all():
            return rows
        return torch.where(torch.from_numpy(known)[:, None], rows, self.encode(raw, dtype))

    def counts(self, raw: np.ndarray) -> dict[str, int]:
        """Return how many of the labels belong to each class, in the order of the classes."""
        return self._labels.counts(raw)

    def state(self) -> dict[str, Any]:
        """Return what ``Target.from_state`` needs to give the labels as one-hot rows."""
        return self._labels.state()


def distilled(
    target: Target,
    ids: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    where: str = "data.target.run",
) -> SoftTarget:
    """Return targets that are a teacher's probabilities for the samples ``ids`` and one-hot labels for all others.

    Args:
        target: The labels, fitted.
        ids: Samples of the source [N]: those of the training split.
        probabilities: The teacher's for each of them, [N, K], each row adding up to 1.
        classes: What the teacher's columns are called; they may stand in another order than the student's.
        where: The place in the config, for findings.

    Raises:
        InputError: the targets are no classes, or not the teacher's; rows that are no probabilities.

    >>> labels = Target("class", ("a", "b"), ())
    >>> soft = distilled(labels, np.array([7]), np.array([[0.25, 0.75]]), ("b", "a"))
    >>> soft.at(np.array([7, 8]), np.array(["a", "a"], object)).tolist()
    [[0.75, 0.25], [1.0, 0.0]]
    """
    if target.kind != "class" or target.classes is None:
        message = f"a run's probabilities are for classes, the targets are {target.kind}s"
        raise InputError(Finding("no-classes", "error", where, message, "leave data.target out"))
    missing = [repr(name) for name in target.classes if name not in classes]
    more = [repr(name) for name in classes if name not in target.classes]
    if missing or more:
        said = [f"lacks {named(missing)}"] if missing else []
        said += [f"has {named(more)}, which the data lack"] if more else []
        fix = "name a run that was trained on the same classes"
        raise InputError(Finding("other-classes", "error", where, f"its model {' and '.join(said)}", fix))
    found = np.asarray(probabilities, np.float64)
    shape = (len(ids), len(target.classes))
    if found.shape != shape:
        raise InputError(Finding("wrong-shape", "error", where, f"got probabilities {found.shape}, expected {shape}"))
    if not (np.isfinite(found).all() and (found >= 0).all() and (abs(found.sum(1) - 1) < _TOLERANCE).all()):
        message = "its outputs are no probabilities: from 0 to 1, each row adding up to 1"
        raise InputError(Finding("no-probabilities", "error", where, message, "name a run of classification"))
    order = [list(classes).index(name) for name in target.classes]
    return SoftTarget(target.as_one_hot(), np.asarray(ids, np.int64), np.ascontiguousarray(found[:, order]))
