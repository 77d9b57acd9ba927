"""The shape that a layer gives, without running it."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call

_INTEGER_INPUTS = (nn.Embedding, nn.EmbeddingBag)


def output_shape(layer: nn.Module, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a layer's output for one sample; both shapes are without the batch axis.

    Nothing is computed: only shapes go through the layer, on torch's meta device. For convolutions and pooling this is
    ``floor((size + 2 padding − dilation (kernel − 1) − 1) / stride) + 1`` along each side.

    >>> output_shape(nn.Conv2d(1, 1, (3, 5), padding=(0, 1), stride=(3, 4)), (1, 8, 8))
    (1, 2, 2)

    Raises:
        RuntimeError, ValueError: the layer cannot take such an input.
        TypeError: the layer's output is no tensor.
    """
    state = {name: torch.empty_like(value, device="meta") for name, value in _state(layer)}
    dtype = torch.int64 if isinstance(layer, _INTEGER_INPUTS) else _dtype(layer)
    samples = torch.empty((2, *input_shape), dtype=dtype, device="meta")  # batch norm refuses a batch of one
    with torch.no_grad():
        output = functional_call(layer, state, (samples,))
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"{type(layer).__name__} gives a {type(output).__name__}, no tensor")
    shape = tuple(output.shape[1:])
    if 0 in shape and 0 not in input_shape:  # the meta device is less strict here than the others
        raise ValueError(f"nothing is left: the output has the shape {list(shape)}")
    return shape


def _state(layer: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*layer.named_parameters(remove_duplicate=False), *layer.named_buffers(remove_duplicate=False)]


def _dtype(layer: nn.Module) -> torch.dtype:
    found = (p.dtype for p in layer.parameters() if p.is_floating_point())
    return next(found, torch.get_default_dtype())
