"""A model's outputs and loss terms over a whole data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import nn

from torchwork.tasks.supervised import Evaluation
from torchwork.types import Batch


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
    model: nn.Module, task: Any, batches: _Batches, should_stop: Callable[[], bool] = lambda: False
) -> Evaluation:
    """Run a model in evaluation mode over every batch and keep outputs and loss terms of every sample, on the CPU.

    Losses are kept as (value, weight) of each sample and summed in float64, so that a ragged last batch counts for what
    it holds. Pairs and triplets are those of epoch 0. The model is left in the mode that it was in.

    Raises:
        StoppedError: ``should_stop``, asked after every batch, said so.
    """
    was_training = model.training
    model.eval()
    parts: list[tuple[torch.Tensor, ...]] = []
    try:
        with torch.no_grad():  # what a model keeps for later calls must stay usable in training: no inference_mode
            for batch in batches.batches(0):
                terms = task.evaluate_batch(model, batch)
                parts.append((torch.from_numpy(batch.ids), *(term.cpu() for term in terms)))
                if should_stop():
                    raise StoppedError
    finally:
        model.train(was_training)
    return Evaluation(*(torch.cat(column) for column in zip(*parts, strict=True)))
