"""Rows of a table: number columns standardised, category columns as one column for each level."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork.data.normalize import Normalize, learn_normalize
from torchwork.data.onehot import OneHot
from torchwork.data.pipelines.way import misfit
from torchwork.types import Finding, Schema, Source


class Tables:
    """Rows {numbers [B, n], categories [B, k]}; prepared they are float64 [B, n + k], the categories as codes."""

    def __init__(self, schema: Schema, where: str) -> None:
        self._schema = schema
        self._where = where
        self._normalize: Normalize | None = None
        self._one_hot = OneHot()

    def add(self, step: Any, name: str, where: str) -> list[Finding]:
        if isinstance(step, Normalize):
            self._normalize = step
        elif isinstance(step, OneHot):
            self._one_hot = step
        else:
            return [misfit(name, "images", self._schema, where)]
        return []

    def learn(self, source: Source, indices: np.ndarray, passes: Callable[[], Iterator[Any]]) -> None:
        categories = source.read(indices, epoch=0)[0]["categories"]
        self._one_hot.learn(list(self._schema.categories), categories)
        if self._normalize is not None:
            width = len(self._schema.numbers)
            learn_normalize(self._normalize, lambda: (batch[:, :width] for batch in passes()), self._where)

    def prepare(self, raw: Any) -> Tensor:
        return torch.cat([raw["numbers"].double(), self._one_hot.codes(raw["categories"])], 1)

    def finish(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        width = len(self._schema.numbers)
        numbers, codes = x[:, :width].clone(), x[:, width:]
        if self._normalize is not None:
            numbers = self._normalize.apply(numbers)
        return torch.cat([numbers, self._one_hot.expand(codes)], 1).to(dtype)

    def state(self) -> dict[str, Tensor]:
        return {} if self._normalize is None else self._normalize.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if self._normalize is not None:
            self._normalize.load_state(state)

    def facts(self) -> dict[str, Any]:
        return {"levels": self._one_hot.levels}

    def load_facts(self, facts: Mapping[str, Any]) -> None:
        self._one_hot.levels = {name: list(texts) for name, texts in facts["levels"].items()}

    def describe(self) -> list[str]:
        lines = [] if self._normalize is None else [repr(self._normalize)]
        return [*lines, repr(self._one_hot)] if self._schema.categories else lines
