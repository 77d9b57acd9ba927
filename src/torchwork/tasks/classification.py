"""One class for each sample: scores in, the most probable class out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.metrics import epoch
from torchwork.tasks.supervised import Evaluation, batch_loss
from torchwork.types import Batch, Finding, InputError

MAX_SCORE_COLUMNS = 20


@dataclass(frozen=True)
class Classification:
    """Outputs are unnormalised scores [B, K], targets class indices int64 [B].

    The prediction is the class with the highest score; its probability comes from softmax over the scores.
    """

    criterion: Criterion
    classes: tuple[str, ...]

    def loss(self, model: nn.Module, batch: Batch, weight: float | None = None) -> Tensor:
        """Return torch's own mean loss of a batch, or its sum over ``weight`` where the batch is part of a whole."""
        return batch_loss(self.criterion, model, batch, weight)

    def weight(self, batch: Batch) -> float:
        """Return the denominator of a batch's mean loss, from its targets alone."""
        return self.criterion.weight(batch.target)

    def check_output(self, output: Tensor, batch: Batch) -> None:
        """Raise InputError where an output cannot stand for these classes."""
        expected = (len(batch.target), len(self.classes))
        if tuple(output.shape) != expected:
            message = f"gives outputs of shape {list(output.shape)} for {len(batch.target)} samples"
            fix = f"the data have {len(self.classes)} classes: it must give {list(expected)}, a score for each class"
            raise InputError(Finding("output-shape", "error", "model", message, fix))

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the metrics of an epoch's evaluation."""
        return epoch.classification(evaluation.outputs, evaluation.targets)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return float64 [N, K], each row adding up to 1."""
        return torch.softmax(outputs.double(), dim=1)

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        """Return for each output a dict with ``prediction``, ``probability`` and ``scores`` by class."""
        probabilities = self.probabilities(outputs)
        best = outputs.argmax(dim=1).tolist()
        return [
            {
                "prediction": self.classes[index],
                "probability": row[index],
                "scores": dict(zip(self.classes, row, strict=True)),
            }
            for index, row in zip(best, probabilities.tolist(), strict=True)
        ]

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        """Return header and rows of a predictions file: a score column for each of up to 20 classes."""
        header = ["id", "target", "prediction", "loss"]
        scored = len(self.classes) <= MAX_SCORE_COLUMNS
        probabilities = self.probabilities(evaluation.outputs).tolist()
        if scored:
            header += [f"score_{name}" for name in self.classes]
        rows = []
        predicted = evaluation.outputs.argmax(dim=1).tolist()
        columns = (evaluation.ids.tolist(), evaluation.targets.tolist(), predicted, evaluation.losses.tolist())
        for id_, target, prediction, loss, scores in zip(*columns, probabilities, strict=True):
            row = [id_, self.classes[target], self.classes[prediction], loss]
            rows.append(row + scores if scored else row)
        return header, rows
