"""From the ``model`` section of a config to a model that fits the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from torchwork import catalog, rng
from torchwork.models import MODELS
from torchwork.models.seeding import seeded
from torchwork.types import Finding, InputError


def build(
    spec: Mapping[str, Any],
    *,
    input_shape: tuple[int, ...],
    num_outputs: int,
    seed: int,
    where: str = "model",
) -> nn.Module:
    """Return the model that a component names, with what follows from the data filled in.

    A factory that has a parameter ``in_channels``, ``in_features``, ``input_shape``, ``image_size``, ``num_classes``
    or ``out_features`` gets it from the data, unless the user gave it. The start values are drawn from ``seed`` alone;
    no global generator is touched.

    Args:
        spec: ``name`` (of the catalog, or ``package.module:attribute``) and options.
        input_shape: Shape of one sample.
        num_outputs: Outputs a sample: classes, or numbers to predict.
        seed: The run's seed.
        where: The path of the component, for the findings.

    Raises:
        InputError: the name or an option is wrong, the data do not suit the model, or it cannot be built.

    >>> build({"name": "LeNet"}, input_shape=(1, 28, 28), num_outputs=10, seed=0).fc1
    Linear(in_features=400, out_features=120, bias=True)
    """
    name, options = spec["name"], {key: value for key, value in spec.items() if key != "name"}
    factory = catalog.load(name, MODELS, "model", where)
    known = catalog.parameters(factory)
    data = from_data(tuple(input_shape), num_outputs)
    supplied = {key: value for key, value in data.items() if key in known and key not in options}
    findings = catalog.check_options(factory, options, where, supplied=data.keys())
    findings += _unsuitable(name, known.keys() - options.keys(), tuple(input_shape), where)
    if name in MODELS:
        findings += _contradictions(options, data, where)
    if findings:
        raise InputError(findings)
    with seeded(rng.seed(seed, "model")):
        return _construct(factory, {**supplied, **catalog.convert(factory, options)}, name, where)


def from_data(input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Any]:
    """Return what the data say about a model's parameters, by the names that model factories use.

    >>> from_data((3, 32, 32), 10)["in_features"]
    3072
    """
    known: dict[str, Any] = {
        "input_shape": input_shape,
        "in_features": math.prod(input_shape),
        "num_classes": num_outputs,
        "out_features": num_outputs,
    }
    if len(input_shape) > 1:
        known["in_channels"] = input_shape[0]
    if len(input_shape) == 3:
        known["image_size"] = input_shape[1:]
    return known


def _unsuitable(name: str, open_parameters: set[str], input_shape: tuple[int, ...], where: str) -> list[Finding]:
    needs_image = "image_size" in open_parameters and len(input_shape) != 3
    needs_channels = "in_channels" in open_parameters and len(input_shape) < 2
    if not (needs_image or needs_channels):
        return []
    message = f"{name} works on samples of shape [channels, height, width], these have the shape {list(input_shape)}"
    return [Finding("unsuitable-model", "error", where, message, "take a model for such data, as MLP")]


def _contradictions(options: Mapping[str, Any], data: Mapping[str, Any], where: str) -> list[Finding]:
    findings = []
    for option in ("in_channels", "in_features", "input_shape", "image_size"):
        if option not in options or option not in data:
            continue
        got, found = options[option], data[option]
        if option == "image_size" and isinstance(got, int):
            got = (got, got)
        if (tuple(got) if isinstance(got, list) else got) != found:
            message = f"got {options[option]!r}, but the data have {found!r}"
            fix = "leave it out: it follows from the data"
            findings.append(Finding("contradicts-data", "error", f"{where}.{option}", message, fix))
    return findings


def _construct(factory: Callable[..., Any], arguments: dict[str, Any], name: str, where: str) -> nn.Module:
    try:
        model = factory(**arguments)
    except InputError as error:
        inside = [replace(f, where=f"{where}.{f.where}" if f.where else where) for f in error.findings]
        raise InputError(inside) from error
    except Exception as error:
        message = f"{name} could not be built: {type(error).__name__}: {error}"
        raise InputError(Finding("model-failed", "error", where, message, "correct its options")) from error
    if not isinstance(model, nn.Module):
        message = f"{name} gives a {type(model).__name__}"
        fix = "name a class or function that returns a torch.nn.Module"
        raise InputError(Finding("no-module", "error", where, message, fix))
    return model
