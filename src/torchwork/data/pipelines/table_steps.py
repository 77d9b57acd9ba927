"""The steps of a table and the columns that each of them takes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchwork import catalog
from torchwork.data.encode import OneHot, Ordinal
from torchwork.data.impute import Impute
from torchwork.data.normalize import Normalize
from torchwork.data.pipelines.way import misfit
from torchwork.data.scale import RobustScale, Standardize
from torchwork.data.wording import named
from torchwork.types import Finding, Schema

Scaler = Standardize | RobustScale | Normalize

_STAGES: dict[type, int] = {Impute: 0, OneHot: 1, Ordinal: 1, Standardize: 2, RobustScale: 2, Normalize: 2}
_DONE = ("filled in", "encoded", "scaled")
_ORDER = "the order is Impute, then OneHot and Ordinal, then Standardize, RobustScale and Normalize"


class Steps:
    """The steps of a table in their three stages: Impute; OneHot and Ordinal; Standardize, RobustScale and Normalize.

    Within a stage each column has one step at most. A step without ``columns`` takes those that no other step of its
    stage names and that it is made for: numbers, categories, or for Impute both.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._stages: tuple[list[Any], ...] = ([], [], [])

    def add(self, step: Any, name: str, where: str) -> list[Finding]:
        """Take a step, or say why it does not fit: its kind, its place in the order, columns that it cannot take."""
        if type(step) not in _STAGES:
            return [misfit(name, "other samples", self._schema, where)]
        stage = _STAGES[type(step)]
        later = [earlier for steps in self._stages[stage + 1 :] for earlier in steps]
        if later:
            message = f"{name} stands after {type(later[0]).__name__}"
            return [Finding("order", "error", where, message, f"put it before: {_ORDER}")]
        wanted = _columns(step)
        others = self._stages[stage]
        if wanted is None:
            findings = _second(name, others, where)
        else:
            findings = self._unfit(step, name, wanted, where) + self._taken(name, wanted, others, where)
        if not findings:
            others.append(step)
        return findings

    def _unfit(self, step: Any, name: str, wanted: list[str], where: str) -> list[Finding]:
        numbers, categories = self._schema.numbers, self._schema.categories
        fits = self._made_for(step)
        if isinstance(step, Standardize | RobustScale):  # Ordinal has made numbers of these
            fits += [column for column, encoder in self.encoders().items() if isinstance(encoder, Ordinal)]
        findings = []
        if not wanted:
            message = f"{name} names no column"
            findings.append(Finding("no-columns", "error", f"{where}.columns", message, "name some, or leave it out"))
        for place, column in enumerate(wanted):
            at = f"{where}.columns[{place}]" if len(wanted) > 1 else f"{where}.columns"
            if column not in numbers and column not in categories:
                fix = catalog.suggestion(column, [*numbers, *categories])
                findings.append(Finding("missing-column", "error", at, f"there is no input column {column!r}", fix))
            elif column not in fits:
                holds = "numbers" if column in numbers else "categories"
                message = f"{name} cannot take column {column!r}, which holds {holds}"
                findings.append(Finding("misfit", "error", at, message, _instead(step)))
        return findings

    def _taken(self, name: str, wanted: list[str], others: list[Any], where: str) -> list[Finding]:
        taken = {column: other for other in others for column in _columns(other) or ()}
        repeated = {column for column in wanted if column in taken or wanted.count(column) > 1}
        if not repeated:
            return []
        done = _DONE[_STAGES[type(others[0])]] if others else "named"
        message = f"{named(map(repr, sorted(repeated)))} would be {done} twice"
        return [Finding("twice", "error", f"{where}.columns", message, "name each column in one step")]

    def _made_for(self, step: Any) -> list[str]:
        numbers, categories = list(self._schema.numbers), list(self._schema.categories)
        if isinstance(step, Impute):
            return [*(numbers if step.fills_numbers else ()), *categories]
        return categories if isinstance(step, OneHot | Ordinal) else numbers

    def _of(self, stage: int) -> dict[str, Any]:
        steps = self._stages[stage]
        found = {column: step for step in steps for column in _columns(step) or ()}
        for step in steps:
            if _columns(step) is None:
                found |= {column: step for column in self._made_for(step) if column not in found}
        return found

    def imputers(self) -> dict[str, Impute]:
        """Return the step that fills each column, where there is one."""
        return self._of(0)

    def encoders(self) -> dict[str, OneHot | Ordinal]:
        """Return the step that makes numbers of each category column, where one is named."""
        return self._of(1)

    def scalers(self) -> list[tuple[Scaler, Tensor]]:
        """Return the steps that scale, each with the places int64 [m] of its columns among numbers and categories."""
        columns = [*self._schema.numbers, *self._schema.categories]
        step_of = self._of(2)
        return [
            (step, torch.tensor([i for i, name in enumerate(columns) if step_of.get(name) is step], dtype=torch.int64))
            for step in self._stages[2]
        ]

    @property
    def scale(self) -> bool:
        """Whether any step scales."""
        return bool(self._stages[2])

    def describe(self) -> list[str]:
        """Return a line for each step, with its columns where it names some or is one of several."""
        lines = []
        for stage, steps in enumerate(self._stages):
            step_of = self._of(stage)
            for step in steps:
                columns = [column for column, owner in step_of.items() if owner is step]
                some = _columns(step) is not None or len(steps) > 1
                lines.append(f"{step!r}: {named(columns)}" if some else repr(step))
        return lines


def _columns(step: Any) -> list[str] | None:
    return None if isinstance(step, Normalize) else step.columns


def _second(name: str, others: list[Any], where: str) -> list[Finding]:
    without = [other for other in others if _columns(other) is None]
    if not without:
        return []
    message = f"{name} and {type(without[0]).__name__} both stand for all columns"
    return [Finding("twice", "error", where, message, "name the columns of one of them, or remove one")]


def _instead(step: Any) -> str:
    if isinstance(step, Impute):
        return "give a number as fill"
    if isinstance(step, OneHot | Ordinal):
        return "list the column in data.source.categories, if its numbers are categories"
    return "put an Ordinal that names it before, or take it out"
