"""Any number of labels for each sample, each there or not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.metrics import epoch, running
from torchwork.tasks import output_rules, target_rules
from torchwork.tasks.binary import check_range, probability
from torchwork.tasks.supervised import Evaluation, Probe, Terms, aligned, batch_loss, batch_terms
from torchwork.types import Batch

MAX_LABEL_COLUMNS = 20


@dataclass(frozen=True)
class Multilabel:
    """Outputs are one number a label, [B, K]; targets float [B, K], 1 where the sample has the label.

    Where it has it not, the target is 0, for SoftMarginLoss -1. MultiLabelMarginLoss gets lists of labels made of the 0
    and 1, or takes such lists as they are (int64 [B, K], filled up with -1). A label is predicted where its probability
    is at least 0.5; MultiLabelMarginLoss has no threshold and predicts an order.
    """

    criterion: Criterion
    labels: tuple[str, ...]
    companions: None = None

    @property
    def num_outputs(self) -> int:
        """One for each label."""
        return len(self.labels)

    @property
    def _ranks(self) -> bool:
        return self.criterion.name == "MultiLabelMarginLoss"

    def loss(
        self, model: nn.Module, batch: Batch, weight: float | None = None, outputs: list[Tensor] | None = None
    ) -> Tensor:
        return batch_loss(self, model, batch, weight, outputs)

    def weight(self, batch: Batch) -> float:
        return self.criterion.weight(batch.target)

    def arguments(self, output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if self._ranks and target.is_floating_point():
            return output, listed(target)
        return output, aligned(output, target)

    def evaluate_batch(self, model: nn.Module, batch: Batch) -> Terms:
        return batch_terms(self, model, batch)

    def check_targets(self, targets: Tensor, where: str = "data.source") -> None:
        name = self.criterion.name
        if not self._ranks:
            check = target_rules.signs if name == "SoftMarginLoss" else target_rules.zeros_and_ones
            target_rules.refuse(check(targets, name, where))
        elif targets.is_floating_point():
            target_rules.refuse(target_rules.labels_of_matrix(targets, where))
        else:
            target_rules.refuse(target_rules.label_lists(targets, len(self.labels), where))

    def check_output(
        self, output: Tensor, batch: Batch, probe: Probe | None = None, targets: Tensor | None = None
    ) -> None:
        findings = output_rules.like_target(output, batch.target)
        target_rules.refuse(findings or check_range(self.criterion, output, probe))

    def present(self, target: Tensor) -> Tensor:
        """Return which labels targets name, bool [N, K]."""
        if self._ranks and not target.is_floating_point():
            return unlisted(target)
        return target.reshape(len(target), -1) >= (0.0 if self.criterion.name == "SoftMarginLoss" else 0.5)

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        scores = evaluation.outputs.double().reshape(len(evaluation.outputs), -1)
        present = self.present(evaluation.targets)
        ranking = {"lrap": epoch.label_ranking_average_precision(scores, present)}
        return ranking if self._ranks else epoch.multilabel(probability(self.criterion, scores), present) | ranking

    def tally(self, output: Tensor, target: Tensor) -> Tensor | None:
        if self._ranks:
            return None
        predicted = probability(self.criterion, output).reshape(len(output), -1) >= 0.5
        return running.right(predicted, self.present(target))

    def tallied(self, sums: list[float]) -> dict[str, float]:
        return {"accuracy": running.share(sums)}

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        """Return for each output a dict with ``prediction`` (the labels, one text) and ``scores`` by label.

        The scores are probabilities; the labels of MultiLabelMarginLoss are all of them, the highest score first, with
        the scores as the model gave them.
        """
        scores = outputs.double() if self._ranks else probability(self.criterion, outputs)
        rows: list[dict[str, object]] = []
        for row in scores.reshape(len(scores), -1).tolist():
            places = sorted(range(len(row)), key=lambda place: -row[place])
            chosen = places if self._ranks else [place for place, value in enumerate(row) if value >= 0.5]
            text = " ".join(self.labels[place] for place in chosen)
            rows.append({"prediction": text, "scores": dict(zip(self.labels, row, strict=True))})
        return rows

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        """Return header and rows: of up to 20 labels a column each for target and score, else their names as a text."""
        scores = evaluation.outputs if self._ranks else probability(self.criterion, evaluation.outputs)
        scores, present = scores.reshape(len(scores), -1), self.present(evaluation.targets)
        few = len(self.labels) <= MAX_LABEL_COLUMNS
        header = ["id", "target", "prediction", "loss"]
        if few:
            header += [f"{kind}_{name}" for kind in ("target", "score") for name in self.labels]
        texts = [row["prediction"] for row in self.predictions(evaluation.outputs)]
        columns = (evaluation.ids.tolist(), present.int().tolist(), texts, evaluation.losses.tolist(), scores.tolist())
        rows = []
        for id_, truth, text, loss, row in zip(*columns, strict=True):
            target = " ".join(name for name, there in zip(self.labels, truth, strict=True) if there)
            rows.append([id_, target, text, loss, *(truth + row if few else [])])
        return header, rows


def listed(target: Tensor) -> Tensor:
    """Return lists of labels, int64 [B, K] filled up with -1, from a matrix [B, K] of 0 and 1.

    >>> listed(torch.tensor([[0.0, 1, 1], [1, 0, 0]])).tolist()
    [[1, 2, -1], [0, -1, -1]]
    """
    order = torch.argsort(target, dim=1, descending=True, stable=True)
    places = torch.arange(target.shape[1], device=target.device)
    return torch.where(places < target.sum(1, keepdim=True), order, -1)


def unlisted(target: Tensor) -> Tensor:
    """Return which labels lists name, bool [B, K], from lists int64 [B, K] that end at their first -1.

    >>> unlisted(torch.tensor([[2, 0, -1]])).tolist()
    [[True, False, True]]
    """
    kept = (target == -1).cumsum(1) == 0
    present = torch.zeros(len(target), target.shape[1] + 1, dtype=torch.bool, device=target.device)
    present.scatter_(1, torch.where(kept, target, target.shape[1]), value=True)
    return present[:, :-1]
