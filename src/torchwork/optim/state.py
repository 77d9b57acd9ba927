"""An optimizer's state by parameter name: saved as tensors and plain data, loaded into what still has those names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from torchwork import shards
from torchwork.optim.encoding import decode, encode
from torchwork.optim.groups import listed
from torchwork.optim.several import Optimizers, members
from torchwork.types import Finding, InputError

# scalars that torch keeps on the CPU unless the kernels are fused or capturable
_ON_CPU = ("step", "mu_product")


def save(
    optimizer: Optimizer | Optimizers, model: nn.Module, whole: Callable[[Tensor], Tensor] = lambda tensor: tensor
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state of an optimizer: copies of its tensors, and the rest as plain data for JSON.

    Tensors are called ``<parameter name>/<key>`` (as ``fc1.weight/exp_avg``); lists inside of a state add an index.
    The rest holds the options of each group with the names and shapes of its parameters, and what is no tensor.
    ``whole`` makes what is kept of a tensor, where this process holds but a part of it.

    Raises:
        InputError: the state holds something that is neither a tensor nor plain data.

    >>> model = nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    >>> model(torch.ones(1, 2)).sum().backward()
    >>> optimizer.step()
    >>> tensors, values = save(optimizer, model)
    >>> sorted(tensors)
    ['bias/momentum_buffer', 'weight/momentum_buffer']
    """
    tensors: dict[str, Tensor] = {}

    def keep(tensor: Tensor, path: str) -> dict[str, Any]:
        device = tensor.device.type
        if tensor.layout == torch.sparse_coo:
            tensors[f"{path}/indices"] = tensor._indices().detach().clone()
            tensors[f"{path}/values"] = tensor._values().detach().clone()
            return {"sparse": path, "size": list(tensor.shape), "coalesced": tensor.is_coalesced(), "device": device}
        tensors[path] = whole(tensor.detach()).clone(memory_format=torch.contiguous_format)
        return {"tensor": path, "device": device}

    try:
        optimizers = [_save_one(one, i, _names(one, i, model), keep) for i, one in enumerate(members(optimizer))]
    except TypeError as error:
        fix = "keep tensors, numbers, texts, lists and dicts in the optimizer's state and groups"
        raise InputError(Finding("unsaveable", "error", "optimizer", str(error), fix)) from error
    return tensors, {"optimizers": optimizers}


def _save_one(optimizer: Optimizer, index: int, names: dict[int, str], keep: Any) -> dict[str, Any]:
    groups = []
    for place, group in enumerate(optimizer.param_groups):
        rest = {key: value for key, value in group.items() if key != "params"}
        groups.append(
            {
                "parameters": [[names[id(p)], list(p.shape)] for p in group["params"]],
                "options": {k: encode(v, f"param_groups/{index}.{place}/{k}", keep) for k, v in rest.items()},
            }
        )
    state = {
        names[id(parameter)]: {key: encode(value, f"{names[id(parameter)]}/{key}", keep) for key, value in own.items()}
        for parameter, own in optimizer.state.items()
    }
    return {"class": type(optimizer).__name__, "groups": groups, "state": state}


def _names(optimizer: Optimizer, index: int, model: nn.Module) -> dict[int, str]:
    """Name every parameter of an optimizer; one that is not the model's own is called by its place."""
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    for place, group in enumerate(optimizer.param_groups):
        for number, parameter in enumerate(group["params"]):
            known.setdefault(id(parameter), f"param_groups/{index}.{place}/params/{number}")
    return known


class _Saved(NamedTuple):
    """What was saved about one parameter."""

    optimizer: str
    shape: list[int]
    state: dict[str, Any]


def load(
    optimizer: Optimizer | Optimizers, model: nn.Module, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> list[Finding]:
    """Load what ``save`` returned into an optimizer, by parameter name, and say what could not be matched.

    Every parameter of the same name, shape and kind of optimizer gets its state back, with the saved dtypes, so that a
    trajectory goes on bit for bit. Each group takes the options (learning rate and all) of the saved group that had
    most of its parameters. What has no counterpart keeps its fresh state. LBFGS has one state for all parameters,
    which is loaded only if they are all the same.

    Args:
        optimizer: Freshly built; its schedule, which sets learning rates, is built before this.
        model: The model that it trains.
        tensors: By name, on any device.
        values: The plain data.

    Returns:
        Warnings about parameters that are new, gone, of another shape, or went from one group to another.

    Raises:
        InputError: not one parameter could be matched, or tensors are missing.
    """

    def take(reference: dict[str, Any]) -> Tensor:
        return _take(reference, tensors)

    saved = {
        name: _Saved(one["class"], shape, one["state"].get(name, {}))
        for one in values["optimizers"]
        for group in one["groups"]
        for name, shape in group["parameters"]
    }
    findings: list[Finding] = []
    seen: set[str] = set()
    matched = 0
    for index, one in enumerate(members(optimizer)):
        names = _names(one, index, model)
        pairs = [(names[id(p)], p, group) for group in one.param_groups for p in group["params"]]
        seen.update(name for name, _, _ in pairs)
        findings += _load_groups(one, names, values, take)
        if isinstance(one, torch.optim.LBFGS) and not _same_parameters(pairs, values):
            message = "its parameters are not those of the saved state, so it starts without its history"
            findings.append(Finding("state-of-others", "warning", "optimizer", message))
            matched += any(saved_name.optimizer == "LBFGS" for saved_name in saved.values())
            continue
        good, wrong = _load_parameters(one, pairs, saved, take)
        matched += good
        findings += wrong
    gone = [name for name in saved if name not in seen]
    if gone:
        message = f"the saved state of {listed(gone)} belongs to no parameter that is trained now"
        findings.append(Finding("state-without-parameter", "warning", "optimizer", message))
    if saved and not matched:
        kinds = " and ".join(sorted({one["class"] for one in values["optimizers"]}))
        message = f"the saved state, of {kinds}, fits no parameter of this optimizer"
        fix = "resume with the model and the optimizer that the state was saved from"
        raise InputError([Finding("state-unmatched", "error", "optimizer", message, fix), *findings])
    return findings


def _take(reference: dict[str, Any], tensors: Mapping[str, Tensor]) -> Tensor:
    try:
        if "sparse" in reference:
            path, size = reference["sparse"], reference["size"]
            indices, content = tensors[f"{path}/indices"].clone(), tensors[f"{path}/values"].clone()
            coalesced = reference["coalesced"]
            return torch.sparse_coo_tensor(indices, content, size, is_coalesced=coalesced, check_invariants=True)
        return tensors[reference["tensor"]].clone()
    except KeyError as error:
        fix = "the checkpoint is not whole: resume from another"
        raise InputError(Finding("tensor-missing", "error", "optimizer", f"there is no tensor {error}", fix)) from error


def _load_parameters(
    optimizer: Optimizer, pairs: list[tuple[str, Tensor, dict[str, Any]]], saved: Mapping[str, _Saved], take: Any
) -> tuple[int, list[Finding]]:
    unmatched: dict[str, list[str]] = {}
    kind = type(optimizer).__name__
    for name, parameter, group in pairs:
        was = saved.get(name)
        if was is None:
            unmatched.setdefault("has no saved state", []).append(name)
        elif was.optimizer != kind:
            unmatched.setdefault(f"was trained by {was.optimizer}, not by {kind}", []).append(name)
        elif was.shape != list(parameter.shape):
            unmatched.setdefault("had another shape", []).append(name)
        else:
            on_device = bool(group.get("fused") or group.get("capturable"))
            state = {
                key: _decode(data, take, parameter, key in _ON_CPU and not on_device) for key, data in was.state.items()
            }
            if state:
                optimizer.state[parameter] = state
            else:
                optimizer.state.pop(parameter, None)
    findings = [
        Finding("parameter-without-state", "warning", "optimizer", f"{listed(names)} {why}", "it starts afresh")
        for why, names in unmatched.items()
    ]
    return len(pairs) - sum(map(len, unmatched.values())), findings


def _decode(data: Any, take: Any, parameter: Tensor, stays: bool) -> Any:
    """Decode a value; put tensors on the parameter's device and, where they have its shape, in its memory format."""

    def place(reference: dict[str, Any]) -> Tensor:
        tensor = take(reference)
        if not (stays and reference["device"] == "cpu"):
            tensor = tensor.to(parameter.device)
        if tensor.shape != parameter.shape or tensor.is_sparse:
            return tensor
        if shards.is_shared(parameter) or parameter.is_contiguous():
            return shards.shared_as(tensor, parameter)
        return torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)

    return decode(data, place)


def _same_parameters(pairs: list[tuple[str, Tensor, dict[str, Any]]], values: Mapping[str, Any]) -> bool:
    now = [[name, list(parameter.shape)] for name, parameter, _ in pairs]
    return any(
        one["class"] == "LBFGS" and [p for group in one["groups"] for p in group["parameters"]] == now
        for one in values["optimizers"]
    )


def _load_groups(optimizer: Optimizer, names: dict[int, str], values: Mapping[str, Any], take: Any) -> list[Finding]:
    """Give each group the saved options of the group that had most of its parameters."""
    kind = type(optimizer).__name__
    saved = [group for one in values["optimizers"] if one["class"] == kind for group in one["groups"]]
    homes = {name: index for index, group in enumerate(saved) for name, _ in group["parameters"]}
    findings = []
    for group in optimizer.param_groups:
        mine = [names[id(parameter)] for parameter in group["params"]]
        found = [homes[name] for name in mine if name in homes]
        if not found:
            message = f"the group of {listed(mine)} has no saved counterpart"
            findings.append(Finding("new-group", "warning", "optimizer", message, "it starts at its own options"))
            continue
        home = max(sorted(set(found)), key=found.count)
        moved = [name for name in mine if homes.get(name, home) != home]
        if moved:
            message = f"{listed(moved)} came from another group"
            fix = f"it goes on with the options of the group of {listed([n for n in mine if n not in moved], 2)}"
            findings.append(Finding("moved-parameter", "warning", "optimizer", message, fix))
        for key, data in saved[home]["options"].items():
            if key not in ("match", "param_names"):
                group[key] = decode(data, take)
    return findings
