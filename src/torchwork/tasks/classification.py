"""One class for each sample: scores in, the most probable class out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.metrics import epoch, running
from torchwork.tasks import output_rules, target_rules
from torchwork.tasks.supervised import Evaluation, Probe, Terms, aligned, batch_loss, batch_terms
from torchwork.types import Batch

MAX_SCORE_COLUMNS = 20


@dataclass(frozen=True)
class Classification:
    """Outputs are scores [B, K] (log-probabilities for NLLLoss and KLDivLoss), targets class indices int64 [B].

    Targets may also be distributions [B, K], each row adding up to 1: KLDivLoss wants nothing else, CrossEntropyLoss
    takes either. The prediction is the class with the highest score; its probability comes from softmax over the
    scores, which leaves log-probabilities what they are. Accuracy counts a distribution as its most probable class.
    """

    criterion: Criterion
    classes: tuple[str, ...]
    companions: None = None

    @property
    def num_outputs(self) -> int:
        """One for each class."""
        return len(self.classes)

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
        name, count = self.criterion.name, len(self.classes)
        soft = targets.is_floating_point() and targets.ndim > 1
        if name == "KLDivLoss" or (name == "CrossEntropyLoss" and soft):
            logarithms = bool(getattr(self.criterion.module, "log_target", False))
            target_rules.refuse(target_rules.distributions(targets, count, name, where, logarithms=logarithms))
        else:
            ignored = getattr(self.criterion.module, "ignore_index", None)
            target_rules.refuse(target_rules.classes(targets, count, name, where, ignored))

    def check_output(
        self, output: Tensor, batch: Batch, probe: Probe | None = None, targets: Tensor | None = None
    ) -> None:
        target, count = batch.target, len(self.classes)
        beyond = target.shape[2:] if target.is_floating_point() else target.shape[1:]
        what = f"the data have {count} classes, a score for each class"
        findings = output_rules.shape(output, (len(target), count, *beyond), what)
        if not findings and self.criterion.name in ("CrossEntropyLoss", "MultiMarginLoss"):
            findings = output_rules.scores(output, probe, self.criterion.name)
        elif not findings and self.criterion.name in ("NLLLoss", "KLDivLoss"):
            findings = output_rules.log_probabilities(output, probe, self.criterion.name)
        target_rules.refuse(findings)

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        return epoch.classification(evaluation.outputs, hard(evaluation.targets))

    def tally(self, output: Tensor, target: Tensor) -> Tensor:
        return running.right(output.argmax(dim=1), hard(target))

    def tallied(self, sums: list[float]) -> dict[str, float]:
        return {"accuracy": running.share(sums)}

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return float64 [N, K], each row adding up to 1."""
        return torch.softmax(outputs.double(), dim=1)

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        """Return for each output a dict with ``prediction``, ``probability`` and ``scores`` by class."""
        return named_scores(self.classes, self.probabilities(outputs))

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        """Return header and rows of a predictions file: a score column for each of up to 20 classes."""
        return class_table(self.classes, self.probabilities(evaluation.outputs), hard(evaluation.targets), evaluation)


def hard(target: Tensor) -> Tensor:
    """Return the most probable class of each distribution, int64 [B]; class indices as they are."""
    return target.argmax(1) if target.is_floating_point() else target


def named_scores(classes: tuple[str, ...], probabilities: Tensor) -> list[dict[str, object]]:
    """Return for each row of probabilities [N, K] its best class, that one's probability, and all by class."""
    best = probabilities.argmax(dim=1).tolist()
    return [
        {"prediction": classes[index], "probability": row[index], "scores": dict(zip(classes, row, strict=True))}
        for index, row in zip(best, probabilities.tolist(), strict=True)
    ]


def class_table(
    classes: tuple[str, ...], probabilities: Tensor, target: Tensor, evaluation: Evaluation
) -> tuple[list[str], list[list[object]]]:
    """Return header and rows of a predictions file of classes: a score column for each of up to 20."""
    header = ["id", "target", "prediction", "loss"]
    scored = len(classes) <= MAX_SCORE_COLUMNS
    if scored:
        header += [f"score_{name}" for name in classes]
    predicted = probabilities.argmax(dim=1).tolist()
    columns = (evaluation.ids.tolist(), target.tolist(), predicted, evaluation.losses.tolist())
    rows: list[list[object]] = [
        [id_, classes[place], classes[prediction], loss] for id_, place, prediction, loss in zip(*columns, strict=True)
    ]
    if scored:  # of ten thousand classes they would fill the memory
        rows = [row + scores for row, scores in zip(rows, probabilities.tolist(), strict=True)]
    return header, rows
