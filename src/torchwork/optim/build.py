"""Build the optimizer of a config: torch's own object, with its groups filled by parameter-name patterns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from torchwork.optim import fused
from torchwork.optim.check import refusals, sparse_parameters
from torchwork.optim.plan import Part, Spec, plan
from torchwork.optim.several import Optimizers, members, of_torch
from torchwork.types import Finding, InputError
from torchwork.without_dynamo import without_dynamo


def build(spec: Spec | Sequence[Spec], model: nn.Module, where: str = "optimizer") -> Any:
    """Return the optimizer that a config names, for the trainable parameters of a model.

    ``groups`` is a list of ``{match: pattern, **options}``. A parameter belongs to the first group with a pattern that
    matches its name (``fnmatch``, a list of patterns too); those that nothing matches form the last group, with the
    optimizer's own options. Frozen parameters belong to none. A list of optimizers gives each the parameters that its
    own ``match`` claims; the last may leave it out and takes the rest. Where torch has a fused kernel for all of an
    optimizer's parameters, it is used, but where ``fused: false`` says otherwise.

    Args:
        spec: ``{"name": ..., **options}``, or a list of such.
        model: The model, with all its parameters on their device.
        where: The path in the config, for the findings.

    Returns:
        A plain ``torch.optim.Optimizer``; for a list, ``Optimizers``. Each group of a config with groups carries its
        pattern as ``match``.

    Raises:
        InputError: with every mistake: names, options, values that torch refuses, patterns that match nothing, and
            what the optimizer cannot do with these parameters (see ``check``).

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    >>> optimizer = build({"name": "SGD", "lr": 0.1, "groups": [{"match": "1.*", "lr": 0.5}]}, model)
    >>> [(group["match"], group["lr"], len(group["params"])) for group in optimizer.param_groups]
    [('1.*', 0.5, 2), ('*', 0.1, 2)]
    """
    parts, findings = plan(spec, model, where)
    parameters, sparse = dict(model.named_parameters()), sparse_parameters(model)
    parts = [fused.chosen(part, parameters, sparse) for part in parts]
    findings = findings or [finding for finding in refusals(parts, model) if finding.severity == "error"]
    if findings:
        raise InputError(findings)
    built = [_construct(part, parameters) for part in parts]
    return built[0] if not isinstance(spec, Sequence) else Optimizers(built)


def _construct(part: Part, parameters: dict[str, nn.Parameter]) -> Optimizer:
    if len(part.groups) == 1 and part.groups[0].match is None:
        given: list[Any] = [parameters[name] for name in part.groups[0].names]
    else:
        given = [
            {"params": [parameters[name] for name in group.names], "match": group.match, **group.options}
            for group in part.groups
        ]
    try:
        with without_dynamo(of_torch(part.component)):
            optimizer = part.component(given, **part.options)
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        fix = "see what the optimizer takes"
        raise InputError(Finding("bad-value", "error", part.where, f"{part.name}: {error}", fix)) from error
    if not isinstance(optimizer, Optimizer):
        message = f"{part.name} gives a {type(optimizer).__name__}, not a torch.optim.Optimizer"
        raise InputError(Finding("no-optimizer", "error", f"{part.where}.name", message, "name an optimizer"))
    return optimizer


def ungrouped(optimizer: Optimizer | Optimizers, model: nn.Module) -> list[str]:
    """Return the names of the trainable parameters that stand in no group: nothing will ever train them.

    >>> import torch
    >>> model = torch.nn.Linear(2, 2)
    >>> ungrouped(torch.optim.SGD([model.weight]), model)
    ['bias']
    """
    held = {id(p) for member in members(optimizer) for group in member.param_groups for p in group["params"]}
    return [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
