"""The options of every component, read from its signature: for ``torchwork list`` and for the JSON schema."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchwork import catalog
from torchwork.config import components

MISSING = inspect.Parameter.empty

_FROM_WHAT_IT_GETS = (
    *("in_features", "in_channels", "num_features", "num_channels", "normalized_shape"),
    "num_embeddings",
)
_OF_THE_LAST_LAYER = ("out_features", "out_channels")  # follow from the data, but only there

# What Torchwork passes or decides itself, by kind of component.
_NOT_THE_USERS = {
    "model": (
        *("input_shape", "in_features", "in_channels", "image_size", "num_embeddings"),
        *("num_classes", "out_features"),
    ),
    "init": ("tensor", "generator"),
    "layer": ("device", "dtype", *_FROM_WHAT_IT_GETS),
    "loss": ("reduction", "reduce", "size_average"),
    "optimizer": ("params", "foreach", "differentiable"),
    "schedule": ("optimizer", "last_epoch", "T_max"),
    "log": ("job",),
    "metric": ("task", "num_classes", "num_labels", "num_outputs"),
    "task": (
        *("criterion", "classes", "target_names", "labels", "symbols", "companions", "num_outputs"),
        *("mining", "given", "raw"),
    ),
}

# Of these kinds, what Torchwork passes may be set as well. What follows from where:
FOLLOWS = {
    "model": "from the data",
    "layer": "from what it gets",
    "schedule": "from the run's length",
    "metric": "from the data",
}
_SETTABLE = (
    *("input_shape", "image_size", "num_classes", "out_features", "T_max", "task", "num_labels"),
    *_FROM_WHAT_IT_GETS,
)


@dataclass(frozen=True)
class Option:
    """An option of a component; ``default`` is MISSING where it has to be given."""

    name: str
    annotation: Any
    default: Any


@dataclass(frozen=True)
class Described:
    """A component, in a line, with its options; ``free`` where it takes any others as well."""

    name: str
    line: str
    options: tuple[Option, ...]
    follows: tuple[Option, ...]
    free: bool


_SCHEDULE = (Option("every", typing.Literal["epoch", "step"], None), Option("warmup_steps", int, 0))
_OPTIMIZER = (Option("groups", list, None), Option("match", str, None))


def _ours(kind: str) -> tuple[Option, ...]:
    """Return the options that Torchwork itself adds to every component of a kind."""
    if kind == "model":
        from torchwork.models.build import OWN_OPTIONS

        return tuple(Option(name, annotation, None) for name, annotation in OWN_OPTIONS.items())
    return {"schedule": _SCHEDULE, "optimizer": _OPTIMIZER}.get(kind, ())


def describe(kind: str) -> list[Described]:
    """Describe every component of a kind. Imports them all."""
    return [_describe(kind, name) for name in components.names(kind)]


def _describe(kind: str, name: str) -> Described:
    if kind == "metric" and importlib.util.find_spec("torchmetrics") is None:
        return Described(name, "A metric of torchmetrics: pip install 'torchwork[torchmetrics]'.", (), (), free=True)
    component = catalog.load(name, components.names(kind), kind, kind)
    known = catalog.parameters(component)
    aside = _NOT_THE_USERS.get(kind, ())
    plain = [p for p in known.values() if _is_named(p)]
    options = [Option(p.name, p.annotation, p.default) for p in plain if p.name not in aside]
    follows = [Option(p.name, p.annotation, p.default) for p in plain if p.name in aside and p.name in _SETTABLE]
    free = any(p.kind is p.VAR_KEYWORD for p in known.values())
    return Described(name, one_line(component), (*options, *_ours(kind)), tuple(follows), free)


def _is_named(parameter: inspect.Parameter) -> bool:
    named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return named and not parameter.name.startswith("_")


def one_line(component: Any) -> str:
    """Return the first sentence of a component's own docstring as plain text.

    >>> one_line(type("A", (), {"__doc__": "Fill the :class:`~torch.Tensor` with\\n  ``1``. And more."}))
    'Fill the Tensor with 1.'
    """
    paragraphs = inspect.cleandoc(component.__doc__ or "").split("\n\n")
    text = next(
        (said for said in paragraphs if not said.startswith("__init__(")), ""
    )  # torch's LSTM opens with its own
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?([^`<]*?)(?:\s*<[^`]*>)?`", r"\1", text)
    text = re.sub(r"\\[a-z]+\{([^}]*)\}", r"\1", text)
    text = " ".join(text.replace("`", "").split())
    sentence = re.match(r".*?\.(?=\s|$)", text)
    line = (sentence.group() if sentence else text).rstrip(":")
    return line if len(line) <= 160 else f"{line[:157]}..."


def value_text(value: Any) -> str:
    """Return a default as a config would hold it.

    >>> value_text((0.9, 0.999)), value_text(None), value_text("a"), value_text(len)
    ('[0.9, 0.999]', 'null', 'a', 'len')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    try:
        return json.dumps(value)
    except TypeError:
        return str(getattr(value, "__name__", value))


def print_schema() -> None:
    """Print the JSON schema of a config, with the options of every component."""
    from torchwork.config import schema

    kinds = [kind for kind in components.CATALOGS if kind != "task"]
    described = {kind: {found.name: _as_schema(found) for found in describe(kind)} for kind in kinds}
    print(json.dumps(schema(described), indent=2, ensure_ascii=False))


def _as_schema(component: Described) -> dict[str, Any]:
    options = [*component.options, *component.follows]
    found: dict[str, Any] = {
        "description": component.line,
        "properties": {option.name: _option_schema(option) for option in options},
        "required": [
            option.name
            for option in component.options
            if option.default is MISSING and option.name not in _OF_THE_LAST_LAYER
        ],
    }
    if not component.free:
        found["additionalProperties"] = False
    return found


def _option_schema(option: Option) -> dict[str, Any]:
    found = type_schema(option.annotation)
    if option.default is MISSING or option.default is None:
        return found
    try:
        json.dumps(option.default, allow_nan=False)
    except (TypeError, ValueError):
        return found
    return {**found, "default": option.default}


_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", None: "null"}


def type_schema(annotation: Any) -> dict[str, Any]:
    """Return the JSON schema of what a config may give for a parameter of this annotation.

    >>> type_schema(float | None)
    {'anyOf': [{'type': 'number'}, {'type': 'null'}]}
    """
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        found = [type_schema(argument) for argument in arguments]
        return {} if {} in found else {"anyOf": [choice for i, choice in enumerate(found) if choice not in found[:i]]}
    if annotation in _SIMPLE:
        return {"type": _SIMPLE[annotation]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (list, tuple, Sequence, Iterable):
        items = [type_schema(argument) for argument in arguments if argument is not ...]
        same = items and all(item == items[0] for item in items)
        return {"type": "array", "items": items[0]} if same else {"type": "array"}
    if origin in (dict, Mapping):
        return {"type": "object"}
    return {}
