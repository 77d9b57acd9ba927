"""One or several numbers for each sample."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.metrics import epoch
from torchwork.tasks.supervised import Evaluation, batch_loss
from torchwork.types import Batch, Finding, InputError


@dataclass(frozen=True)
class Regression:
    """Outputs and targets are numbers [B, k]; shapes must be equal, as broadcasting (N, 1) with (N,) gives (N, N)."""

    criterion: Criterion
    target_names: tuple[str, ...]

    def loss(self, model: nn.Module, batch: Batch, weight: float | None = None) -> Tensor:
        """Return torch's own mean loss of a batch, or its sum over ``weight`` where the batch is part of a whole."""
        return batch_loss(self.criterion, model, batch, weight)

    def weight(self, batch: Batch) -> float:
        """Return the denominator of a batch's mean loss, from its targets alone."""
        return self.criterion.weight(batch.target)

    def check_output(self, output: Tensor, batch: Batch) -> None:
        """Raise InputError where outputs and targets differ in shape."""
        if output.shape != batch.target.shape:
            message = f"gives outputs of shape {list(output.shape)}, the targets have {list(batch.target.shape)}"
            fix = "give both the same shape: torch would broadcast them against each other in silence"
            raise InputError(Finding("output-shape", "error", "model", message, fix))

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the metrics of an epoch's evaluation."""
        return epoch.regression(evaluation.outputs, evaluation.targets)

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        """Return for each output a dict with ``prediction``: a number, or a dict by target where there are several."""
        rows = outputs.double().reshape(len(outputs), -1).tolist()
        if len(self.target_names) == 1:
            return [{"prediction": row[0]} for row in rows]
        return [{"prediction": dict(zip(self.target_names, row, strict=True))} for row in rows]

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        """Return header and rows of a predictions file."""
        names = self.target_names
        ends = [""] if len(names) == 1 else [f"_{name}" for name in names]
        header = ["id", *(f"{kind}{end}" for end in ends for kind in ("target", "prediction")), "loss"]
        targets = evaluation.targets.double().reshape(len(evaluation.targets), -1).tolist()
        outputs = evaluation.outputs.double().reshape(len(evaluation.outputs), -1).tolist()
        rows: list[list[object]] = []
        columns = (evaluation.ids.tolist(), targets, outputs, evaluation.losses.tolist())
        for id_, target, output, loss in zip(*columns, strict=True):
            pairs = [number for pair in zip(target, output, strict=True) for number in pair]
            rows.append([id_, *pairs, loss])
        return header, rows
