"""A layer of ``torch.nn``, or of one's own, from its name and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from torchwork import catalog
from torchwork.models import LAYERS
from torchwork.types import Finding, InputError

HIDDEN = {
    "device": "Torchwork decides it, from the top-level device",
    "dtype": "Torchwork decides it, from train.precision",
}

Spec = str | Mapping[str, Any]


def read(spec: Spec, where: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of a component that is a bare name or a mapping with ``name``.

    Raises:
        InputError: it is neither.
    """
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and isinstance(spec.get("name"), str):
        return spec["name"], {key: value for key, value in spec.items() if key != "name"}
    message = f"got {spec!r}"
    raise InputError(
        Finding("wrong-type", "error", where, message, "expected a name, or a mapping with name and options")
    )


def make(spec: Spec, where: str, supplied: Mapping[str, Any] | None = None) -> nn.Module:
    """Return a layer by name, from the catalog of layers or an import path.

    ``supplied`` holds what is known about the data: each value is passed on where the layer has a parameter of that
    name which the options leave out.

    >>> make({"name": "Linear", "out_features": 3}, "model.layers[0]", {"in_features": 8})
    Linear(in_features=8, out_features=3, bias=True)

    Raises:
        InputError: the name is unknown, an option is wrong, or the layer refuses its options.
    """
    name, options = read(spec, where)
    factory = catalog.load(name, LAYERS, "layer", where)
    known = catalog.parameters(factory)
    given = {key: value for key, value in (supplied or {}).items() if key in known and key not in options}
    findings = catalog.check_options(factory, options, where, hidden=HIDDEN, supplied=given.keys())
    if findings:
        raise InputError(findings)
    try:
        layer = factory(**given, **catalog.convert(factory, options))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(Finding("layer-failed", "error", where, f"{name} refuses its options: {error}")) from error
    if not isinstance(layer, nn.Module):
        message = f"{name} gives a {type(layer).__name__}"
        raise InputError(Finding("no-module", "error", where, message, "name something that returns a torch.nn.Module"))
    return layer


def make_last(spec: Spec | None, where: str = "output_activation") -> nn.Module | None:
    """Return the activation that a model ends in, over the last axis where it says no other; None where there is none.

    >>> make_last("LogSoftmax")
    LogSoftmax(dim=-1)

    Raises:
        InputError: as ``make``.
    """
    return None if spec is None else make(spec, where, {"dim": -1})
