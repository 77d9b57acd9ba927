"""What every task shares: running the model on a batch, its loss, and the terms of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.models import auxiliary
from torchwork.types import Batch, Finding, InputError, Task

Terms = tuple[Tensor, Tensor, Tensor, Tensor]


def aligned(output: Tensor, target: Tensor) -> Tensor:
    """Return float targets in the output's precision, so that float64 data do not change a float32 model's loss."""
    return target.to(output.dtype) if target.is_floating_point() else target


@dataclass(frozen=True)
class Evaluation:
    """A data set seen through a model: every output, target and loss term, in the order of ``ids``.

    ``outputs`` [N, ...] as the model gave them; ``values`` and ``weights`` float64 [N] with
    ``loss == values.sum() / weights.sum()``.
    """

    ids: Tensor
    outputs: Tensor
    targets: Tensor
    values: Tensor
    weights: Tensor

    @property
    def loss(self) -> float:
        """The mean loss, summed in float64; 0 where no sample counts."""
        total = float(self.weights.sum())
        return float(self.values.sum()) / total if total else 0.0

    @property
    def losses(self) -> Tensor:
        """The mean loss of each sample, float64 [N]; 0 where a sample does not count."""
        return torch.where(self.weights > 0, self.values / self.weights.clamp(min=1e-300), 0.0)


@dataclass(frozen=True)
class Probe:
    """What a model gives for some samples, and what tells a score from a probability that happens to look like one.

    ``output`` [B, ...] is the model's; ``last`` names the operation that it ends in, where it is one that says
    something about the output's range (``Sigmoid``, ``Softmax``, ``LogSoftmax``, ``ReLU``, ``Linear`` ...), else None;
    ``far`` are outputs for the same samples times 1000 and -1000, None where those cannot be had.
    """

    output: Tensor
    last: str | None = None
    far: Tensor | None = None


class WholeTask(Task, Protocol):
    """All that a task knows about outputs and targets."""

    @property
    def criterion(self) -> Criterion:
        """The loss."""
        ...

    @property
    def num_outputs(self) -> int:
        """How many numbers the model has to give for a sample (CTC: for each of its steps)."""
        ...

    @property
    def companions(self) -> str | None:
        """Whom the loader draws to go with a sample: ``ranking``, ``pairs``, ``triplets``, or nobody."""
        ...

    def arguments(self, output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Return what the torch loss is called with, from a model's output and a batch's target."""
        ...

    def check_targets(self, targets: Tensor, where: str = "data.source") -> None:
        """Raise InputError where encoded targets [N, ...] are not what the loss asks for, with every mistake."""
        ...

    def check_output(
        self, output: Tensor, batch: Batch, probe: Probe | None = None, targets: Tensor | None = None
    ) -> None:
        """Raise InputError where a model's output for a batch is not what the loss asks for.

        With ``probe`` it is told, too, what the output looks like far from these samples; with ``targets``, those of
        all samples, it is told whether it does for the others.
        """
        ...

    def evaluate_batch(self, model: nn.Module, batch: Batch) -> Terms:
        """Return outputs and targets of a batch's samples, and their values and weights in the mean loss, [B] each."""
        ...

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the metrics of an epoch's evaluation."""
        ...

    def tally(self, output: Tensor, target: Tensor) -> Tensor | None:
        """Return of each sample seen in training what adds up to metrics, float64 [B, m]; None where nothing does."""
        ...

    def tallied(self, sums: list[float]) -> dict[str, float]:
        """Return the metrics of what the rows of `tally` add up to: some of those of `metrics`."""
        ...

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        """Return for each output a dict with ``prediction`` and what else there is to say."""
        ...

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        """Return header and rows of a predictions file."""
        ...


class _Meaning(Protocol):
    @property
    def criterion(self) -> Criterion: ...
    def arguments(self, output: Tensor, target: Tensor) -> tuple[Tensor, ...]: ...


def batch_loss(
    task: _Meaning, model: nn.Module, batch: Batch, weight: float | None, outputs: list[Tensor] | None = None
) -> Tensor:
    """Return torch's own mean loss of a batch, or its sum over ``weight`` where the batch is part of a whole.

    In training a model with auxiliary heads (GoogLeNet, Inception v3) gives several outputs; their losses are added
    with the weights of its paper. The main output, detached, is appended to ``outputs``.
    """
    return loss_of_outputs(task, model, model(batch.inputs), batch.target, weight, outputs)


def loss_of_outputs(
    task: _Meaning,
    model: nn.Module,
    output: Any,
    target: Tensor,
    weight: float | None,
    outputs: list[Tensor] | None = None,
) -> Tensor:
    """Return the loss of what a model gave: a tensor, or the outputs of a main and of auxiliary heads."""
    if isinstance(output, Tensor):
        if outputs is not None:
            outputs.append(output.detach())
        return _loss(task, output, target, weight)
    main, others = auxiliary.split(output)
    shares = auxiliary.weights(model)
    if not isinstance(main, Tensor) or len(shares) != len(others):
        message = f"gives a {type(output).__name__} of {len(others) + 1} in training"
        raise InputError(Finding("output-type", "error", "model", message, "its forward must return a tensor"))
    if outputs is not None:
        outputs.append(main.detach())
    loss = _loss(task, main, target, weight)
    for share, other in zip(shares, others, strict=True):
        loss = loss + share * _loss(task, other, target, weight)
    return loss


def _loss(task: _Meaning, output: Tensor, target: Tensor, weight: float | None) -> Tensor:
    arguments = task.arguments(output, target)
    if weight is None:
        return task.criterion.mean(*arguments)
    return task.criterion.share(*arguments, weight=weight)


def batch_terms(task: _Meaning, model: nn.Module, batch: Batch) -> Terms:
    """Return a batch's outputs, its targets, and each sample's value and weight in the mean loss."""
    output, _ = auxiliary.split(model(batch.inputs))
    values, weights = task.criterion.terms(*task.arguments(output, batch.target))
    return output, aligned(output, batch.target), values, weights
