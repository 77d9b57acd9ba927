"""What every task with one output and one target shares: the loss of a batch and the terms of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.types import Batch


def aligned(output: Tensor, target: Tensor) -> Tensor:
    """Return float targets in the output's precision, so that float64 data do not change a float32 model's loss."""
    return target.to(output.dtype) if target.is_floating_point() else target


def batch_loss(criterion: Criterion, model: nn.Module, batch: Batch, weight: float | None) -> Tensor:
    """Return torch's own mean loss of a batch, or its sum over ``weight`` where the batch is part of a whole."""
    output = model(batch.inputs)
    target = aligned(output, batch.target)
    if weight is None:
        return criterion.mean(output, target)
    return criterion.share(output, target, weight=weight)


@dataclass(frozen=True)
class Evaluation:
    """A data set seen through a model: every output, target and loss term, in the order of ``ids``.

    ``outputs`` [N, ...] as the model gave them; ``values`` and ``weights`` float64 [N] with
    ``loss == values.sum() / weights.sum()``.
    """

    ids: Tensor
    outputs: Tensor
    targets: Tensor
    values: Tensor
    weights: Tensor

    @property
    def loss(self) -> float:
        """The mean loss, summed in float64; 0 where no sample counts."""
        total = float(self.weights.sum())
        return float(self.values.sum()) / total if total else 0.0

    @property
    def losses(self) -> Tensor:
        """The mean loss of each sample, float64 [N]; 0 where a sample does not count."""
        return torch.where(self.weights > 0, self.values / self.weights.clamp(min=1e-300), 0.0)
