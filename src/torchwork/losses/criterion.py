"""A loss of torch.nn with what its mean hides: the denominator, and the share of each sample.

``reduction='mean'`` divides a sum over samples by a denominator that the targets alone decide. The mean of a whole
that is cut into unequal batches is the sum of the batches' sums over the sum of their denominators; the mean of their
means is something else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchwork import catalog
from torchwork.losses import LOSSES, checks, denominators
from torchwork.losses.denominators import KINDS
from torchwork.types import Finding, InputError

HIDDEN = dict.fromkeys(
    ("reduction", "reduce", "size_average"),
    "a run always takes the mean, and divides by the weight of the whole step",
)


class Criterion:
    """A loss that takes the mean, the denominator of that mean, and its terms sample by sample.

    The arguments are those of the torch loss, in torch's order: ``(output, target)`` for most, ``(input1, input2,
    target)`` for pairs, ``(anchor, positive, negative)``, ``(input, target, var)`` for GaussianNLLLoss and
    ``(log_probs, targets, input_lengths, target_lengths)`` for CTCLoss.

    Args:
        module: A loss module of torch.nn with ``reduction='mean'`` (KLDivLoss: ``'batchmean'``), or any callable
            ``(output, target) -> scalar`` that takes the mean over the rows of a batch.
        name: What to call it; by default its own name.

    Raises:
        InputError: the module's reduction is another, or an option is out of range; when called, output and target
            are swapped.

    >>> criterion = Criterion(nn.CrossEntropyLoss(ignore_index=0))
    >>> criterion.weight(torch.tensor([0, 1, 2]))
    2.0
    """

    def __init__(self, module: Callable[..., Tensor], name: str | None = None) -> None:
        self.module = module
        self.kind = KINDS.get(type(module))  # type: ignore[arg-type]
        own = getattr(module, "__name__", type(module).__name__)
        self.name = own if self.kind else name or own  # a loss of torch.nn under its own name, wherever it came from
        _check_reduction(self)
        if self.kind:
            checks.check_options(self.name, module)
        self._sum: Any = _reduced(module, "sum") if self.kind else None
        self._each: Any = _reduced(module, "none") if self.kind else None

    def mean(self, *arguments: Tensor) -> Tensor:
        """Return torch's own mean: a scalar."""
        self._check(arguments)
        return self.module(*arguments)

    def share(self, *arguments: Tensor, weight: float) -> Tensor:
        """Return the sum over the samples divided by ``weight``, the denominator of a whole that these are part of.

        (``mean * own weight / weight`` is the same, except where the own weight is 0 and the sum is not: label
        smoothing over a class of weight 0.)
        """
        if self.kind is None:
            return self.module(*arguments) * (arguments[1].shape[0] / weight)
        self._check(arguments)
        if self.kind.denominator == "lengths":
            return (self._each(*arguments) / arguments[3].clamp(min=1)).sum() / weight
        return self._sum(*arguments) / weight

    def weight(self, target: Tensor) -> float:
        """Return the denominator of ``mean``, from the argument that decides it.

        That is the target; for TripletMarginLoss any tensor of as many rows as there are triplets, for CTCLoss one with
        a row for each sequence.
        """
        if self.kind is None:
            return float(target.shape[0])
        return denominators.weight(self.module, self.kind, target)

    def terms(self, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and weights, float64 [B] each, with ``mean == values.sum() / weights.sum()``."""
        if self.kind is None:
            output, target = arguments
            rows = [self.module(output[i : i + 1], target[i : i + 1]).double() for i in range(len(target))]
            values = torch.stack(rows) if rows else output.new_zeros(0, dtype=torch.float64)
            return values, torch.ones_like(values)
        self._check(arguments)
        values = denominators.by_row(self._each(*arguments))
        if self.kind.denominator == "lengths":
            values = values / arguments[3].clamp(min=1)
        return values, denominators.row_weights(self._each, self.kind, arguments[self.kind.position])

    def _check(self, arguments: tuple[Tensor, ...]) -> None:
        if self.kind and self.kind.position:  # the loss of triplets has no target
            place = 1 if self.kind.denominator == "lengths" else self.kind.position
            checks.check_order(self.name, arguments[:place], arguments[place])

    def to(self, device: torch.device, dtype: torch.dtype) -> Criterion:
        """Move the loss's own tensors (class weights) to where the outputs are; returns itself."""
        for module in (self.module, self._sum, self._each):
            if isinstance(module, nn.Module):
                module.to(device, dtype)
        return self


def _check_reduction(criterion: Criterion) -> None:
    found = getattr(criterion.module, "reduction", None)
    wanted = criterion.kind.reduction if criterion.kind else "mean"
    if isinstance(criterion.module, nn.Module) and found is not None and found != wanted:
        message = f"{criterion.name} has reduction={found!r}"
        fix = f"give it reduction={wanted!r}: the denominator of the whole step is taken care of"
        if criterion.name == "KLDivLoss" and found == "mean":
            message += ", which divides by the elements and so is not the divergence"
        raise InputError(Finding("reduction", "error", "loss", message, fix))


def _reduced(module: Any, reduction: str) -> Any:
    module = copy.copy(module)
    module.reduction = reduction
    return module


def build(spec: Mapping[str, Any], where: str = "loss") -> Criterion:
    """Build a criterion from a component: ``{"name": "CrossEntropyLoss", "label_smoothing": 0.1}``.

    Raises:
        InputError: an unknown name or option, or an option that is Torchwork's own (``reduction``).
    """
    options = {key: value for key, value in spec.items() if key != "name"}
    component = catalog.load(spec["name"], LOSSES, "loss", f"{where}.name")
    if not isinstance(component, type):  # a function (output, target) -> mean
        if options:
            message = f"{spec['name']} is a function and takes no options"
            raise InputError(Finding("unknown-option", "error", where, message, "remove the options"))
        return Criterion(component, spec["name"])
    findings = catalog.check_options(component, options, where, hidden=HIDDEN)
    if findings:
        raise InputError(findings)
    kind = KINDS.get(component)
    own = {"reduction": kind.reduction} if kind else {}
    try:
        return Criterion(component(**catalog.convert(component, options), **own), spec["name"])
    except (TypeError, ValueError) as error:
        raise InputError(Finding("bad-option", "error", where, f"{spec['name']}: {error}")) from error
