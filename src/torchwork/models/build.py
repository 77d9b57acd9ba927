"""From the ``model`` section of a config to a model that fits the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from torch import nn

from torchwork import catalog, rng
from torchwork.models import MODELS, freeze, image_size, weights
from torchwork.models.seeding import seeded
from torchwork.types import Finding, InputError

# Options of every model, unless its factory has a parameter of that name itself.
OWN_OPTIONS: dict[str, Any] = {"weights": str, "freeze": str | list[str]}
_EXPECTED = {"weights": "the path of a file", "freeze": "a pattern for parameter names, or a list of such"}

# Factories of these packages take what the data say as **keywords.
_KEYWORDS = {
    "torchvision": {"num_classes": "num_classes"},
    "timm": {"num_classes": "num_classes", "in_chans": "in_channels"},
}


class Built(NamedTuple):
    """A model, and what there is to say about how it came to be (none of it an error)."""

    model: nn.Module
    findings: list[Finding]


def build(
    spec: Mapping[str, Any],
    *,
    input_shape: tuple[int, ...],
    num_outputs: int,
    seed: int,
    where: str = "model",
    pretrained: bool = True,
    num_tokens: int | None = None,
) -> nn.Module:
    """Return the model of `assemble`, without its findings.

    >>> build({"name": "LeNet"}, input_shape=(1, 28, 28), num_outputs=10, seed=0).fc1
    Linear(in_features=400, out_features=120, bias=True)
    """
    return assemble(
        spec,
        input_shape=input_shape,
        num_outputs=num_outputs,
        seed=seed,
        where=where,
        pretrained=pretrained,
        num_tokens=num_tokens,
    ).model


def assemble(
    spec: Mapping[str, Any],
    *,
    input_shape: tuple[int, ...],
    num_outputs: int,
    seed: int,
    where: str = "model",
    pretrained: bool = True,
    num_tokens: int | None = None,
) -> Built:
    """Return the model that a component names, with what follows from the data filled in, and findings about it.

    A factory that has a parameter ``in_channels``, ``in_features``, ``input_shape``, ``image_size``, ``num_classes``,
    ``out_features`` or, where the samples are tokens of texts, ``num_embeddings`` gets it from the data, unless the
    user gave it. The start values are drawn from ``seed`` alone; no global generator is touched. Two options are
    Torchwork's own, unless the factory has parameters of these names: ``weights``, a file to load (see
    `torchwork.models.weights`), and ``freeze``, patterns for the names of parameters that stay as they are (see
    `torchwork.models.freeze`). With ``weights``, a model with a parameter ``transform_input`` gets it as true, as
    torchvision does.

    Args:
        spec: ``name`` (of the catalog, or ``package.module:attribute``) and options.
        input_shape: Shape of one sample.
        num_outputs: Outputs a sample: classes, or numbers to predict.
        seed: The run's seed.
        where: The path of the component, for the findings.
        pretrained: False leaves the file of ``weights`` unread, for a model whose weights come from a checkpoint.
        num_tokens: How many different tokens texts are made of; None where the samples are no texts.

    Raises:
        InputError: the name or an option is wrong, the data do not suit the model, it cannot be built, its weights do
            not fit, or a pattern of ``freeze`` matches nothing.
    """
    name, options = spec["name"], {key: value for key, value in spec.items() if key != "name"}
    factory = catalog.load(name, MODELS, "model", where)
    known = catalog.parameters(factory)
    own = {key: options.pop(key) for key in OWN_OPTIONS if key in options and key not in known}
    data = from_data(tuple(input_shape), num_outputs, num_tokens)
    findings = _check_own(own, where) + _check(name, factory, options, data, where)
    if findings:
        raise InputError(findings)
    supplied = _supplied(name, known, options, data)
    if own.get("weights") is not None and "transform_input" in known.keys() - options.keys():
        supplied["transform_input"] = True
    with seeded(rng.seed(seed, "model")):
        model = _construct(factory, {**supplied, **catalog.convert(factory, options)}, name, where)
    said: list[Finding] = []
    if pretrained and own.get("weights") is not None:
        outputs = options.get("num_classes", options.get("out_features", num_outputs))
        said = weights.load(model, own["weights"], num_outputs=outputs, where=f"{where}.weights")
    if patterns := own.get("freeze"):
        freeze.freeze(model, [patterns] if isinstance(patterns, str) else patterns, f"{where}.freeze")
    return Built(model, said)


def _check(
    name: str,
    factory: Callable[..., Any],
    options: Mapping[str, Any],
    data: Mapping[str, Any],
    where: str,
) -> list[Finding]:
    known, shape = catalog.parameters(factory), data["input_shape"]
    if name in MODELS and "num_embeddings" in data and "num_embeddings" not in known:
        fix = "take a model that begins with an embedding: TextCNN, LSTM or Sequential"
        return [Finding("unsuitable-model", "error", where, f"{name} takes numbers, and texts are tokens", fix)]
    findings = catalog.check_options(factory, options, where, supplied=data.keys())
    findings += _unsuitable(name, known.keys() - options.keys(), shape, where)
    if name in MODELS:
        findings += _contradictions(options, data, where)
        findings += [replace(finding, where=where) for finding in image_size.check_family(name, options, shape)]
    return findings


def _check_own(own: Mapping[str, Any], where: str) -> list[Finding]:
    return [
        Finding("wrong-type", "error", f"{where}.{key}", f"got {value!r}", f"expected {_EXPECTED[key]}")
        for key, value in own.items()
        if value is not None and not catalog.fits(value, OWN_OPTIONS[key])
    ]


def _supplied(
    name: str, known: Mapping[str, Any], options: Mapping[str, Any], data: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the factory gets from the data."""
    supplied = {key: value for key, value in data.items() if key in known and key not in options}
    package = name.partition(":")[0].partition(".")[0]
    takes_more = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    if name in MODELS or not takes_more or options.get("weights") is not None:
        return supplied  # torchvision's own weights decide the number of classes
    keywords = {key: data[source] for key, source in _KEYWORDS.get(package, {}).items() if source in data}
    return {**supplied, **{key: value for key, value in keywords.items() if key not in options}}


def from_data(input_shape: tuple[int, ...], num_outputs: int, num_tokens: int | None = None) -> dict[str, Any]:
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
    if num_tokens is not None:
        known["num_embeddings"] = num_tokens
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
    for option in ("in_channels", "in_features", "input_shape", "image_size", "num_embeddings"):
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
