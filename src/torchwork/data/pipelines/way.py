"""What a kind of samples has to offer so that it can go from raw to ready for the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from torchwork.types import Finding, InputError, Schema, Source

KIND_SAID = {
    "image": "images",
    "table": "rows of a table",
    "array": "arrays",
    "text": "texts",
    "audio": "sounds",
}


class Way(Protocol):
    """One kind of samples on its way: steps on the host (``prepare``), then floats on the run's device (``finish``).

    Everything that is learnt is learnt from the training split, and is either a tensor (``state``) or plain data that
    JSON can hold (``facts``).
    """

    def add(self, step: Any, name: str, where: str) -> list[Finding]:
        """Take a step of the config, in its order, or say why it does not fit."""
        ...

    def learn(self, source: Source, indices: np.ndarray, passes: Callable[[], Iterator[Any]]) -> None:
        """Learn from the training samples ``indices``; ``passes()`` yields them prepared, a batch at a time."""
        ...

    def prepare(self, raw: Any) -> Any:
        """Return raw inputs after the deterministic steps, on the host."""
        ...

    def finish(self, x: Any, dtype: torch.dtype) -> Any:
        """Return what the model takes, on the tensor's own device; never the tensor that was given, changed."""
        ...

    def state(self) -> dict[str, Tensor]: ...
    def load_state(self, state: Mapping[str, Tensor]) -> None: ...
    def facts(self) -> dict[str, Any]: ...
    def load_facts(self, facts: Mapping[str, Any]) -> None: ...

    def describe(self) -> list[str]:
        """Return the steps in the order in which they are done, a line each."""
        ...


class EachSample:
    """A user's own step, which takes one sample, over a batch."""

    def __init__(self, function: Callable[[Any], Any], name: str) -> None:
        self._function = function
        self._name = name

    def __call__(self, batch: Any) -> list[Any]:
        if isinstance(batch, dict):
            message = f"{self._name} takes one tensor, the samples are dicts of tensors"
            raise InputError(Finding("misfit", "error", "data.transform", message, "transform them in the data set"))
        return [self._function(sample) for sample in batch]

    def __repr__(self) -> str:
        return self._name


def misfit(name: str, fits: str, schema: Schema, where: str) -> Finding:
    """Say that a step is for another kind of samples."""
    message = f"{name} is for {fits}, the samples are {KIND_SAID[schema.inputs]}"
    return Finding("misfit", "error", where, message, "remove it")


def floats(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return floats of ``dtype``; whole numbers stay as they are, since they may be tokens."""
    return x.to(dtype) if x.is_floating_point() else x
