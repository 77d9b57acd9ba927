"""What a model is made of: its layers, their output shapes and their parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from torchwork.models.ownership import HOLDERS


def num_parameters(model: nn.Module, *, trainable: bool = False) -> int:
    """Return the number of parameters, or of those that are not frozen. Shared ones count once.

    >>> num_parameters(nn.Linear(3, 2))
    8
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


def layer_table(model: nn.Module, inputs: Any) -> list[dict[str, Any]]:
    """Push one batch through the model and return a row a layer, in the order of their calls.

    A layer is a module without modules of its own, or one that owns parameters. Layers that the batch did not reach
    come last, with ``output_shape`` None. The model is run in evaluation mode, without gradients, and left as it was.

    Returns:
        Rows with ``name``, ``type``, ``output_shape`` (with the batch axis), ``parameters`` and ``trainable`` (those
        that are not frozen). Over all rows the parameters sum up to ``num_parameters(model)``.

    >>> [(row["name"], row["output_shape"]) for row in layer_table(nn.Sequential(nn.Linear(3, 2)), torch.ones(4, 3))]
    [('0', [4, 2])]
    """
    layers = dict(_layers(model))
    called: dict[nn.Module, list[int] | None] = {}

    def note(layer: nn.Module, _: Any, output: Any) -> None:
        called.setdefault(layer, _shape(output))

    hooks = [layer.register_forward_hook(note) for layer in layers.values()]
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
    rank = {layer: index for index, layer in enumerate(called)}
    ordered = sorted(layers.items(), key=lambda item: rank.get(item[1], len(rank)))
    seen: set[Tensor] = set()
    return [_row(name, layer, called.get(layer), seen) for name, layer in ordered]


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        if isinstance(module, HOLDERS):
            continue
        children = [child for child in module.children() if not isinstance(child, HOLDERS)]
        if not children or next(_own(module), None) is not None:
            yield name or type(module).__name__, module


def _own(module: nn.Module) -> Iterator[nn.Parameter]:
    yield from module.parameters(recurse=False)
    for child in module.children():
        if isinstance(child, HOLDERS):
            yield from child.parameters()


def _row(name: str, layer: nn.Module, shape: list[int] | None, seen: set[Tensor]) -> dict[str, Any]:
    own = [parameter for parameter in _own(layer) if parameter not in seen]
    seen.update(own)
    return {
        "name": name,
        "type": type(layer).__name__,
        "output_shape": shape,
        "parameters": sum(p.numel() for p in own),
        "trainable": sum(p.numel() for p in own if p.requires_grad),
    }


def _shape(output: Any) -> list[int] | None:
    if isinstance(output, Tensor):
        return list(output.shape)
    if isinstance(output, dict):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        shapes = (_shape(item) for item in output)
        return next((shape for shape in shapes if shape is not None), None)
    return None
