"""A model's outputs and loss terms over a whole data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from torchwork import dist
from torchwork.tasks.supervised import Evaluation
from torchwork.training.micro_batches import cut_evaluation, evaluate_whole, ignore
from torchwork.training.ranks import Ranks
from torchwork.training.state import Progress
from torchwork.types import Batch, Finding


class _Batches(Protocol):
    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]: ...


class OneBatch:
    """A data set of one batch, to try things on."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batch."""
        return iter([self.batch])


class _Column:
    """Rows that come a few at a time and end up in one tensor.

    Each piece is copied as it comes: small pieces that are kept would lie strewn among the memory that the model takes
    and gives back, which then serves the next batch no more.
    """

    def __init__(self, like: Tensor) -> None:
        self._rows, self._length = like.new_empty((0, *like.shape[1:])), 0

    def add(self, rows: Tensor) -> None:
        """Append rows; the memory is doubled where it is full."""
        start, self._length = self._length, self._length + len(rows)
        if self._length > len(self._rows):
            grown = self._rows.new_empty((max(self._length, 2 * start), *self._rows.shape[1:]))
            grown[:start] = self._rows[:start]
            self._rows = grown
        self._rows[start : self._length] = rows

    def whole(self) -> Tensor:
        """Return all rows."""
        return self._rows if len(self._rows) == self._length else self._rows[: self._length].clone()


class StoppedError(Exception):
    """An evaluation was asked to stop before it had seen every batch."""


def evaluate(
    model: nn.Module,
    task: Any,
    batches: _Batches,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
    on_cut: Callable[[Finding], None] = ignore,
    ranks: Ranks | None = None,
) -> Evaluation:
    """Run a model in evaluation mode over every batch and keep outputs and loss terms of every sample, on the CPU.

    Losses are kept as (value, weight) of each sample and summed in float64, so that a ragged last batch counts for what
    it holds. Pairs and triplets are those of epoch 0. The model is left in the mode that it was in. Where memory runs
    out, batches are cut from then on, which ``progress`` keeps and ``on_cut`` is told.

    With ``ranks`` the batches are this process's part of those of all. The first process returns what one alone would,
    in the same order; the others return their own part.

    Raises:
        RunError: memory ran out, and the batches cannot be cut.
        StoppedError: ``should_stop``, asked after every batch, said so.
    """
    was_training = model.training
    if ranks is not None:
        ranks.share_buffers(model)
    model.eval()
    columns: list[_Column] = []
    lengths: list[int] = []
    progress = progress or Progress()
    try:
        with torch.no_grad():  # what a model keeps for later calls must stay usable in training: no inference_mode
            for batch in batches.batches(0):
                if ranks is not None and ranks.sharded:  # all must go through the model equally often
                    terms = evaluate_whole(model, task, batch)
                else:
                    terms = cut_evaluation(model, task, batch, progress, on_cut)
                if ranks is not None and not len(batch.ids):  # it stands in for one without samples
                    terms = tuple(term[:0] for term in terms)  # type: ignore[assignment]
                rows = (torch.from_numpy(batch.ids), *terms)
                lengths.append(len(batch.ids))
                columns = columns or [_Column(part) for part in rows]
                for column, part in zip(columns, rows, strict=True):
                    column.add(part)
                if should_stop():
                    raise StoppedError
    finally:
        model.train(was_training)
    found = [column.whole() for column in columns]
    return Evaluation(*(found if ranks is None else _interleaved(found, lengths)))


def _interleaved(own: list[Tensor], lengths: list[int]) -> list[Tensor]:
    """Return the rows of all processes on the first, batch by batch in the order of one process alone."""
    gathered = dist.to_first((lengths, [column.numpy() for column in own]))
    if gathered is None:
        return own
    found = []
    for counts, arrays in gathered:
        found.append(list(zip(*(torch.from_numpy(array).split(counts) for array in arrays), strict=True)))
    parts = [part for batch in zip(*found, strict=True) for part in batch]
    return [torch.cat(column) for column in zip(*parts, strict=True)]
