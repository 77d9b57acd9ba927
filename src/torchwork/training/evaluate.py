"""A model's outputs and loss terms over a whole data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import nn

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
    parts: list[tuple[torch.Tensor, ...]] = []
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
                parts.append((torch.from_numpy(batch.ids), *terms))
                if should_stop():
                    raise StoppedError
    finally:
        model.train(was_training)
    found = parts if ranks is None else _interleaved(parts)
    return Evaluation(*(torch.cat(column) for column in zip(*found, strict=True)))


def _interleaved(own: list[tuple[torch.Tensor, ...]]) -> list[tuple[torch.Tensor, ...]]:
    """Return the parts of all processes on the first, batch by batch in the order of one process alone."""
    lengths = [len(part[0]) for part in own]
    columns = [torch.cat(column) for column in zip(*own, strict=True)]
    gathered = dist.to_first((lengths, [column.numpy() for column in columns]))
    if gathered is None:
        return own
    found = []
    for counts, arrays in gathered:
        found.append(list(zip(*(torch.from_numpy(array).split(counts) for array in arrays), strict=True)))
    return [part for batch in zip(*found, strict=True) for part in batch]
