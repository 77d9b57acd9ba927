"""What an optimizer cannot do with the parameters that it is given, found before training."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from torchwork.optim import OPTIMIZERS
from torchwork.optim.groups import listed
from torchwork.optim.plan import Part, Spec, plan
from torchwork.optim.several import of_torch
from torchwork.types import Finding
from torchwork.without_dynamo import without_dynamo


def check(
    spec: Spec | Sequence[Spec], model: nn.Module, where: str = "optimizer", *, scaler: bool = False
) -> list[Finding]:
    """Return everything that is wrong, or worth a warning, about the optimizer of a config and a model.

    ``build`` raises the errors among these; the warnings are for whoever prints a plan. Changes nothing.

    Args:
        spec: ``{"name": ..., **options}``, or a list of such.
        model: The model, in the memory format that it will train in.
        where: The path in the config, for the findings.
        scaler: Whether the run scales its loss (``torch.amp.GradScaler``), which LBFGS cannot take part in.
    """
    parts, findings = plan(spec, model, where)
    return findings or refusals(parts, model, scaler=scaler)


def refusals(parts: Sequence[Part], model: nn.Module, *, scaler: bool = False) -> list[Finding]:
    """Check a plan that is sound in itself against the model's parameters."""
    parameters = dict(model.named_parameters())
    sparse = sparse_parameters(model)
    findings: list[Finding] = []
    for part in parts:
        found = [
            *_lbfgs(part, len(parts), model, parameters, scaler),
            *_sparse(part, sparse, model),
            *_muon(part, parameters),
        ]
        if part.name in OPTIMIZERS and not any(finding.severity == "error" for finding in found):
            found += _rehearsal(part, parameters, sparse)
        findings += found
    return findings


def sparse_parameters(model: nn.Module) -> set[str]:
    """Return the names of the parameters whose gradients are sparse: weights of ``Embedding(sparse=True)`` and such.

    A weight that is tied to a layer with dense gradients gets dense ones.

    >>> sparse_parameters(nn.Sequential(nn.EmbeddingBag(9, 2, sparse=True), nn.Linear(2, 2)))
    {'0.weight'}
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    sparse: set[int] = set()
    dense: set[int] = set()
    for module in model.modules():
        embeds = isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse
        (sparse if embeds else dense).update(id(parameter) for parameter in module.parameters(recurse=False))
    return {names[key] for key in sparse - dense}


def _is(part: Part, kind: type) -> bool:
    return inspect.isclass(part.component) and issubclass(part.component, kind)


def _lbfgs(
    part: Part, num_optimizers: int, model: nn.Module, parameters: dict[str, nn.Parameter], scaler: bool
) -> Iterator[Finding]:
    if not _is(part, torch.optim.LBFGS):
        return
    if any(group.where != part.where for group in part.groups):
        message = "LBFGS takes one group only: its steps are made for all parameters together"
        yield Finding("lbfgs-groups", "error", f"{part.where}.groups", message, "remove `groups`, or choose another")
    if num_optimizers > 1:
        message = "LBFGS cannot stand beside another optimizer: it evaluates the loss many times in one update"
        yield Finding("lbfgs-several", "error", part.where, message, "give all parameters to LBFGS, or choose another")
    if scaler:
        message = "LBFGS cannot work with a gradient scaler: it compares losses and gradients of several evaluations"
        yield Finding(
            "lbfgs-scaler", "error", part.where, message, "train with precision: fp32 or bf16, or choose another"
        )
    strided = [name for name in part.names if not parameters[name].is_contiguous()]
    if strided:
        message = f"LBFGS cannot take channels-last weights ({listed(strided)})"
        yield Finding("lbfgs-channels-last", "error", part.where, message, "keep the model in the contiguous format")
    moving = [n for n, m in model.named_modules() if isinstance(m, _NormBase) and m.track_running_stats]
    if moving:
        message = f"LBFGS runs the forward pass many times an update, each moves the statistics of {listed(moving)}"
        yield Finding("lbfgs-statistics", "warning", part.where, message, "choose layers without running statistics")
    dropping = [name for name, module in model.named_modules() if _drops(module)]
    if dropping:
        message = f"LBFGS compares evaluations of one loss, but dropout makes each another one ({listed(dropping)})"
        yield Finding("lbfgs-dropout", "warning", part.where, message, "set dropout to 0")


def _drops(module: nn.Module) -> bool:
    """Tell whether a module draws dropout masks: the layers of that name, recurrent ones and attention."""
    if isinstance(module, _DropoutNd):
        return module.p > 0
    return isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout > 0


def _sparse(part: Part, sparse: set[str], model: nn.Module) -> Iterator[Finding]:
    mine = [name for name in part.names if name in sparse]
    if _is(part, torch.optim.SparseAdam) and len(mine) < len(part.names):
        dense = [name for name in part.names if name not in sparse]
        message = f"SparseAdam takes sparse gradients only, and those of {listed(dense)} are dense"
        fix = "make `optimizer` a list: SparseAdam with match for the sparse embedding, Adam for the rest"
        yield Finding("dense-gradients", "error", part.where, message, fix)
    for group in part.groups:
        fused = group.options.get("fused", part.options.get("fused"))
        strewn = [name for name in group.names if name in sparse]
        if fused and strewn:
            message = f"fused kernels cannot take sparse gradients ({listed(strewn)})"
            yield Finding("fused-sparse", "error", f"{group.where}.fused", message, "remove it")


def _muon(part: Part, parameters: dict[str, nn.Parameter]) -> Iterator[Finding]:
    if not _is(part, torch.optim.Muon):
        return
    others = [f"{name} {list(parameters[name].shape)}" for name in part.names if parameters[name].ndim != 2]
    if others:
        message = f"Muon takes matrices only, and these are none: {listed(others)}"
        fix = "make `optimizer` a list: Muon with match for the matrices, AdamW for the rest"
        yield Finding("muon-shape", "error", part.where, message, fix)


def _rehearsal(part: Part, parameters: dict[str, nn.Parameter], sparse: set[str]) -> list[Finding]:
    """Take two steps on a few numbers of the same kinds, as torch finds many of its limits in ``step`` only."""
    groups: list[dict[str, Any]] = []
    strewn: set[torch.Tensor] = set()
    for group in part.groups:
        stand_ins: dict[Any, torch.Tensor] = {}
        for name in group.names:
            parameter = parameters[name]
            if parameter.is_meta:
                return []
            kind = (parameter.ndim, parameter.dtype, parameter.device, name in sparse)
            if kind not in stand_ins:
                stand_ins[kind] = torch.full((2,) * parameter.ndim, 0.5, dtype=kind[1], device=kind[2])
                stand_ins[kind].requires_grad_()
            if name in sparse:
                strewn.add(stand_ins[kind])
        groups.append({"params": list(stand_ins.values()), **group.options})
    bounded = {"max_iter": 2} if _is(part, torch.optim.LBFGS) else {}
    try:
        with without_dynamo(of_torch(part.component)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own of its insides (Adagrad makes sparse tensors unchecked)
            optimizer = part.component(groups, **{**part.options, **bounded})
            for _ in range(2):
                optimizer.step(lambda: _parabola(groups, strewn))
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        code, fix = "torch-refuses", "see torch.optim for what it takes"
        if strewn and "sparse" in str(error):
            names = [name for name in part.names if name in sparse]
            code = "sparse-gradients"
            fix = f"make `optimizer` a list: SparseAdam with match for {listed(names)}, {part.name} for the rest"
        return [Finding(code, "error", part.where, f"{part.name} cannot train this model: {error}", fix)]
    return []


def _parabola(groups: Sequence[dict[str, Any]], strewn: set[torch.Tensor]) -> float:
    """Set the gradients of the sum of squares and return it."""
    total = 0.0
    for group in groups:
        for x in group["params"]:
            gradient = 2 * x.detach()
            x.grad = gradient.to_sparse(1) if x in strewn else gradient
            total += float(x.detach().square().sum())
    return total
