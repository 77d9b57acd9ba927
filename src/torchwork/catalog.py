"""From a name, or ``package.module:attribute``, to a component; its signature is its schema.

A catalog is a dict from a name to ``"module:attribute"``, so that a misspelt name is found without importing what it
names. Options are the component's own parameters, checked against its signature once it is loaded.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from torchwork.types import Finding, InputError

Catalog = Mapping[str, str]
_VERY_NEAR = 0.7


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to ``name``, case aside, or None where none is near.

    >>> nearest("adamw", ["Adam", "AdamW", "SGD"])
    'AdamW'
    """
    folded = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(str(name).lower(), folded, n=1, cutoff=0.55)
    return folded[found[0]] if found else None


def suggestion(name: str, known: Collection[str]) -> str:
    """Return what to say about a name that is not among the known ones: the nearest, or the list where it is short."""
    near = nearest(name, known)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"known: {', '.join(sorted(known))}" if 0 < len(known) <= 40 else ""


def check_name(name: str, catalog: Catalog, kind: str, where: str) -> list[Finding]:
    """Check that a name stands in the catalog or has the form of an import path. Imports nothing."""
    if name in catalog:
        return []
    module, colon, attribute = name.partition(":")
    if colon and attribute and all(part.isidentifier() for part in module.split(".")):
        return []
    if colon:
        return [Finding("import-path", "error", where, f"{name!r} is no import path", "write package.module:attribute")]
    return [
        Finding(
            "unknown-name",
            "error",
            where,
            f"there is no {kind} {name!r}",
            _without_colon(name, catalog) or _of_catalog(name, catalog, kind),
        )
    ]


def _of_catalog(name: str, catalog: Catalog, kind: str) -> str:
    """Return what to say of a name that is not in a catalog; where none is very near, how to see them all.

    >>> _of_catalog("CSV", {"TextCSV": "", "Table": ""}, "source")
    "did you mean 'TextCSV'? torchwork list source shows all"
    """
    said = suggestion(name, catalog.keys())
    if not said:
        return f"see: torchwork list {kind}"
    near = nearest(name, catalog)
    far = near is not None and difflib.SequenceMatcher(None, name.lower(), near.lower()).ratio() < _VERY_NEAR
    return f"{said} torchwork list {kind} shows all" if far else said


def _without_colon(name: str, catalog: Catalog) -> str:
    """Return what to say of a dotted name, as ``torchmetrics.CohenKappa``; nothing of any other."""
    module, dot, attribute = name.rpartition(".")
    if not dot or not all(part.isidentifier() for part in name.split(".")):
        return ""
    return f"did you mean {attribute if attribute in catalog else f'{module}:{attribute}'!r}?"


def load(name: str, catalog: Catalog, kind: str, where: str) -> Any:
    """Import and return the component that a name or import path stands for.

    An import path is looked up from the current directory too, as ``python -m`` would.

    Raises:
        InputError: the name is unknown, the module cannot be imported, or it has no such attribute.
    """
    findings = check_name(name, catalog, kind, where)
    if findings:
        raise InputError(findings)
    path = catalog.get(name, name)
    module_name, _, attribute = path.partition(":")
    if name not in catalog and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        message = f"cannot import {module_name!r}: {error}"
        fix = "name a module that can be imported from here or is installed"
        raise InputError(Finding("import-failed", "error", where, message, fix)) from error
    except Exception as error:  # another's module runs at its import, and may fail in any way
        message = f"importing {module_name!r} fails: {type(error).__name__}: {error}"
        raise InputError(Finding("import-failed", "error", where, message, "mend that module")) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            message = f"{module_name!r} has no {attribute!r}"
            public = [name for name in dir(found) if not name.startswith("_")]
            raise InputError(Finding("no-attribute", "error", where, message, suggestion(part, public)))
        found = getattr(found, part)
    return found


def parameters(component: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class or function by name, without ``self``, with their annotations resolved."""
    try:
        signature = inspect.signature(component)
    except (TypeError, ValueError):
        return {}
    function = component
    if inspect.isclass(component):  # the signature is that of __new__ where the class has one
        function = component.__init__ if component.__new__ is object.__new__ else component.__new__
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # an annotation that names what is not imported: then the option is not checked by type
        hints = {}
    empty = inspect.Parameter.empty
    return {
        name: parameter.replace(annotation=hints.get(name, empty))
        for name, parameter in signature.parameters.items()
        if name != "self"
    }


def check_options(
    component: Any,
    options: Mapping[str, Any],
    where: str,
    *,
    hidden: Mapping[str, str] | None = None,
    supplied: Collection[str] = (),
) -> list[Finding]:
    """Check options against a component's signature and return every mistake.

    Args:
        component: A class or function.
        options: What the user wrote.
        where: The path of the component in the config, for the findings.
        hidden: Parameters that are not the user's to set, with the reason.
        supplied: Parameters that Torchwork passes itself: not required from the user.
    """
    hidden = hidden or {}
    known = parameters(component)
    free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    named = {n: p for n, p in known.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL, p.POSITIONAL_ONLY)}
    title = getattr(component, "__name__", str(component))
    open_names = [n for n in named if n not in hidden and n not in supplied]
    findings = []
    for option, value in options.items():
        at = f"{where}.{option}" if where else option
        if option in hidden:
            findings.append(Finding("hidden-option", "error", at, f"is not set here: {hidden[option]}", "remove it"))
        elif option not in named:
            if not free:
                message = f"{title} has no option {option!r}"
                fix = suggestion(option, open_names) or "remove it"
                findings.append(Finding("unknown-option", "error", at, message, fix))
        elif not fits(value, named[option].annotation):
            expected = describe_type(named[option].annotation)
            findings.append(Finding("wrong-type", "error", at, f"got {value!r}", f"expected {expected}"))
    for name in open_names:
        parameter = named[name]
        if parameter.default is inspect.Parameter.empty and name not in options:
            fix = f"add {name}: {describe_type(parameter.annotation)}"
            findings.append(Finding("missing-option", "error", where, f"{title} needs {name!r}", fix))
    return findings


def convert(component: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with lists made into the tuples and tensors that the signature asks for."""
    known = parameters(component)
    return {
        name: _convert(value, known[name].annotation) if name in known else value for name, value in options.items()
    }


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(a for member in typing.get_args(annotation) for a in _alternatives(member))
    return (annotation,)


def _is_tensor(annotation: Any) -> bool:
    return inspect.isclass(annotation) and annotation.__module__ == "torch" and annotation.__name__ == "Tensor"


def _numbers(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_numbers(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits_sequence(value: Any, origin: Any, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(value, list | tuple):
        return False
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    return not arguments or all(fits(item, arguments[0]) for item in value)


def fits(value: Any, annotation: Any) -> bool:
    """Tell whether a value from a config can stand for a parameter of this annotation.

    A bool is no number, an integer is a float, a list stands for a tuple or a tensor. What is not annotated, or
    annotated with a class that a config cannot hold, is left to the component itself.

    >>> fits(1, float), fits(True, int), fits([1, 2], tuple[int, int]), fits("x", float | None)
    (True, False, True, False)
    """
    if annotation in (inspect.Parameter.empty, Any):
        return True
    choices = _alternatives(annotation)
    if len(choices) > 1:
        return any(fits(value, choice) for choice in choices)
    if annotation in (None, type(None)):
        return value is None
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return value in typing.get_args(annotation)
    if annotation is bool:
        return isinstance(value, bool)
    if annotation in (int, float):
        number = int if annotation is int else int | float
        return isinstance(value, number) and not isinstance(value, bool)
    if annotation is str:
        return isinstance(value, str)
    if _is_tensor(annotation):
        return _numbers(value) or not isinstance(value, str | bool | int | float | list | dict)
    if (origin or annotation) in (list, tuple, Sequence, Iterable):
        return _fits_sequence(value, origin or annotation, typing.get_args(annotation))
    if (origin or annotation) in (dict, Mapping):
        return isinstance(value, Mapping)
    return True


def describe_type(annotation: Any) -> str:
    """Return an annotation in the words of a config.

    >>> describe_type(float | None), describe_type(tuple[int, int])
    ('a number or null', 'a list of 2')
    """
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", type(None): "null"}
    choices = _alternatives(annotation)
    if len(choices) > 1:
        said = [describe_type(choice) for choice in choices]
        return " or ".join(dict.fromkeys(said))
    if annotation in words:
        return words[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(repr(choice) for choice in arguments)
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        return f"a list of {len(arguments)}"
    if (origin or annotation) in (list, tuple, Sequence, Iterable):
        return "a list"
    if _is_tensor(annotation):
        return "a list of numbers"
    return "a value" if annotation is inspect.Parameter.empty else getattr(annotation, "__name__", str(annotation))


def _convert(value: Any, annotation: Any) -> Any:
    if not isinstance(value, list):
        return value
    choices = _alternatives(annotation)
    if any(_is_tensor(choice) for choice in choices):
        import torch

        return torch.tensor(value, dtype=torch.get_default_dtype())
    for choice in choices:
        if (typing.get_origin(choice) or choice) is tuple and fits(value, choice):
            return tuple(value)
    return value


def one_line(component: Any) -> str:
    """Return the first sentence of a component's docstring, on one line."""
    text = inspect.getdoc(component) or ""
    first = " ".join(text.split("\n\n")[0].split()).removeprefix("r").strip()
    sentence, dot, _ = first.partition(". ")
    return sentence + (dot.strip() if dot else "")
