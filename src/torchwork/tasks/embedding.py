"""A vector for each sample, such that samples of one class lie close together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.metrics import order, retrieval
from torchwork.models import auxiliary
from torchwork.tasks import members, mining, output_rules, target_rules
from torchwork.tasks.supervised import Evaluation, Probe, Terms, batch_loss
from torchwork.types import Batch

_AT_ONCE = 2000


@dataclass(frozen=True)
class Embedding:
    """Outputs are vectors [B, D]; the loss sees pairs (alike or not) or triplets (anchor, alike, not alike).

    A batch holds pairs or triplets: inputs [B, m, ...] and the members' classes int64 [B, m], or ±1 [B] as given.
    With ``mining`` it is a plain batch of B samples, and the triplets are chosen in it by their distances; their
    number, the denominator, follows from the classes alone. HingeEmbeddingLoss gets the Euclidean distance of the two.
    The prediction is the class of the nearest other sample.

    An evaluation keeps the vector of each row's first member, or, where ±1 is given, those of both.
    """

    criterion: Criterion
    classes: tuple[str, ...] = ()
    mining: mining.Mining = "none"
    given: members.Given = "no"
    num_outputs: int = 64

    @property
    def _triplets(self) -> bool:
        return self.criterion.name == "TripletMarginLoss"

    @property
    def companions(self) -> str | None:
        """``triplets`` or ``pairs``; nobody where triplets are mined in the batch."""
        if self.mining != "none":
            return None
        return "triplets" if self._triplets else "pairs"

    @property
    def metric(self) -> retrieval.Metric:
        """How near is measured: by angle for CosineEmbeddingLoss, else by Euclidean distance."""
        return "cosine" if self.criterion.name == "CosineEmbeddingLoss" else "euclidean"

    def loss(
        self, model: nn.Module, batch: Batch, weight: float | None = None, outputs: list[Tensor] | None = None
    ) -> Tensor:
        if self.mining != "none":
            return batch_loss(self, model, batch, weight, outputs)
        return members.batch_loss(self, model, batch, weight, outputs)

    def weight(self, batch: Batch) -> float:
        if self.mining != "none":
            return float(mining.num_triplets(batch.target, self.mining).sum())
        return float(len(batch.target))

    def arguments(self, output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        if self.mining != "none":
            p = float(self.criterion.module.p)  # type: ignore[attr-defined]
            anchors, positives, negatives = mining.triplets(output, target, self.mining, p)
            return output[anchors], output[positives], output[negatives]
        if self._triplets:
            return output[:, 0], output[:, 1], output[:, 2]
        same = members.alike(target).to(output.dtype)
        if self.criterion.name == "HingeEmbeddingLoss":
            return F.pairwise_distance(output[:, 0], output[:, 1]), same
        return output[:, 0], output[:, 1], same

    def evaluate_batch(self, model: nn.Module, batch: Batch) -> Terms:
        output, target = self._run(model, batch), batch.target
        values, weights = self.criterion.terms(*self.arguments(output, target))
        if self.mining != "none":
            return output, target, *self._of_anchors(values, target)
        if target.ndim == 1:
            return output, target, values, weights
        return output[:, 0], target[:, 0], values, weights

    def _run(self, model: nn.Module, batch: Batch) -> Tensor:
        return auxiliary.split(model(batch.inputs))[0] if self.mining != "none" else members.run(model, batch.inputs)

    def _of_anchors(self, values: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        number = mining.num_triplets(target, self.mining)
        anchors = torch.arange(len(target), device=target.device).repeat_interleave(number)
        sums = torch.zeros(len(target), dtype=torch.float64, device=target.device)
        return sums.index_add(0, anchors, values), number.double()

    def check_targets(self, targets: Tensor, where: str = "data.source") -> None:
        if self.given == "no":
            target_rules.refuse(target_rules.groups(targets, self.criterion.name, where))
        elif self.given == "rows" and not self._triplets and targets.ndim == 1:
            target_rules.refuse(target_rules.signs(targets, self.criterion.name, where))

    def check_output(
        self, output: Tensor, batch: Batch, probe: Probe | None = None, targets: Tensor | None = None
    ) -> None:
        rows = len(batch.target)
        if self.mining == "none":
            expected = 3 if self._triplets else 2
            members.check(batch.inputs, expected, self.criterion.name)
            rows *= expected
        target_rules.refuse(output_rules.vectors(output, rows, self.criterion.name))

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """Return recall@1, and of up to 2,000 samples (it is their square that costs) MAP@R; of pairs the ROC AUC."""
        if evaluation.outputs.ndim == 3:
            if self._triplets:
                return {"triplets_in_order": retrieval.triplets_in_order(evaluation.outputs, self.metric)}
            near = -retrieval.distance(evaluation.outputs[:, 0], evaluation.outputs[:, 1], self.metric)
            return {"roc_auc": order.roc_auc(near, evaluation.targets > 0)}
        _, vectors, classes = order.once(evaluation.ids, evaluation.outputs, evaluation.targets)
        found = {"recall_at_1": retrieval.recall_at_1(vectors, classes, self.metric)}
        if len(vectors) <= _AT_ONCE:
            found["map_at_r"] = retrieval.map_at_r(vectors, classes, self.metric)
            if not self._triplets:
                found["roc_auc"] = retrieval.same_or_different(vectors, classes, self.metric)[0]
        return found

    def tally(self, output: Tensor, target: Tensor) -> None:
        """Add nothing up: what there is to say is about all pairs of samples at once."""

    def tallied(self, sums: list[float]) -> dict[str, float]:
        """Return no metric."""
        return {}

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        """Return for each output a dict with ``prediction``: the vector, as one number a key."""
        return [
            {"prediction": {str(place): number for place, number in enumerate(row)}}
            for row in outputs.double().tolist()
        ]

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        """Return header and rows: the class of the nearest other sample; of pairs as given their distance."""
        if evaluation.outputs.ndim == 3:
            apart = retrieval.distance(evaluation.outputs[:, 0], evaluation.outputs[:, 1], self.metric).tolist()
            truth: list[object] = evaluation.targets.flatten(1)[:, 0].tolist() if evaluation.targets.ndim > 1 else []
            columns = [truth or evaluation.targets.tolist(), apart]
        else:
            ids, vectors, classes = order.once(evaluation.ids, evaluation.outputs, evaluation.targets)
            nearest = dict(zip(ids.tolist(), classes[retrieval.nearest(vectors, self.metric)].tolist(), strict=True))
            places = [evaluation.targets.tolist(), [nearest[id_] for id_ in evaluation.ids.tolist()]]
            names = dict(enumerate(self.classes))
            columns = [[names.get(place, place) for place in column] for column in places]
        rows = zip(evaluation.ids.tolist(), *columns, evaluation.losses.tolist(), strict=True)
        return ["id", "target", "prediction", "loss"], [list(row) for row in rows]
