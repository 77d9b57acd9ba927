"""The layers of a model as a table, and what a model is in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torchwork.report.facts import Facts
from torchwork.report.figures import figure, nbytes, number

MOST_ROWS = 1000
_FURTHER = {
    "calls": "calls",
    "multiply_adds": "multiply-adds",
    "weight_bytes": "weights",
    "output_bytes": "outputs",
}
_NOTES = {
    "multiply_adds": "Multiply-adds are those of one sample in one forward pass.",
    "weight_bytes": "The memory of weights is that of parameters and buffers.",
    "output_bytes": "The memory of outputs is that of one batch; training keeps more: gradients and optimizer state.",
}


class Cell(NamedTuple):
    """A number with its unit as it is read, and the bare number that it is sorted by; empty where there is none."""

    text: str
    value: float | str


def said(facts: Facts) -> str:
    """Return what the model is, as one sentence; empty where nothing is on record."""
    model = facts.model
    if not model:
        return ""
    parameters, trained = model.get("parameters"), model.get("trainable")
    of_them = "all" if parameters == trained else figure(trained)
    parts = [f"{model.get('model', 'A model')}: {figure(parameters)} parameters, {of_them} of them trained"]
    if number(model.get("multiply_adds")) is not None:
        parts.append(f"{figure(model['multiply_adds'])} multiply-adds a sample")
    weights, outputs = number(model.get("weight_bytes")), number(model.get("output_bytes"))
    if weights is not None:
        parts.append(f"{nbytes(weights)} of weights")
    if outputs is not None:
        parts.append(f"{nbytes(outputs)} of outputs for a batch of {figure(model.get('batch_size'))}")
    return "; ".join(parts) + "."


def table(facts: Facts) -> tuple[list[str], list[list[str | Cell]], list[str]]:
    """Return the further columns, a row a layer (name, type, output shape, parameters, then these), and the notes.

    From the parameters on they are cells.
    """
    listed = facts.model.get("layers")
    layers = [layer for layer in listed if isinstance(layer, Mapping)] if isinstance(listed, list) else []
    further = [key for key in _FURTHER if any(number(layer.get(key)) for layer in layers)]
    if all(layer.get("calls") == 1 for layer in layers):
        further = [key for key in further if key != "calls"]
    rows = [[*_first(layer), *(_amount(key, layer.get(key)) for key in further)] for layer in layers]
    return [_FURTHER[key] for key in further], rows, [_NOTES[key] for key in further if key in _NOTES]


def _first(layer: Mapping[str, Any]) -> list[str | Cell]:
    shape, parameters = layer.get("output_shape"), layer.get("parameters")
    size = " × ".join(map(str, shape)) if isinstance(shape, list | tuple) else str(shape or "–")
    frozen = " (frozen)" if parameters and not layer.get("trainable", True) else ""
    amount = Cell(f"{figure(parameters)}{frozen}", _bare(parameters))
    return [str(layer.get("name", "")), str(layer.get("type", "")), size, amount]


def _amount(key: str, value: Any) -> Cell:
    amount = number(value)
    text = nbytes(amount) if amount is not None and key.endswith("bytes") else figure(value)
    return Cell(text, _bare(value))


def _bare(value: Any) -> float | str:
    amount = number(value)
    return "" if amount is None else amount
