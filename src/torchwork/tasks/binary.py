"""One of two classes for each sample, by one score."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.metrics import epoch, running
from torchwork.tasks import output_rules, target_rules
from torchwork.tasks.classification import class_table, hard, named_scores
from torchwork.tasks.supervised import Evaluation, Probe, Terms, batch_loss, batch_terms
from torchwork.types import Batch, Finding


def probability(criterion: Criterion, output: Tensor) -> Tensor:
    """Return float64 probabilities of 'yes' from outputs of any shape: as they are for BCELoss, else by sigmoid."""
    return output.double() if criterion.name == "BCELoss" else torch.sigmoid(output.double())


def check_range(criterion: Criterion, output: Tensor, probe: Probe | None) -> list[Finding]:
    """Return what is wrong with the range of outputs for a loss of yes or no."""
    if criterion.name == "BCELoss":
        return output_rules.probabilities(output, probe, criterion.name)
    if criterion.name in ("BCEWithLogitsLoss", "SoftMarginLoss"):
        return output_rules.logits(output, probe, criterion.name)
    return output_rules.scores(output, probe, criterion.name)


@dataclass(frozen=True)
class Binary:
    """Outputs are one number a sample, [B, 1], targets class indices int64 [B] of two classes: 0 and 1.

    Targets may also be the shares of both classes, [B, 2], each row adding up to 1. The loss gets the second class's
    share, 0 or 1, as floats [B, 1], SoftMarginLoss -1 and 1. The prediction is the second class where its probability
    is at least 0.5.
    """

    criterion: Criterion
    classes: tuple[str, ...]
    companions: None = None
    num_outputs: int = 1

    def loss(
        self, model: nn.Module, batch: Batch, weight: float | None = None, outputs: list[Tensor] | None = None
    ) -> Tensor:
        return batch_loss(self, model, batch, weight, outputs)

    def weight(self, batch: Batch) -> float:
        return self.criterion.weight(_yes(batch.target))

    def arguments(self, output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        yes = _yes(target).to(output.dtype)
        return output, 2 * yes - 1 if self.criterion.name == "SoftMarginLoss" else yes

    def evaluate_batch(self, model: nn.Module, batch: Batch) -> Terms:
        return batch_terms(self, model, batch)

    def check_targets(self, targets: Tensor, where: str = "data.source") -> None:
        target_rules.refuse(target_rules.classes(targets, 2, self.criterion.name, where))

    def check_output(
        self, output: Tensor, batch: Batch, probe: Probe | None = None, targets: Tensor | None = None
    ) -> None:
        what = f"{self.criterion.name} over two classes takes one number a sample"
        findings = output_rules.shape(output, (len(batch.target), 1), what)
        target_rules.refuse(findings or check_range(self.criterion, output, probe))

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        return epoch.binary(probability(self.criterion, evaluation.outputs)[:, 0], hard(evaluation.targets))

    def tally(self, output: Tensor, target: Tensor) -> Tensor:
        return running.right((probability(self.criterion, output)[:, 0] >= 0.5).long(), hard(target))

    def tallied(self, sums: list[float]) -> dict[str, float]:
        return {"accuracy": running.share(sums)}

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return float64 [N, 2], each row adding up to 1."""
        yes = probability(self.criterion, outputs)[:, 0]
        return torch.stack([1 - yes, yes], dim=1)

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        return named_scores(self.classes, self.probabilities(outputs))

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        return class_table(self.classes, self.probabilities(evaluation.outputs), hard(evaluation.targets), evaluation)


def _yes(target: Tensor) -> Tensor:
    """Return the share of the second class, [B, 1]."""
    return target[:, 1:] if target.ndim == 2 else target[:, None]
