"""The metrics of training itself: of the outputs that the losses were computed from, added up over an epoch."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from torchwork import dist
from torchwork.training.state import Progress
from torchwork.types import Batch, Task

_BATCHES = 64  # held back at most
_NUMBERS = 2**20  # of their outputs


class TalliedTask(Task, Protocol):
    """A task that hands out its outputs, and says what of them adds up to metrics."""

    def loss(
        self, model: nn.Module, batch: Batch, weight: float | None = None, outputs: list[Tensor] | None = None
    ) -> Tensor: ...
    def tally(self, output: Tensor, target: Tensor) -> Tensor | None: ...


_Given = tuple[Tensor, Tensor, bool]  # outputs, targets, and whether they count


class Tally:
    """A task for the loop that remembers what each step gave.

    A step costs no more than holding on to its outputs; they are looked at some 64 batches at a time. The terms of the
    samples are added up one after the other, so that the sums do not depend on when that was, and stand in
    ``progress.sums``: a run that goes on from there ends with the same ones, to the bit.

    Where several processes share the batches out, the terms of all of them are added up, in the order of one process
    alone; all of them must then settle at the same steps.

    What a model gives must stay as it is until the next look: no buffer that the next step writes into.
    """

    def __init__(self, task: TalliedTask, progress: Progress, *, shared: bool = False) -> None:
        self._task, self._progress, self._shared = task, progress, shared
        self._step: dict[int, _Given] = {}
        self._held: list[_Given] = []
        self._numbers = 0

    def loss(self, model: nn.Module, batch: Batch, weight: float | None = None) -> Tensor:
        """Return the task's loss, and remember the output: the first one where an optimizer asks again."""
        outputs: list[Tensor] = []
        loss = self._task.loss(model, batch, weight, outputs)
        key = batch.target.data_ptr()  # a part of a batch is cut out anew each time, and is a view of it
        if outputs and key not in self._step:
            self._step[key] = (outputs[0], batch.target, len(batch.ids) > 0)
        return loss

    def weight(self, batch: Batch) -> float:
        """Return the task's denominator."""
        return self._task.weight(batch)

    def taken(self) -> None:
        """Count the step: its update was made."""
        for given in self._step.values():
            self._held.append(given)
            self._numbers += 0 if self._shared else given[0].numel()  # which is not the same on all processes
        self._step.clear()
        if len(self._held) >= _BATCHES or self._numbers >= _NUMBERS:
            self.settle()

    def forget(self) -> None:
        """Leave out the step: it is gone through again, or skipped."""
        self._step.clear()

    def settle(self) -> None:
        """Add up what is held back."""
        held, self._held, self._numbers = self._held, [], 0
        if not held:
            return
        parts = [part for _, alike in groupby(held, key=_kind) for part in self._terms(list(alike))]
        if self._shared:  # batch by batch, and of each the processes' rows in their order
            parts = [part for batch in zip(*dist.everyone(parts), strict=True) for part in batch]
        for rows in parts:
            if len(rows):
                before = self._progress.sums or [0.0] * rows.shape[1]
                self._progress.sums = np.add.accumulate(np.vstack([before, rows]))[-1].tolist()

    def _terms(self, held: list[_Given]) -> list[np.ndarray]:
        """Return the terms of each sample, float64 [B, k]; of several processes batch by batch, else of all at once."""
        outputs, targets, counted = zip(*held, strict=True)
        terms = self._task.tally(torch.cat(outputs), torch.cat(targets))
        if terms is None:
            return []
        rows = terms.cpu().numpy()
        if not self._shared:
            return [rows]
        parts = np.split(rows, np.cumsum([len(output) for output in outputs])[:-1])
        return [part if counts else part[:0] for part, counts in zip(parts, counted, strict=True)]


def _kind(given: _Given) -> Any:
    return [(part.shape[1:], part.dtype) for part in given[:2]]
