"""A model from a list of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from torchwork import catalog
from torchwork.models import LAYERS, named_layer
from torchwork.models.shapes import output_shape
from torchwork.types import Finding, InputError

OUTPUTS = ("out_features", "out_channels")


def sequential(
    layers: Sequence[str | Mapping[str, Any]],
    input_shape: tuple[int, ...],
    out_features: int,
    num_embeddings: int | None = None,
) -> nn.Sequential:
    """Layers of ``torch.nn`` by name, one after the other.

    What follows from the data may be left out: ``in_features``, ``in_channels``, ``num_features``, ``num_channels``,
    ``normalized_shape`` of any layer, from the shape that reaches it; ``out_features`` or ``out_channels`` of the last
    layer that has one, which is the number of outputs; for texts, ``num_embeddings`` of a layer that looks tokens up.

    Shapes: [B, *input_shape] to what the last layer gives.

    Args:
        layers: Each a name from the catalog of layers, a ``package.module:attribute``, or a mapping with ``name``
            and the layer's options.
        input_shape: Shape of one sample.
        out_features: Outputs a sample.
        num_embeddings: How many different tokens texts are made of; null where the samples are no texts.

    Raises:
        InputError: the list is empty, a name or an option is wrong, or a layer cannot take what the one before gives.

    >>> convolution = {"name": "Conv2d", "out_channels": 4, "kernel_size": 3}
    >>> sequential([convolution, "ReLU", "Flatten", "Linear"], (1, 8, 8), 10)
    Sequential(
      (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))
      (1): ReLU()
      (2): Flatten(start_dim=1, end_dim=-1)
      (3): Linear(in_features=144, out_features=10, bias=True)
    )
    """
    if not layers:
        raise InputError(Finding("wrong-value", "error", "layers", "the list is empty", "name at least one layer"))
    _check_names(layers)
    last = _last_with_outputs(layers)
    made: list[nn.Module] = []
    shape = tuple(input_shape)
    for index, spec in enumerate(layers):
        where = f"layers[{index}]"
        supplied = _from_shape(shape) | ({} if num_embeddings is None else {"num_embeddings": num_embeddings})
        if index == last:
            supplied |= dict.fromkeys(OUTPUTS, out_features)
        layer = named_layer.make(spec, where, supplied)
        shape = _shape_after(layer, shape, where)
        made.append(layer)
    return nn.Sequential(*made)


def _check_names(layers: Sequence[str | Mapping[str, Any]]) -> None:
    findings = []
    for index, spec in enumerate(layers):
        where = f"layers[{index}]"
        try:
            name, _ = named_layer.read(spec, where)
        except InputError as error:
            findings += error.findings
        else:
            findings += catalog.check_name(name, LAYERS, "layer", where)
    if findings:
        raise InputError(findings)


def _last_with_outputs(layers: Sequence[str | Mapping[str, Any]]) -> int | None:
    for index in reversed(range(len(layers))):
        name, _ = named_layer.read(layers[index], "")
        if any(output in catalog.parameters(catalog.load(name, LAYERS, "layer", "")) for output in OUTPUTS):
            return index
    return None


def _from_shape(shape: tuple[int, ...]) -> dict[str, Any]:
    if not shape:
        return {}
    channels = dict.fromkeys(("in_channels", "num_features", "num_channels"), shape[0])
    return {**channels, "in_features": shape[-1], "normalized_shape": list(shape)}


def _shape_after(layer: nn.Module, shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    name = type(layer).__name__
    try:
        return output_shape(layer, shape)
    except TypeError as error:
        fix = "Sequential passes one tensor on; the model LSTM, or a module of your own, handles more"
        raise InputError(Finding("layer-output", "error", where, str(error), fix)) from error
    except (RuntimeError, ValueError, IndexError) as error:
        message = f"{name} cannot take samples of shape {list(shape)}: {error}"
        fix = "change this layer's options or the layers before it"
        raise InputError(Finding("layer-input", "error", where, message, fix)) from error
