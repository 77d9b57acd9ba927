"""Rows of a table: missing cells filled in, category columns made numbers, number columns scaled; in this order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork.data.encode import OneHot
from torchwork.data.missing import absent
from torchwork.data.normalize import Normalize, learn_normalize
from torchwork.data.pipelines.table_steps import Steps
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Schema, Source


class Tables:
    """Rows {numbers [B, n], categories [B, k]}; prepared they are float64 [B, n + k], the categories as codes.

    The model gets the numbers, then the categories in their order, each as its levels (OneHot, also where no step
    says so) or as one column (Ordinal).
    """

    def __init__(self, schema: Schema, where: str) -> None:
        self._schema = schema
        self._where = where
        self._steps = Steps(schema)
        self._plain = OneHot()
        self._columns = (*schema.numbers, *schema.categories)
        self._values = torch.full((len(schema.numbers),), torch.nan, dtype=torch.float64)  # NaN: not filled in
        self._texts: dict[str, str] = {}
        self._levels: dict[str, list[str]] = {}
        self._center = torch.zeros(len(self._columns), dtype=torch.float64)
        self._scale = torch.ones(len(self._columns), dtype=torch.float64)
        self._on: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def add(self, step: Any, name: str, where: str) -> list[Finding]:
        return self._steps.add(step, name, where)

    def learn(self, source: Source, indices: np.ndarray, passes: Callable[[], Iterator[Any]]) -> None:
        raw = source.read(indices, epoch=0)[0]
        self._learn_fills(np.asarray(raw["numbers"], np.float64), raw["categories"])
        texts = self._filled(raw["categories"])
        self._refuse_holes(absent(texts), self._schema.categories)
        encoders = self._encoders()
        self._levels = {name: step.learn(texts[:, place]) for place, (name, step) in enumerate(encoders.items())}
        for step, places in self._steps.scalers():
            if isinstance(step, Normalize):
                learn_normalize(step, partial(_only, passes, places), self._where)
            else:
                rows = torch.cat(list(_only(passes, places)))
                self._center[places], self._scale[places] = step.measure(rows)
        self._settle()

    def _learn_fills(self, numbers: np.ndarray, categories: np.ndarray) -> None:
        bare = []
        for name, step in self._steps.imputers().items():
            if name in self._schema.categories:
                self._texts[name] = step.category(categories[:, self._schema.categories.index(name)])
                continue
            place = self._schema.numbers.index(name)
            value = step.number(numbers[:, place])
            if value is None:
                bare.append(name)
            else:
                self._values[place] = value
        if bare:
            message = f"no training row has a value in {named(map(repr, bare))}, so that there is no figure to fill in"
            fix = "leave such a column out with data.source.columns, or fill it by strategy: constant"
            raise InputError(Finding("nothing-to-learn", "error", self._where, message, fix))

    def _settle(self) -> None:
        """Take over what Normalize measured or was given, after which no figure changes."""
        for step, places in self._steps.scalers():
            if isinstance(step, Normalize):
                assert step.mean is not None
                assert step.std is not None
                self._center[places], self._scale[places] = step.mean, step.std
        self._on.clear()

    def _encoders(self) -> dict[str, Any]:
        found = self._steps.encoders()
        return {name: found.get(name, self._plain) for name in self._schema.categories}

    def _filled(self, categories: np.ndarray) -> np.ndarray:
        if not self._texts:
            return categories
        texts = categories.copy()
        for name, text in self._texts.items():
            column = texts[:, self._schema.categories.index(name)]
            column[absent(column)] = text
        return texts

    def _refuse_holes(self, holes: np.ndarray, columns: tuple[str, ...]) -> None:
        counts = holes.sum(0)
        if not counts.any():
            return
        said = named(f"{columns[place]!r} ({counts[place]})" for place in np.flatnonzero(counts).tolist())
        message = f"{counted(int(counts.sum()), 'cell is', 'cells are')} missing or infinite, in {said}"
        fix = "fill them in, or train with data.clean.missing: mean, median or constant, or Impute in data.transform"
        raise InputError(Finding("missing-cells", "error", self._where, message, fix))

    def prepare(self, raw: Any) -> Tensor:
        numbers = raw["numbers"].double()
        numbers = torch.where(numbers.isfinite(), numbers, self._values)
        texts = self._filled(raw["categories"])
        holes = np.concatenate([numbers.isnan().numpy(), absent(texts)], 1)
        self._refuse_holes(holes, self._columns)
        columns, findings = [], []
        for place, (name, encoder) in enumerate(self._encoders().items()):
            codes, finding = encoder.encode(name, texts[:, place], self._levels[name])
            columns.append(codes[:, None])
            findings += [finding] if finding else []
        if findings:
            raise InputError(findings)
        return torch.cat([numbers, *columns], 1)

    def strangers(self, raw: Any) -> dict[tuple[str, str], list[int]]:
        """Return the rows of each text of a category column, by column and text, that the model does not know."""
        texts = self._filled(raw["categories"])
        found: dict[tuple[str, str], list[int]] = {}
        for place, (name, encoder) in enumerate(self._encoders().items()):
            column = texts[:, place]
            codes, finding = encoder.encode(name, column, self._levels[name])
            unknown = (codes.numpy() < 0) & ~absent(column) if finding else np.zeros(len(column), bool)
            for row in np.flatnonzero(unknown).tolist():
                found.setdefault((name, column[row]), []).append(row)
        return found

    def finish(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        width = len(self._schema.numbers)
        if self._steps.scale:
            if x.device not in self._on:
                self._on[x.device] = (self._center.to(x.device), self._scale.to(x.device))
            center, scale = self._on[x.device]
            x = x.sub(center).div_(scale)
        columns = [
            encoder.expand(x[:, width + place], self._levels[name])
            for place, (name, encoder) in enumerate(self._encoders().items())
        ]
        return torch.cat([x[:, :width], *columns], 1).to(dtype)

    def state(self) -> dict[str, Tensor]:
        state = {"impute.values": self._values} if self._steps.imputers() else {}
        for step, _ in self._steps.scalers():
            figures = {"scale.center": self._center, "scale.scale": self._scale}
            state |= step.state() if isinstance(step, Normalize) else figures
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if self._steps.imputers():
            self._values = state["impute.values"]
        for step, _ in self._steps.scalers():
            if isinstance(step, Normalize):
                step.load_state(state)
            else:
                self._center, self._scale = state["scale.center"], state["scale.scale"]
        self._settle()

    def facts(self) -> dict[str, Any]:
        return {"levels": self._levels, "fills": self._texts, "filled": list(self._steps.imputers())}

    def load_facts(self, facts: Mapping[str, Any]) -> None:
        self._levels = {name: list(texts) for name, texts in facts["levels"].items()}
        self._texts = dict(facts.get("fills", {}))

    def describe(self) -> list[str]:
        lines = self._steps.describe()
        bare = [name for name in self._schema.categories if name not in self._steps.encoders()]
        return [*lines, f"{self._plain!r}: {named(bare)}"] if bare else lines


def _only(passes: Callable[[], Iterator[Any]], places: Tensor) -> Iterator[Tensor]:
    return (batch[:, places] for batch in passes())
