"""A loss of the user's own, of which nothing is known but that it is a mean over rows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.tasks.supervised import Evaluation, Probe, Terms, aligned, batch_loss, batch_terms
from torchwork.types import Batch


@dataclass(frozen=True)
class Custom:
    """Outputs and targets mean what the loss makes of them; the loss is the only metric."""

    criterion: Criterion
    companions: None = None

    def loss(
        self, model: nn.Module, batch: Batch, weight: float | None = None, outputs: list[Tensor] | None = None
    ) -> Tensor:
        """Return torch's own mean loss of a batch, or its sum over ``weight`` where the batch is part of a whole."""
        return batch_loss(self, model, batch, weight, outputs)

    def weight(self, batch: Batch) -> float:
        """Return the denominator of a batch's mean loss, from its targets alone."""
        return self.criterion.weight(batch.target)

    def arguments(self, output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        return output, aligned(output, target)

    def evaluate_batch(self, model: nn.Module, batch: Batch) -> Terms:
        return batch_terms(self, model, batch)

    def check_targets(self, targets: Tensor, where: str = "data.source") -> None:
        """Accept all targets: the loss itself is the judge."""

    def check_output(
        self, output: Tensor, batch: Batch, probe: Probe | None = None, targets: Tensor | None = None
    ) -> None:
        """Accept every output: the loss itself is the judge."""

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """Return no metric but the loss, which every evaluation has."""
        return {}

    def tally(self, output: Tensor, target: Tensor) -> None:
        """Add nothing up: nothing is known of the outputs."""

    def tallied(self, sums: list[float]) -> dict[str, float]:
        """Return no metric."""
        return {}
