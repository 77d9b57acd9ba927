"""Samples in an order, learnt from pairs of which one is above the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.metrics import order, running
from torchwork.tasks import members, output_rules, target_rules
from torchwork.tasks.supervised import Evaluation, Probe, Terms, aligned
from torchwork.types import Batch


@dataclass(frozen=True)
class Ranking:
    """Outputs are one score a sample, [B, 1]; the loss sees pairs, and 1 where the first is above the second, else -1.

    A batch holds pairs: inputs [B, 2, ...] and the numbers to order by, [B, 2, 1], or ±1 [B] as given. Pairs of equal
    numbers are no pairs and count for nothing. The prediction is the score.

    An evaluation keeps the score of each pair's first member, or, where ±1 is given, of both.
    """

    criterion: Criterion
    given: members.Given = "no"
    num_outputs: int = 1
    companions: str | None = "ranking"

    def loss(
        self, model: nn.Module, batch: Batch, weight: float | None = None, outputs: list[Tensor] | None = None
    ) -> Tensor:
        return members.batch_loss(self, model, batch, weight, outputs)

    def weight(self, batch: Batch) -> float:
        return float((members.order(batch.target) != 0).sum())

    def arguments(self, output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        sign = aligned(output, members.order(target).to(output.dtype))
        kept = sign != 0
        pair = output.reshape(len(output), 2)[kept]
        return pair[:, 0], pair[:, 1], sign[kept]

    def evaluate_batch(self, model: nn.Module, batch: Batch) -> Terms:
        output = members.run(model, batch.inputs)
        values, weights = self.criterion.terms(*self.arguments(output, batch.target))
        kept = members.order(batch.target) != 0
        spread = torch.zeros(2, len(output), dtype=torch.float64, device=output.device)
        spread[:, kept] = torch.stack([values, weights.to(values)])
        own, target = _first(output, batch.target)
        return own, target, *spread

    def check_targets(self, targets: Tensor, where: str = "data.source") -> None:
        if self.given == "no":
            target_rules.refuse(target_rules.ordered(targets, where))
        elif self.given == "rows" and (targets.ndim == 1 or targets.shape[1] == 1):
            target_rules.refuse(target_rules.signs(targets, self.criterion.name, where))
        elif self.given == "rows":
            target_rules.refuse(target_rules.numbers(targets, self.criterion.name, where))

    def check_output(
        self, output: Tensor, batch: Batch, probe: Probe | None = None, targets: Tensor | None = None
    ) -> None:
        members.check(batch.inputs, 2, self.criterion.name)
        what = f"{self.criterion.name} orders samples by one score each"
        target_rules.refuse(output_rules.shape(output, (2 * len(batch.target), 1), what))

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        if evaluation.outputs.shape[1] == 2:
            difference = evaluation.outputs[:, 0].flatten() - evaluation.outputs[:, 1].flatten()
            return {"pairs_in_order": order.signs_met(difference, members.order(evaluation.targets))}
        _, scores, numbers = order.once(evaluation.ids, evaluation.outputs.flatten(), evaluation.targets.flatten())
        return {
            "kendall_tau": order.kendall_tau(scores, numbers),
            "pairs_in_order": order.pairs_in_order(scores, numbers),
        }

    def tally(self, output: Tensor, target: Tensor) -> Tensor:
        pair = output.reshape(len(output), 2)
        return running.in_order(pair[:, 0] - pair[:, 1], members.order(target))

    def tallied(self, sums: list[float]) -> dict[str, float]:
        return {"pairs_in_order": running.share(sums)}

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        return [{"prediction": score} for score in outputs.double().flatten().tolist()]

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        """Return header and rows: the score of each sample; of pairs as given the difference of their scores."""
        outputs = evaluation.outputs.double().flatten(1)
        scores = outputs[:, 0] - outputs[:, 1] if outputs.shape[1] == 2 else outputs[:, 0]
        columns = (evaluation.ids, evaluation.targets.double().flatten(), scores, evaluation.losses)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return ["id", "target", "prediction", "loss"], [list(row) for row in rows]


def _first(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if target.ndim == 1 or target.shape[1] == 1:
        return output, target.reshape(-1)
    return output[:, 0], aligned(output, target)[:, 0].reshape(-1, 1)
