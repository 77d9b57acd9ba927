"""What a model is made of: its layers, their output shapes, parameters, multiply-adds and memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchwork.models.multiply_adds import Meter
from torchwork.models.ownership import HOLDERS

# Both say how a figure is meant, and stand where figures are shown.
COUNTED = (
    "Multiply-adds of one sample in one forward pass: those of convolutions, matrix products, attention and recurrent "
    "layers. Norms, activations, pooling and sums are not counted, nor products of two vectors or elementwise ones."
)
MEMORY = (
    "Memory of weights and buffers, and of the layers' outputs for one batch; views and results in place take none. "
    "Training needs more: gradients, the optimizer's state, and what autograd keeps."
)


def num_parameters(model: nn.Module, *, trainable: bool = False) -> int:
    """Return the number of parameters, or of those that are not frozen. Shared ones count once.

    >>> num_parameters(nn.Linear(3, 2))
    8
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


class Summary(NamedTuple):
    """A model's layers and totals, for a batch of ``batch_size`` samples.

    ``multiply_adds`` are of one sample, None where the model cannot be counted; those that are done outside of all
    ``layers``, in a ``forward`` of the user's, are in it too. Bytes of outputs are of the whole batch.
    """

    layers: list[dict[str, Any]]
    batch_size: int
    parameters: int
    trainable: int
    multiply_adds: int | None
    weight_bytes: int
    output_bytes: int


def summarise(model: nn.Module, inputs: Any) -> Summary:
    """Push one batch through a model and return what its layers are and cost; the model is left as it was.

    Args:
        model: Any module. It is run in evaluation mode, without gradients.
        inputs: [B, ...], or a dict of such: what the model is called with.

    Raises:
        Whatever the model's own ``forward`` raises.

    >>> found = summarise(nn.Sequential(nn.Linear(3, 2)), torch.ones(4, 3))
    >>> found.parameters, found.multiply_adds, found.weight_bytes, found.output_bytes
    (8, 6, 32, 32)
    """
    layers = dict(_layers(model))
    seen = _Seen()
    meter = Meter(list(layers.values()))
    hooks = [layer.register_forward_hook(seen.note) for layer in layers.values()]
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            counted = meter.run(model, inputs, seen.calls.clear)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
    batch = _batch_size(inputs)
    rank = {layer: index for index, layer in enumerate(seen.calls)}
    ordered = sorted(layers.items(), key=lambda item: rank.get(item[1], len(rank)))
    known: set[Tensor] = set()
    rows = []
    for name, layer in ordered:
        work = _each(meter.of(layer), batch) if counted is not None and layer in rank else None
        rows.append(_row(name, layer, seen.calls.get(layer, _Calls()), work, known))
    return Summary(
        rows,
        batch,
        num_parameters(model),
        num_parameters(model, trainable=True),
        None if counted is None else _each(counted, batch),
        sum(row["weight_bytes"] for row in rows),
        sum(row["output_bytes"] for row in rows),
    )


def layer_table(model: nn.Module, inputs: Any) -> list[dict[str, Any]]:
    """Push one batch through the model and return a row a layer, in the order of their calls.

    A layer is a module without modules of its own, or one that owns parameters. Layers that the batch did not reach
    come last, with ``output_shape`` None. The model is run in evaluation mode, without gradients, and left as it was.

    Returns:
        Rows with ``name``, ``type``, ``output_shape`` (with the batch axis), ``calls`` (in one forward pass; the shape
        is of the first), ``parameters``, ``trainable`` (those that are not frozen), ``multiply_adds`` (of one sample,
        all calls, without those of layers inside; None where not counted), ``weight_bytes`` (with buffers) and
        ``output_bytes`` (of the batch). Over all rows the parameters sum up to ``num_parameters(model)``.

    >>> [(row["name"], row["output_shape"]) for row in layer_table(nn.Sequential(nn.Linear(3, 2)), torch.ones(4, 3))]
    [('0', [4, 2])]
    """
    return summarise(model, inputs).layers


class _Calls:
    """What a layer gave back: the shape of its first output, how often it was called, the bytes of new memory."""

    def __init__(self) -> None:
        self.shape: list[int] | None = None
        self.count = 0
        self.bytes = 0


class _Seen:
    """The calls of each layer, in the order of their first ones."""

    def __init__(self) -> None:
        self.calls: dict[nn.Module, _Calls] = {}

    def note(self, layer: nn.Module, inputs: Any, output: Any) -> None:
        """Look at an output; what shares memory with the layer's input (a view, a result in place) takes none."""
        call = self.calls.setdefault(layer, _Calls())
        outputs = list(_tensors(output))
        if call.count == 0:
            call.shape = list(outputs[0].shape) if outputs else None
        call.count += 1
        before = {_place(tensor) for tensor in _tensors(inputs)}
        call.bytes += sum(t.numel() * t.element_size() for t in outputs if _place(t) not in before)


def _place(tensor: Tensor) -> Any:
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else id(tensor)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | tuple | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


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


def _row(name: str, layer: nn.Module, calls: _Calls, work: int | None, known: set[Tensor]) -> dict[str, Any]:
    own = [parameter for parameter in _own(layer) if parameter not in known]
    buffers = [buffer for buffer in layer.buffers(recurse=False) if buffer not in known]
    known.update(own, buffers)
    return {
        "name": name,
        "type": type(layer).__name__,
        "output_shape": calls.shape,
        "calls": calls.count,
        "parameters": sum(p.numel() for p in own),
        "trainable": sum(p.numel() for p in own if p.requires_grad),
        "multiply_adds": work,
        "weight_bytes": sum(t.numel() * t.element_size() for t in (*own, *buffers)),
        "output_bytes": calls.bytes,
    }


def _batch_size(inputs: Any) -> int:
    first = next(_tensors(inputs), None)
    return len(first) if first is not None and first.ndim else 1


def _each(count: int, batch: int) -> int:
    """Return the part of one sample; of ragged ones the mean, rounded."""
    return round(count / batch)
