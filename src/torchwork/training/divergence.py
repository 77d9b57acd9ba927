"""Whether processes that train one model still hold the same weights and read the same batches."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork import dist
from torchwork.training.state import State
from torchwork.types import RunError, Step, Watcher

# how many updates lie between two looks at whether all processes still have the same weights
CHECK_EVERY = 100


class DivergedError(RunError):
    """Processes that should hold the same weights, or read the same batches, no longer do."""


def divergence_watcher(
    state: State, order: Callable[[int], np.ndarray], num_batches: int, *, every: int = CHECK_EVERY
) -> Watcher:
    """Return a watcher that compares weights and batches of all processes after so many updates and at an epoch's end.

    Args:
        state: What is trained.
        order: Gives the ids of an epoch's samples in the order in which they are read.
        num_batches: Batches an epoch.
        every: Updates from one comparison to the next.

    Raises:
        DivergedError: when called, on every process: names those that differ from most.
    """
    progress = state.progress
    known: dict[int, int] = {}

    def watch(step: Step) -> None:
        if step.index % every and progress.position < num_batches:
            return
        if progress.epoch not in known:
            known.clear()
            known[progress.epoch] = zlib.crc32(np.ascontiguousarray(order(progress.epoch)).data)
        held: dict[str, Any] = {}
        if state.ranks is None or not state.ranks.sharded:  # of one model there are no copies that could differ
            held["weights"] = digest(list(state.model.parameters()))
        held["batches"] = (progress.index, progress.epoch, progress.position, known[progress.epoch])
        compare(held, step.index)

    return watch


def compare(held: dict[str, Any], step: int) -> None:
    """Compare what each process holds; the names of ``held`` say what it is.

    Raises:
        DivergedError: on every process: not all hold the same.
    """
    found = dist.everyone(held)
    for what in held:
        values = [one[what] for one in found]
        most = max(values, key=values.count)
        others = [str(place) for place, value in enumerate(values) if value != most]
        if others:
            ranks = f"rank{'s' if len(others) > 1 else ''} {', '.join(others)}"
            said = f"{ranks} and the others" if len(values) > 2 else "the two processes"
            rank = f" ({ranks} against rank 0)" if len(values) == 2 else ""
            raise DivergedError(
                f"by step {step} {said} no longer have the same {what}{rank}. Something in the model or the data "
                "depends on the process: its rank, its host, its clock, or a random number of its own"
            )


@torch.no_grad()
def digest(tensors: Sequence[Tensor]) -> int:
    """Return a number that is the same for tensors of the same bits, and for others by rare chance only.

    It is of each tensor's sum of bits, so that numbers which change places within one are not told.

    >>> a = torch.tensor([1.0, 2.0])
    >>> digest([a]) == digest([a.clone()]), digest([a]) == digest([a + 1e-7])
    (True, False)
    """
    found = []
    for tensor in tensors:
        values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()]
        bits = values.detach().contiguous().view(whole)
        found.append(bits.sum(dtype=torch.int64) if bits.numel() else torch.zeros((), dtype=torch.int64))
    if not found:
        return 0
    return zlib.crc32(torch.stack([one.cpu() for one in found]).numpy().tobytes())
