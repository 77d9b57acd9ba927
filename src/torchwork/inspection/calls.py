"""Which layers a model calls for a batch, in which order, with which shapes; and what one of them gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchwork.models.layers import Correlation2d


class Call(NamedTuple):
    """One call of a module: its name, which of its calls (from 0), and the shape of the tensor that it gave."""

    name: str
    module: nn.Module
    number: int
    shape: tuple[int, ...] | None


def first_tensor(output: Any) -> Tensor | None:
    """Return a tensor, or the first one in what holds several: outputs and states of a recurrent layer.

    >>> first_tensor((None, [torch.ones(2)]))
    tensor([1., 1.])
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, dict):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        return next((found for item in output if (found := first_tensor(item)) is not None), None)
    return None


def calls(model: nn.Module, inputs: Any) -> list[Call]:
    """Return the calls of all modules for a batch, in the order in which they ended: a block after its layers.

    >>> [call.name for call in calls(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.zeros(1, 2, 2))]
    ['0', '1', 'Sequential']
    """
    found: list[Call] = []
    times: Counter[nn.Module] = Counter()
    names = {module: name or type(module).__name__ for name, module in reversed(list(model.named_modules()))}

    def note(module: nn.Module, _: Any, output: Any) -> None:
        tensor = first_tensor(output)
        found.append(Call(names[module], module, times[module], None if tensor is None else tuple(tensor.shape)))
        times[module] += 1

    hooks = [module.register_forward_hook(note) for module in names]
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


@contextmanager
def caught(call: Call, *, entering: bool = False) -> Iterator[list[Tensor]]:
    """Catch the tensor that a call gives (or, ``entering``, gets) while the model runs inside.

    What goes on through the model is a copy, so that a later step in place changes nothing of what was caught.
    """
    caught_here: list[Tensor] = []
    seen = 0

    def note(_: nn.Module, given: Any, output: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen - 1 != call.number:
            return None
        tensor = first_tensor(given if entering else output)
        if tensor is None:
            return None
        caught_here.append(tensor)
        return tensor.clone() if tensor is output else None

    hook = call.module.register_forward_hook(note)
    try:
        yield caught_here
    finally:
        hook.remove()


def is_convolution(module: nn.Module, axes: int = 2) -> bool:
    """Tell whether a module is a convolution over so many axes; over two with a weight [O, I, h, w].

    >>> is_convolution(nn.Conv1d(1, 2, 3)), is_convolution(nn.Conv1d(1, 2, 3), axes=1)
    (False, True)
    """
    return isinstance(module, {1: nn.Conv1d, 2: nn.Conv2d | Correlation2d, 3: nn.Conv3d}[axes])


def weight_of(module: nn.Module) -> Tensor | None:
    """Return a layer's own weight of two axes or more, the first where there are several; None for norms and others."""
    own: list[Any] = [parameter for _, parameter in module.named_parameters(recurse=False)]
    if "weight" in getattr(module, "parametrizations", ()):
        own = [module.weight]
    return next((parameter for parameter in own if parameter.dim() >= 2), None)


def computing(found: Sequence[Call]) -> list[Call]:
    """Return the calls of layers that multiply by weights: convolutions, linear and recurrent layers; no embeddings."""
    return [call for call in found if weight_of(call.module) is not None and not isinstance(call.module, _LOOKS_UP)]


_LOOKS_UP = (nn.Embedding, nn.EmbeddingBag)


def multiply_adds(found: Sequence[Call]) -> int:
    """Return about how many multiplications a batch takes: of each layer its weights times the places they serve."""
    total = 0
    for call in computing(found):
        weight = weight_of(call.module)
        if weight is not None and call.shape is not None:
            places = max(1, int(torch.Size(call.shape).numel()) // max(1, weight.shape[0]))
            total += weight.numel() * places
    return total
