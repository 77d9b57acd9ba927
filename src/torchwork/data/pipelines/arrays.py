"""Arrays of any shape, and dicts of them: a user's own steps, then Normalize."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork.data.normalize import Normalize, learn_normalize
from torchwork.data.pipelines.stack import stacked
from torchwork.data.pipelines.way import EachSample, floats, misfit
from torchwork.types import Finding, Schema, Source


class Arrays:
    """Tensors [...] of one shape, or dicts of such, which pass as they are."""

    def __init__(self, schema: Schema, where: str) -> None:
        self._schema = schema
        self._where = where
        self._steps: list[EachSample] = []
        self._normalize: Normalize | None = None

    def add(self, step: Any, name: str, where: str) -> list[Finding]:
        if isinstance(step, Normalize):
            self._normalize = step
        elif isinstance(step, EachSample):
            self._steps.append(step)
        else:
            return [misfit(name, "images", self._schema, where)]
        return []

    def learn(self, source: Source, indices: np.ndarray, passes: Callable[[], Iterator[Any]]) -> None:
        if self._normalize is not None:
            learn_normalize(self._normalize, passes, self._where)

    def prepare(self, raw: Any) -> Any:
        for step in self._steps:
            raw = step(raw)
        return stacked(raw, self._where)

    def finish(self, x: Any, dtype: torch.dtype) -> Any:
        if isinstance(x, dict):
            return {name: floats(value, dtype) for name, value in x.items()}
        return floats(x, dtype) if self._normalize is None else self._normalize.copied(x, dtype)

    def state(self) -> dict[str, Tensor]:
        return {} if self._normalize is None else self._normalize.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if self._normalize is not None:
            self._normalize.load_state(state)

    def facts(self) -> dict[str, Any]:
        return {}

    def load_facts(self, facts: Mapping[str, Any]) -> None:
        pass

    def describe(self) -> list[str]:
        lines = [repr(step) for step in self._steps]
        return lines if self._normalize is None else [*lines, repr(self._normalize)]
