"""What no loop can go below: the model's convolutions and matrix products alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmarks.contenders.parts import fastest
from benchmarks.contenders.work import Work
from torch import Tensor, nn


def run(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Time the primitives of one step of a model, each alone, forward and backward."""
    work = Work(Path(settings["folder"]), settings["batch"], 1e-3)
    x, _ = work.train()
    shapes = _shapes(work.model(), x[: work.batch])
    if name == "primitives-bf16":
        shapes = [(module.bfloat16(), inputs.bfloat16()) for module, inputs in shapes]
    seconds = sum(fastest(lambda call=call: _repeated(call), settings["repeats"]) / 20 for call in _calls(shapes))
    steps = -(-len(x) // work.batch)
    return {"seconds": seconds * steps, "step": seconds, "primitives": len(shapes)}


def _repeated(call: Callable[[], Any]) -> None:
    for _ in range(20):
        call()


def _shapes(model: nn.Module, batch: Tensor) -> list[tuple[nn.Module, Tensor]]:
    """Return each layer with weights, and what it is given."""
    seen: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: seen.append((module, inputs[0].detach().clone())))
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    model(batch)
    for hook in hooks:
        hook.remove()
    return seen


def _calls(shapes: list[tuple[nn.Module, Tensor]]) -> list[Callable[[], Any]]:
    """Return forward and backward of each layer as calls; the first layer needs no gradient of its inputs."""
    calls: list[Callable[[], Any]] = []
    for place, (module, inputs) in enumerate(shapes):
        with torch.no_grad():
            grad = torch.ones_like(module(inputs))
        calls.append(torch.no_grad()(lambda module=module, inputs=inputs: module(inputs)))
        if isinstance(module, nn.Conv2d):
            calls.append(
                lambda m=module, i=inputs, g=grad, first=place == 0: torch.ops.aten.convolution_backward(
                    g,
                    i,
                    m.weight,
                    None,
                    m.stride,
                    m.padding,
                    m.dilation,
                    False,
                    [0, 0],
                    m.groups,
                    [not first, True, False],
                )
            )
        else:
            calls.append(lambda m=module, i=inputs, g=grad: (g @ m.weight.detach(), g.t() @ i))
    return calls
