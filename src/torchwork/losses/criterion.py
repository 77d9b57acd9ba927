"""A loss of torch.nn with what its mean hides: the denominator, and the share of each sample.

``reduction='mean'`` divides a sum over samples by a denominator that the targets alone decide. The mean of a whole that
is cut into unequal batches is the sum of the batches' sums over the sum of their denominators; the mean of their means is
something else.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchwork import catalog
from torchwork.losses import LOSSES
from torchwork.types import Finding, InputError

HIDDEN = dict.fromkeys(
    ("reduction", "reduce", "size_average"),
    "a run always takes the mean, and divides by the weight of the whole step",
)

Terms = tuple[Tensor, Tensor]


class Criterion:
    """A loss ``(output, target) -> mean``, the denominator of that mean, and its terms sample by sample.

    Args:
        module: A loss module of torch.nn with ``reduction='mean'``, or any callable ``(output, target) -> scalar``
            that takes the mean over the rows of a batch.

    >>> criterion = Criterion(nn.CrossEntropyLoss(ignore_index=0))
    >>> criterion.weight(torch.tensor([0, 1, 2]))
    2.0
    """

    def __init__(self, module: Callable[[Tensor, Tensor], Tensor], name: str | None = None) -> None:
        self.name = name or getattr(module, "__name__", type(module).__name__)
        self.module = module
        self._kind = next((kind for kind in _TERMS if isinstance(module, kind)), None)
        if isinstance(module, nn.Module) and getattr(module, "reduction", "mean") != "mean":
            message = f"{self.name} has reduction={module.reduction!r}"
            fix = "leave reduction at 'mean': the step's denominator is taken care of"
            raise InputError(Finding("reduction", "error", "loss", message, fix))
        self._sum, self._each = (_reduced(module, to) if self._kind else None for to in ("sum", "none"))

    def mean(self, output: Tensor, target: Tensor) -> Tensor:
        """Return torch's own mean: a scalar."""
        return self.module(output, target)

    def share(self, output: Tensor, target: Tensor, weight: float) -> Tensor:
        """Return the sum over the samples divided by ``weight``, the denominator of a whole that these are part of.

        (``mean * own weight / weight`` is the same, except where the own weight is 0 and the sum is not: label smoothing
        over a class of weight 0.)
        """
        if self._sum is None:
            return self.module(output, target) * (target.shape[0] / weight)
        return self._sum(output, target) / weight

    def weight(self, target: Tensor) -> float:
        """Return the denominator of ``mean`` for these targets."""
        if self._kind is nn.CrossEntropyLoss:
            return _cross_entropy_weight(self.module, target)
        return float(target.numel() if self._kind is not None else target.shape[0])

    def terms(self, output: Tensor, target: Tensor) -> Terms:
        """Return values and weights, float64 [B] each, with ``mean == values.sum() / weights.sum()``."""
        if self._kind is None:
            rows = [self.module(output[i : i + 1], target[i : i + 1]) for i in range(len(target))]
            values = torch.stack(rows).double() if rows else output.new_zeros(0, dtype=torch.float64)
            return values, torch.ones_like(values)
        return _TERMS[self._kind](self._each, output, target)

    def to(self, device: torch.device, dtype: torch.dtype) -> Criterion:
        """Move the loss's own tensors (class weights) to where the outputs are; returns itself."""
        for module in (self.module, self._sum, self._each):
            if isinstance(module, nn.Module):
                module.to(device, dtype)
        return self


def _reduced(module: Any, reduction: str) -> Any:
    module = copy.copy(module)
    module.reduction = reduction
    return module


def _cross_entropy_weight(module: Any, target: Tensor) -> float:
    if target.is_floating_point():  # probabilities for each class: torch divides by the rows, weighted or not
        return float(target.numel() // target.shape[1])
    kept = target != module.ignore_index
    if module.weight is None:
        return float(kept.sum())
    return float(module.weight[target[kept]].sum(dtype=torch.float64))


def _rows(values: Tensor) -> Tensor:
    return values.double().reshape(len(values), -1).sum(1)


def _elementwise_terms(each: Any, output: Tensor, target: Tensor) -> Terms:
    values = _rows(each(output, target))
    return values, torch.full_like(values, math.prod(target.shape[1:]))


def _cross_entropy_terms(each: Any, output: Tensor, target: Tensor) -> Terms:
    values = _rows(each(output, target))
    if target.is_floating_point():
        return values, torch.full_like(values, math.prod(target.shape[2:]))
    kept = target != each.ignore_index
    if each.weight is None:
        return values, _rows(kept)
    weights = torch.where(kept, each.weight[torch.where(kept, target, 0)], 0.0)
    return values, _rows(weights)


_TERMS: dict[type, Callable[[Any, Tensor, Tensor], Terms]] = {
    nn.CrossEntropyLoss: _cross_entropy_terms,
    nn.MSELoss: _elementwise_terms,
    nn.L1Loss: _elementwise_terms,
    nn.SmoothL1Loss: _elementwise_terms,
}


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
    try:
        return Criterion(component(**catalog.convert(component, options)), spec["name"])
    except (TypeError, ValueError) as error:
        raise InputError(Finding("bad-option", "error", where, f"{spec['name']}: {error}")) from error
