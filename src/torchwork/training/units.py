"""The modules that a large model is cut into, each of which is whole on a device only while it is at work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from torchwork.training.buffers import keeping_buffers

SMALLEST = 10_000  # parameters; what is smaller costs more in waiting than it saves in memory

_GONE_THROUGH = (
    *(nn.Sequential, nn.ModuleList, nn.ModuleDict),
    *(nn.TransformerEncoder, nn.TransformerDecoder),
)


def units(model: nn.Module, smallest: int = SMALLEST) -> list[str]:
    """Return the names of the modules that are units; what no unit holds belongs to the model as a whole.

    Every child of the model with ``smallest`` parameters or more is one. Instead of a list of modules (Sequential,
    ModuleList, ...) its members are, and instead of a module that holds more than half of all parameters its children,
    but for torch's own, which use the weights of theirs without calling them. A module that shares a parameter with
    another one is none.

    >>> units(nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Sequential(nn.Linear(200, 200), nn.Linear(200, 2))))
    ['0', '2.0']
    """
    everywhere = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)
    total, found = _count(model), list[str]()
    seen = set[int]()

    def walk(module: nn.Module, path: str) -> None:
        for name, child in module.named_children():
            place = f"{path}{name}"
            if id(child) in seen:
                continue
            seen.add(id(child))
            own = Counter(id(p) for part in child.modules() for p in part._parameters.values() if p is not None)
            if isinstance(child, _GONE_THROUGH) or (2 * _count(child) > total and _is_gone_through(child)):
                walk(child, f"{place}.")
            elif _count(child) >= smallest and all(everywhere[key] == times for key, times in own.items()):
                found.append(place)

    walk(model, "")
    return found


def _is_gone_through(module: nn.Module) -> bool:
    return not type(module).__module__.startswith("torch.nn.") and any(map(_count, module.children()))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def recompute(model: nn.Module, smallest: int = SMALLEST) -> list[str]:
    """Let each unit of a model forget what it computed in the forward pass and compute it again in the backward pass.

    Of a unit only its inputs are kept in between, by ``torch.utils.checkpoint``: less memory, for one more forward
    pass. Losses, gradients and buffers are the same: dropout draws the same masks again, and batch norm takes note of
    its statistics once. Return the names of the units.

    >>> model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    >>> recompute(model, smallest=1)
    ['0', '2']
    >>> model(torch.ones(1, 4)).sum().backward()
    """
    found = units(model, smallest)
    for name in found:
        module = model.get_submodule(name)
        module.forward = partial(_recomputed, module, module.__dict__.get("forward"))
    return found


def _recomputed(module: Any, own: Any, *args: Any, **kwargs: Any) -> Any:
    forward = own if own is not None else partial(type(module).forward, module)
    if not (module.training and torch.is_grad_enabled()):
        return forward(*args, **kwargs)

    def contexts() -> tuple[Any, Any]:
        return _Nothing(), keeping_buffers(module)

    return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)


class _Nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...


def owners(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that hold parameters directly, a module's own and itself."""
    for part in module.modules():
        if any(isinstance(p, Tensor) for p in part._parameters.values()):
            yield part
