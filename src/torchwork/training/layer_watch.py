"""How strongly each layer is pulled and how far it moves: measured at the last step of every epoch, by looking on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from torchwork import shards
from torchwork.training.state import State
from torchwork.types import Step, Watcher


class LayerRow(NamedTuple):
    """One layer at one step: all three are of the same moment, the weights that the gradient was taken at.

    ``weight_norm`` is ‖w‖ before the update, over all trained parameters of the layer (weight and bias together).
    ``grad_norm`` is ‖∂L/∂w‖ as the optimizer used it, so after clipping; of an optimizer that asks for several
    gradients in a step (LBFGS) it is the last one. NaN where no gradient reached the layer.
    ``update_ratio`` is ‖w after − w‖ / ‖w‖, NaN where w is all zeros.
    """

    epoch: int
    step: int
    layer: str
    weight_norm: float
    grad_norm: float
    update_ratio: float


def layer_watcher(
    state: State, *, num_batches: int, accumulate: int = 1, on_rows: Callable[[list[LayerRow]], None]
) -> Watcher:
    """Return a watcher of the loop that measures each layer at the last update of every epoch.

    It copies the trained parameters after the update before, which costs their memory for one step, and is free at all
    other steps. It changes nothing, so the run's bits are the same with it and without. A run that is resumed anywhere
    measures the same numbers as one that never stopped, where the watcher is made after the checkpoint was loaded.
    Where each of several processes holds a part of the model, all of them must watch.

    Args:
        state: What is trained. Parameters that no optimizer has, or that are frozen, are left out.
        num_batches: Batches (not updates) an epoch.
        accumulate: Batches to one update.
        on_rows: Called with a row for each layer, in the model's order, right after the update. A layer is the module
            that holds the parameters; those of the model itself are called ``(model)``, and shared ones belong to the
            layer that comes first.

    >>> import torchwork
    >>> model, rows = torch.nn.Linear(2, 1, bias=False), []
    >>> state = State(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> watch = layer_watcher(state, num_batches=1, on_rows=rows.extend)
    >>> model(torch.ones(4, 2)).sum().backward()
    >>> state.optimizer.step()
    >>> state.progress.position = 1  # as the loop counts
    >>> watch(Step(index=1, loss=torch.tensor(0.0), weight=4.0, grad_norm=None, lr=0.1))
    >>> rows[0].layer, rows[0].grad_norm == model.weight.grad.norm().item()
    ('(model)', True)
    """
    layers, progress = _layers(state), state.progress
    before: dict[str, Tensor] = {}

    def copy_before_the_last() -> None:
        position = 0 if progress.position >= num_batches else progress.position
        if num_batches - position <= accumulate:
            before.update((name, p.detach().clone()) for held in layers.values() for name, p in held.items())

    def watch(step: Step) -> None:
        if before and progress.position >= num_batches:
            on_rows(_measure(layers, before, progress.epoch + 1, step))
            before.clear()
        copy_before_the_last()

    copy_before_the_last()
    return watch


def _layers(state: State) -> dict[str, dict[str, Tensor]]:
    """Return the trained parameters by their names, grouped by the module that holds them."""
    held = {id(p) for group in state.optimizer.param_groups for p in group["params"]}
    layers: dict[str, dict[str, Tensor]] = {}
    for name, parameter in state.model.named_parameters():
        if id(parameter) in held and parameter.requires_grad:
            # torch.nn.utils.parametrizations holds the parameters of a layer in modules below it
            layer = re.sub(r"(^|\.)parametrizations\..*", r"\1", name).rpartition(".")[0]
            layers.setdefault(layer or "(model)", {})[name] = parameter
    return layers


def _measure(
    layers: Mapping[str, Mapping[str, Tensor]], before: Mapping[str, Tensor], epoch: int, step: Step
) -> list[LayerRow]:
    norms: list[Tensor] = []
    for held in layers.values():
        # where no sample counted there was no backward pass, and what .grad holds is older
        grads = [p.grad for p in held.values() if p.grad is not None] if step.weight > 0 else []
        updates = [p.detach() - before[name] for name, p in held.items()]
        norms += [_norm([before[name] for name in held]), _norm(grads), _norm(updates)]
    values = iter([float(norm) for norm in norms])
    return [
        LayerRow(epoch, step.index, layer, weight, grad, moved / weight if weight else float("nan"))
        for layer, weight, grad, moved in zip(layers, values, values, values, strict=True)
    ]


def _norm(tensors: list[Tensor]) -> Tensor:
    """Return the Euclidean norm of tensors together, in 32 bits or more; NaN of none."""
    if not tensors:
        return torch.tensor(float("nan"))
    return torch.linalg.vector_norm(torch.stack([_norm_of(tensor) for tensor in tensors]))


def _norm_of(tensor: Tensor) -> Tensor:
    values = tensor.coalesce().values() if tensor.is_sparse else tensor
    values = torch.view_as_real(values) if values.is_complex() else values
    return shards.whole(torch.linalg.vector_norm(values, dtype=torch.promote_types(values.dtype, torch.float32)))
