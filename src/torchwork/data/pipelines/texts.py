"""Texts: a user's own steps on each, then tokens; whole numbers all the way to the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork.data.pipelines.way import EachSample, misfit
from torchwork.data.resident import chunks
from torchwork.data.tokens import Tokenize
from torchwork.types import Finding, Schema, Source


class Texts:
    """Texts; prepared and finished they are int64 [B, length], by the default of Tokenize where there is no step."""

    def __init__(self, schema: Schema, where: str) -> None:
        self._schema = schema
        self._steps: list[EachSample] = []
        self._tokenize: Tokenize | None = None

    def add(self, step: Any, name: str, where: str) -> list[Finding]:
        if self._tokenize is not None:
            fix = "put Tokenize last, and once: what follows it is the model"
            return [Finding("order", "error", where, f"{name} stands after Tokenize", fix)]
        if isinstance(step, Tokenize):
            self._tokenize = step
        elif isinstance(step, EachSample):
            self._steps.append(step)
        else:
            return [misfit(name, "other samples", self._schema, where)]
        return []

    @property
    def tokenize(self) -> Tokenize:
        """The step that makes numbers of texts."""
        if self._tokenize is None:
            self._tokenize = Tokenize()
        return self._tokenize

    def learn(self, source: Source, indices: np.ndarray, passes: Callable[[], Iterator[Any]]) -> None:
        parts = (self._changed(source.read(part, epoch=0)[0]) for part in chunks(indices, self._schema))
        self.tokenize.learn(text for part in parts for text in part)

    def _changed(self, texts: list[str]) -> list[str]:
        for step in self._steps:
            texts = step(texts)
        return texts

    def prepare(self, raw: list[str]) -> Tensor:
        return self.tokenize.encode(self._changed(raw))

    def finish(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        return x

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        pass

    def facts(self) -> dict[str, Any]:
        return self.tokenize.facts()

    def load_facts(self, facts: Mapping[str, Any]) -> None:
        self.tokenize.load_facts(facts)

    def describe(self) -> list[str]:
        return [*map(repr, self._steps), repr(self.tokenize)]
