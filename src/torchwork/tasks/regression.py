"""One or several numbers for each sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.metrics import epoch, running
from torchwork.tasks import output_rules, target_rules
from torchwork.tasks.supervised import Evaluation, Probe, Terms, aligned, batch_loss, batch_terms
from torchwork.types import Batch


@dataclass(frozen=True)
class Regression:
    """Outputs and targets are numbers [B, k]; shapes must be equal, as broadcasting (N, 1) with (N,) gives (N, N).

    For GaussianNLLLoss outputs are [B, 2k], the means first, then the logarithms of the variances, of which the task
    takes exp; the prediction is the mean. For PoissonNLLLoss outputs are logarithms of rates (rates themselves with
    ``log_input: false``); the prediction is the rate.
    """

    criterion: Criterion
    target_names: tuple[str, ...]
    companions: None = None

    @property
    def num_outputs(self) -> int:
        """One for each target; two with GaussianNLLLoss."""
        return len(self.target_names) * (2 if self._gaussian else 1)

    @property
    def _gaussian(self) -> bool:
        return self.criterion.name == "GaussianNLLLoss"

    @property
    def _poisson(self) -> bool:
        return self.criterion.name == "PoissonNLLLoss"

    @property
    def _logarithms(self) -> bool:
        return self._poisson and bool(self.criterion.module.log_input)  # type: ignore[attr-defined]

    def loss(
        self, model: nn.Module, batch: Batch, weight: float | None = None, outputs: list[Tensor] | None = None
    ) -> Tensor:
        """Return torch's own mean loss of a batch, or its sum over ``weight`` where the batch is part of a whole."""
        return batch_loss(self, model, batch, weight, outputs)

    def weight(self, batch: Batch) -> float:
        """Return the denominator of a batch's mean loss, from its targets alone."""
        return self.criterion.weight(batch.target)

    def arguments(self, output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        target = aligned(output, target)
        if self._gaussian:
            mean, logarithm = output.chunk(2, dim=1)
            return mean, target, logarithm.exp()
        return output, target

    def evaluate_batch(self, model: nn.Module, batch: Batch) -> Terms:
        return batch_terms(self, model, batch)

    def check_targets(self, targets: Tensor, where: str = "data.source") -> None:
        name = self.criterion.name
        found = target_rules.counts(targets, where) if self._poisson else target_rules.numbers(targets, name, where)
        target_rules.refuse(found)

    def check_output(
        self, output: Tensor, batch: Batch, probe: Probe | None = None, targets: Tensor | None = None
    ) -> None:
        target = batch.target
        if self._gaussian:
            if target.ndim < 2:
                target = target[:, None]
            wide = (len(target), 2 * target.shape[1], *target.shape[2:])
            what = f"GaussianNLLLoss needs {target.shape[1]} means, then as many logarithms of variances"
            findings = output_rules.shape(output, wide, what) or output_rules.gaussians(output, probe)
            if not findings and batch.target.ndim < 2:
                findings = output_rules.like_target(output[:, :1], batch.target)
        else:
            findings = output_rules.like_target(output, target)
            if not findings and self._poisson:
                findings = (output_rules.log_rates if self._logarithms else output_rules.rates)(output, probe)
            findings = findings or ([] if self._poisson else output_rules.reach(output, target, probe))
        target_rules.refuse(findings)

    def prediction(self, outputs: Tensor) -> Tensor:
        """Return float64 predictions [N, k]: the outputs, of a Gaussian the means, of counts the rates."""
        numbers = outputs.double()
        if self._gaussian:
            numbers = numbers.chunk(2, dim=1)[0]
        elif self._logarithms:
            numbers = numbers.exp()
        return numbers.reshape(len(outputs), -1)

    def deviation(self, outputs: Tensor) -> Tensor | None:
        """Return the standard deviations that a Gaussian predicts, float64 [N, k]; None for other losses."""
        if not self._gaussian:
            return None
        return (outputs.double().chunk(2, dim=1)[1] / 2).exp().reshape(len(outputs), -1)

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        prediction = self.prediction(evaluation.outputs)
        found = epoch.regression(prediction, evaluation.targets)
        if self._poisson:
            found["poisson_deviance"] = epoch.poisson_deviance(prediction, evaluation.targets)
        return found

    def tally(self, output: Tensor, target: Tensor) -> Tensor:
        prediction = self.prediction(output)
        terms = running.numbers(prediction, target)
        return running.with_deviance(terms, prediction, target) if self._poisson else terms

    def tallied(self, sums: list[float]) -> dict[str, float]:
        if not self._poisson:
            return running.of_numbers(sums)
        *rest, deviance = sums
        return running.of_numbers(rest) | {"poisson_deviance": deviance / rest[-1] if rest[-1] else math.nan}

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        """Return for each output a dict with ``prediction``: a number, or a dict by target where there are several.

        A Gaussian gives ``std`` beside it.
        """
        columns = {"prediction": self.prediction(outputs), "std": self.deviation(outputs)}
        found: list[dict[str, object]] = [{} for _ in range(len(outputs))]
        for name, numbers in columns.items():
            for row, values in zip(found, numbers.tolist() if numbers is not None else [], strict=False):
                row[name] = values[0] if len(values) == 1 else dict(zip(self.target_names, values, strict=True))
        return found

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        """Return header and rows of a predictions file; with GaussianNLLLoss with the standard deviations."""
        names = self.target_names
        ends = [""] if len(names) == 1 else [f"_{name}" for name in names]
        kinds = {
            "target": evaluation.targets.double().reshape(len(evaluation.targets), -1),
            "prediction": self.prediction(evaluation.outputs),
        }
        deviation = self.deviation(evaluation.outputs)
        if deviation is not None:
            kinds["std"] = deviation
        header = ["id", *(f"{kind}{end}" for end in ends for kind in kinds), "loss"]
        columns = (evaluation.ids.tolist(), evaluation.losses.tolist(), *(part.tolist() for part in kinds.values()))
        rows: list[list[object]] = []
        for id_, loss, *parts in zip(*columns, strict=True):
            numbers = [number for together in zip(*parts, strict=True) for number in together]
            rows.append([id_, *numbers, loss])
        return header, rows
