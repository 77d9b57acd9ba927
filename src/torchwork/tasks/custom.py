"""A loss of the user's own, of which nothing is known but that it is a mean over rows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.tasks.supervised import Evaluation, batch_loss
from torchwork.types import Batch


@dataclass(frozen=True)
class Custom:
    """Outputs and targets mean what the loss makes of them; the loss is the only metric."""

    criterion: Criterion

    def loss(self, model: nn.Module, batch: Batch, weight: float | None = None) -> Tensor:
        """Return torch's own mean loss of a batch, or its sum over ``weight`` where the batch is part of a whole."""
        return batch_loss(self.criterion, model, batch, weight)

    def weight(self, batch: Batch) -> float:
        """Return the denominator of a batch's mean loss, from its targets alone."""
        return self.criterion.weight(batch.target)

    def check_output(self, output: Tensor, batch: Batch) -> None:
        """Accept every output: the loss itself is the judge."""

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """Return no metric but the loss, which every evaluation has."""
        return {}
