"""An exponential moving average of the weights, which often judges better than the weights of the last step alone."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from torchwork.types import Finding, InputError


class AveragedWeights:
    """A copy of a model whose weights follow those of training.

    After update number t the average is

        θ̄_t = decay · θ̄_{t−1} + (1 − decay) · θ_t,    θ̄_1 = θ_1,

    as ``torch.optim.swa_utils.AveragedModel`` with ``get_ema_multi_avg_fn(decay)`` and ``use_buffers=True`` computes
    it, to the bit; an average over equal weights of all steps is Polyak and Juditsky, "Acceleration of stochastic
    approximation by averaging" (1992). Buffers of floats, the statistics of batch norm among them, are averaged like
    the weights; those of whole numbers, and those that hold infinities (masks), are copied, as their averages would be
    no such numbers.

    Args:
        model: What is trained, on its device and in its memory format.
        decay: Of each average the part that is kept, 0 to below 1; about the last 1 / (1 − decay) updates count.

    Raises:
        InputError: the model cannot be copied.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> averaged = AveragedWeights(model, decay=0.5)
    >>> for weight in (1.0, 2.0):
    ...     _ = nn.init.constant_(model.weight, weight)
    ...     averaged.update()
    >>> averaged.model.weight.item()
    1.5
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        try:
            self.model = copy.deepcopy(model)
        except (RuntimeError, TypeError) as error:
            message = f"{type(model).__name__} cannot be copied: {error}"
            raise InputError(Finding("no-copy", "error", "train.ema", message, "train without train.ema")) from error
        self.decay = decay
        self.updates = 0
        pairs: list[tuple[Tensor, Tensor]] = list(zip(self.model.parameters(), model.parameters(), strict=True))
        self._copied: list[tuple[Tensor, Tensor]] = []
        for pair in zip(self.model.buffers(), model.buffers(), strict=True):
            (pairs if _has_an_average(pair[1]) else self._copied).append(pair)
        groups: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
        for average, current in pairs:
            averages, currents = groups.setdefault((current.device, current.dtype), ([], []))
            averages.append(average.detach())
            currents.append(current.detach())
        self._averaged = list(groups.values())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now, after an update."""
        for averages, currents in self._averaged:
            if self.updates:
                torch._foreach_lerp_(averages, currents, 1 - self.decay)
            else:
                torch._foreach_copy_(averages, currents)
        for copied, original in self._copied:
            copied.copy_(original)
        self.updates += 1


def _has_an_average(buffer: Tensor) -> bool:
    return (buffer.is_floating_point() or buffer.is_complex()) and bool(torch.isfinite(buffer).all())


def findings(decay: float, updates: int) -> list[Finding]:
    """Return what there is to say about a decay in a run of so many updates.

    >>> findings(0.9, 1000), [found.code for found in findings(0.9999, 1000)]
    ([], ['slow-average'])
    """
    span = 1 / (1 - decay)
    if updates >= 3 * span:  # exp(-3): of the first weights a twentieth is left
        return []
    message = f"averages over about the last {span:.0f} updates, of the {updates} that this run has"
    fix = f"so much of the first weights stays in; {max(0.0, 1 - 10 / updates):.3g} would average over a tenth of them"
    return [Finding("slow-average", "warning", "train.ema", message, fix)]
