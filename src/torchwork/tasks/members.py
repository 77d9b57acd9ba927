"""Batches of pairs and triplets: one forward over all their members, and what a pair's target is."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from torchwork.models import auxiliary
from torchwork.tasks.supervised import loss_of_outputs
from torchwork.types import Batch, Finding, InputError

# Who says what is to come out of a row: the samples' own targets, the batch's ±1, or a file of the user's.
Given = Literal["no", "rows", "file"]


def flat(inputs: Any) -> Any:
    """Return inputs [B, m, ...] with all members along the first axis, [B m, ...]; a dict likewise."""
    if isinstance(inputs, dict):
        return {name: part.flatten(0, 1) for name, part in inputs.items()}
    return inputs.flatten(0, 1)


def count(inputs: Any) -> int:
    """Return how many members each row of a batch has."""
    first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    return int(first.shape[1]) if first.ndim > 1 else 1


def run(model: nn.Module, inputs: Any) -> Tensor:
    """Return a model's outputs [B, m, ...] for inputs [B, m, ...], in one forward of all of them.

    >>> run(nn.Flatten(), torch.zeros(4, 3, 2, 2)).shape
    torch.Size([4, 3, 4])
    """
    output, _ = auxiliary.split(model(flat(inputs)))
    return output.unflatten(0, (-1, count(inputs)))


def batch_loss(
    task: Any, model: nn.Module, batch: Batch, weight: float | None, outputs: list[Tensor] | None = None
) -> Tensor:
    """Return torch's own mean loss of a batch of pairs or triplets, or its sum over ``weight``."""
    number, found = count(batch.inputs), model(flat(batch.inputs))
    if isinstance(found, Tensor):
        parted: Any = found.unflatten(0, (-1, number))
    else:  # a main and auxiliary heads
        parted = tuple(None if part is None else part.unflatten(0, (-1, number)) for part in found)
    return loss_of_outputs(task, model, parted, batch.target, weight, outputs)


def alike(target: Tensor) -> Tensor:
    """Return 1 where the two members are of one class, else -1, from classes [B, 2]; what is given as ±1 [B] stays.

    >>> alike(torch.tensor([[3, 3], [3, 4]])).tolist(), alike(torch.tensor([1.0, -1.0])).tolist()
    ([1.0, -1.0], [1.0, -1.0])
    """
    if target.ndim == 1:
        return target
    classes = target.reshape(len(target), 2)
    return torch.where(classes[:, 0] == classes[:, 1], 1.0, -1.0)


def order(target: Tensor) -> Tensor:
    """Return 1, -1 or 0 as the first member is above, below or level, from numbers [B, 2(, 1)]; ±1 [B] stays.

    >>> order(torch.tensor([[[2.0], [1.0]], [[1.0], [1.0]]])).tolist()
    [1.0, 0.0]
    """
    if target.ndim == 1 or target.shape[1] == 1:
        return target.reshape(-1)
    numbers = target.reshape(len(target), 2)
    return torch.sign(numbers[:, 0] - numbers[:, 1])


def check(inputs: Any, expected: int, loss: str) -> None:
    """Raise InputError where the rows of a batch do not have the members that a loss compares."""
    found = count(inputs)
    if found != expected:
        words = {2: "pairs: inputs [B, 2, ...]", 3: "triplets: inputs [B, 3, ...], anchor, positive and negative"}
        shape = {name: list(part.shape) for name, part in inputs.items()} if isinstance(inputs, dict) else inputs.shape
        message = f"{loss} compares samples, these inputs have the shape {list(shape)}"
        raise InputError(Finding("no-members", "error", "data", message, f"give {words[expected]}"))
