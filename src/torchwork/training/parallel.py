"""A model made ready to be trained by several processes, each with a copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from torchwork.training import exchange
from torchwork.training.buffers import keeping_buffers
from torchwork.training.device import keeping_generators
from torchwork.training.ranks import Ranks, standing_in
from torchwork.types import Batch, Task


def replicated(
    model: nn.Module,
    task: Task,
    batch: Batch,
    device: torch.device,
    *,
    strategy: str = "ddp",
    find_unused_parameters: bool | None = None,
) -> Ranks:
    """Return what a step needs where each process has a whole copy of the model.

    Args:
        model: On its device; the first process's weights and buffers go to all others.
        task: What is trained for.
        batch: One to try the model on; nothing of the trial stays.
        device: Where the model is.
        strategy: ``ddp`` is DistributedDataParallel; ``auto`` is an `Exchange` where the model suits it.
        find_unused_parameters: Whether a step may leave parameters out, others than the step before; None: whether it
            does on ``batch``. As DistributedDataParallel's, it costs a walk through the graph at every step.
    """
    if strategy == "auto" and exchange.suits(model, device):
        ranks = Ranks(model, exchange=exchange.Exchange(model))
        ranks.share_weights(model)
        return ranks
    if find_unused_parameters is None:
        find_unused_parameters = bool(without_gradient(model, task, batch, device))
    net = DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        broadcast_buffers=exchange.shared_buffers(model),
        find_unused_parameters=find_unused_parameters,
    )
    # torch cuts the gradients into buckets anew after the first step, and adds up those of three processes or more in
    # an order that depends on the buckets: a run that goes on shall begin with the same ones as one that never stopped
    with undone(model, device):
        tried(net, task, batch)
        tried(net, task, batch)
    return Ranks(net, net.no_sync)


def without_gradient(model: nn.Module, task: Task, batch: Batch, device: torch.device) -> list[str]:
    """Return the names of trained parameters that get no gradient from a batch."""
    with undone(model, device):
        tried(model, task, batch)
        return [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def tried(net: nn.Module, task: Task, batch: Batch) -> None:
    """Go through a batch and back; where it stands in for one without samples, say so."""
    with standing_in(not len(batch.ids)):
        task.loss(net, batch, 1.0).backward()


@contextmanager
def undone(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Train the model while inside; leave its buffers, its mode and torch's generators as they were, no gradients."""
    was_training = model.training
    try:
        with keeping_buffers(model), keeping_generators(device):
            model.train()
            yield
    finally:
        model.train(was_training)
        model.zero_grad()
