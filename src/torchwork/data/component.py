"""From a component of the config to an object, with every mistake in its options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from inspect import isclass
from typing import Any

from torchwork import catalog
from torchwork.types import Finding, InputError


def options_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a component: all but its name."""
    return {name: value for name, value in spec.items() if name != "name"}


def below(findings: Collection[Finding], where: str) -> list[Finding]:
    """Return findings whose places are options, placed below a component.

    >>> [str(f) for f in below([Finding("missing-path", "error", "root", "is not there")], "data.source")]
    ['data.source.root: is not there']
    """
    return [replace(f, where=".".join(part for part in (where, f.where) if part)) for f in findings]


def construct(
    spec: Mapping[str, Any], names: catalog.Catalog, kind: str, where: str, *, supplied: Collection[str] = ()
) -> tuple[Any, list[Finding]]:
    """Build a component from its name and options; return it, or None and what is wrong.

    A constructor says what it does not like by InputError (placed by option), ValueError or OSError.
    """
    try:
        component = catalog.load(spec["name"], names, kind, where)
    except InputError as error:
        return None, error.findings
    return call(component, options_of(spec), where, supplied=supplied)


def call(
    component: Callable[..., Any], options: Mapping[str, Any], where: str, *, supplied: Collection[str] = ()
) -> tuple[Any, list[Finding]]:
    """Call a class or function with options; return what it gives, or None and what is wrong.

    With ``supplied`` parameters a function is not called but bound: the caller gives those later.
    """
    findings = catalog.check_options(component, options, where, supplied=supplied)
    if findings:
        return None, findings
    given = catalog.convert(component, options)
    if supplied and not isclass(component):
        return partial(component, **given), []
    try:
        return component(**given), []
    except InputError as error:
        return None, below(error.findings, where)
    except ValueError as error:
        return None, [Finding("wrong-value", "error", where, str(error))]
    except OSError as error:
        return None, [Finding("cannot-read", "error", where, str(error), "give a path that is there and can be read")]
