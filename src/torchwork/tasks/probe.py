"""What a model's output is by its build, not by the luck of a batch: the operation it ends in, and how far it goes.

Small scores look like probabilities: an untrained model's logits often lie between 0 and 1. What it ends in is read
from autograd's graph, so that ``torch.sigmoid(x)`` in a ``forward`` counts as much as an ``nn.Sigmoid``; and inputs a
thousand times as large drive scores out of [0, 1], but no probability.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from torchwork.models import auxiliary
from torchwork.tasks.supervised import Probe

FAR = 1000.0
_FEW = 32
_VIEWS = "View Reshape UnsafeView Squeeze Unsqueeze Transpose Permute Select Slice Alias Expand Split T Unbind"
_PASSED_ON = (*_VIEWS.split(), "Clone", "ToCopy", "Cat", "Stack")
_KNOWN = {
    "Sigmoid": "Sigmoid",
    "Hardsigmoid": "Hardsigmoid",
    "Softmax": "Softmax",
    "LogSoftmax": "LogSoftmax",
    "LogSigmoid": "LogSigmoid",
    "Relu": "ReLU",
    "Softplus": "Softplus",
    "Exp": "exp",
    "Abs": "abs",
    "Tanh": "Tanh",
    "Addmm": "Linear",
    "Mm": "Linear",
    "Convolution": "Convolution",
}


def probe(model: nn.Module, inputs: Any) -> Probe:
    """Run a model in evaluation mode on some samples and find out what its output is; leave it as it was.

    Args:
        model: Any module.
        inputs: Of a batch, [B, ...] or a dict of such; for pairs and triplets with the members along the first axis.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Softmax(1))
    >>> found = probe(model, torch.ones(4, 2))
    >>> found.output.shape, found.last, found.far.shape
    (torch.Size([4, 3]), 'Softmax', torch.Size([8, 3]))
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            output, _ = auxiliary.split(model(inputs))
        if not isinstance(output, Tensor):
            return Probe(output)
        return Probe(output, _last(model, inputs), _far(model, inputs))
    finally:
        for module, mode in modes.items():
            module.training = mode


def last_operation(output: Tensor) -> str | None:
    """Return the operation that an output with a graph ends in, past all views and copies; None where it says nothing.

    >>> last_operation(nn.Linear(2, 1)(torch.ones(3, 2)).sigmoid().squeeze(1))
    'Sigmoid'
    """
    node: Any = output.grad_fn
    while node is not None:
        name = node.name().partition("Backward")[0]
        if name not in _PASSED_ON:
            return _KNOWN.get(name)
        node = next((before for before, _ in node.next_functions if before is not None), None)
    return None


def _last(model: nn.Module, inputs: Any) -> str | None:
    with torch.enable_grad():
        output, _ = auxiliary.split(model(_each(inputs, lambda part: part[:2])))
    return last_operation(output) if isinstance(output, Tensor) else None


def _far(model: nn.Module, inputs: Any) -> Tensor | None:
    parts = inputs.values() if isinstance(inputs, dict) else [inputs]
    if not any(part.is_floating_point() for part in parts):
        return None
    try:
        with torch.no_grad():
            output, _ = auxiliary.split(model(_each(inputs, _both_ways)))
    except (RuntimeError, ValueError, IndexError):  # a model that looks its inputs up in a table
        return None
    if not isinstance(output, Tensor):
        return None
    kept = output[torch.isfinite(output).flatten(1).all(1)] if output.ndim > 1 else output[torch.isfinite(output)]
    return kept if len(kept) else None


def _both_ways(part: Tensor) -> Tensor:
    few = part[:_FEW]
    return torch.cat([few * FAR, few * -FAR]) if few.is_floating_point() else torch.cat([few, few])


def _each(inputs: Any, change: Any) -> Any:
    return {name: change(part) for name, part in inputs.items()} if isinstance(inputs, dict) else change(inputs)
