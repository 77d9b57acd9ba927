"""The JSON Schema of a config, with which an editor completes and checks one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchwork.config import components
from torchwork.config.sections import Config

IMPORT_PATH = {
    "type": "string",
    "pattern": r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$",
    "description": "Your own: package.module:attribute.",
}

Options = Mapping[str, Any]
"""The JSON schemas of a component's options by name; the key "" holds the component's own one line."""


def schema(options: Mapping[str, Mapping[str, Options]] | None = None) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config.

    Args:
        options: By kind and name of component, the schemas of its options; without it, only the names are in the
            schema, and any options are allowed. (To know the options, torch has to be imported.)

    >>> schema()["properties"]["data"]["title"]
    'Data'
    """
    options = options or {}
    found = Config.model_json_schema()
    definitions = found.pop("$defs")
    for section in (found, *definitions.values()):
        section["additionalProperties"] = False
        for key, description in section["properties"].items():
            _describe(key, description)
    definitions |= {kind: _component(kind, options.get(kind, {})) for kind in components.CATALOGS if kind != "task"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Torchwork config",
        **{key: value for key, value in found.items() if key != "title"},
        "$defs": definitions,
    }


def _describe(key: str, description: dict[str, Any]) -> None:
    """Give a key its title, and a component the form that the loader takes it in. Changes ``description``."""
    title = key.replace("_", " ").capitalize()
    kind, form = description.pop("component", None), description.pop("form", None)
    if kind is not None:
        kept: dict[str, Any] = {name: description[name] for name in ("description", "default") if name in description}
        description.clear()
        description |= {**kept, **_form(kind, form, kept)}
    description["title"] = title


def _form(kind: str, form: str, kept: dict[str, Any]) -> dict[str, Any]:
    one = {"$ref": f"#/$defs/{kind}"}
    many = {"type": "array", "items": one}
    if form == "name":
        return {"anyOf": [{"enum": list(components.names(kind))}, IMPORT_PATH, {"type": "null"}]}
    if form == "list":
        return {"anyOf": [many, {"type": "null"}]}
    if form == "one or list":
        return {"anyOf": [one, many]}
    if form == "map":
        of_parameters = {"type": "object", "not": {"required": ["name"]}, "additionalProperties": one}
        return {"type": ["object", "null"], "additionalProperties": {"anyOf": [one, of_parameters]}}
    return {"anyOf": [one, {"type": "null"}]} if "default" in kept else one


def _component(kind: str, options: Mapping[str, Options]) -> dict[str, Any]:
    names = list(components.names(kind))
    bare: dict[str, Any] = {"type": "string", "enum": names}
    lines = [options.get(name, {}).get("", "") for name in names]
    if any(lines):
        bare["enumDescriptions"] = lines
    nested = {option: inner for (outer, option), inner in components.NESTED.items() if outer == kind}
    properties = {option: {"type": "array", "items": {"$ref": f"#/$defs/{inner}"}} for option, inner in nested.items()}
    mapping: dict[str, Any] = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"anyOf": [bare, IMPORT_PATH]}, **properties},
    }
    rules = [_rule(name, {**options[name], **properties}) for name in names if name in options]
    if rules:
        mapping["allOf"] = rules
    return {"title": kind.capitalize(), "anyOf": [bare, IMPORT_PATH, mapping]}


def _rule(name: str, options: Options) -> dict[str, Any]:
    """For this name, these options and no others; "*" among them means any."""
    known = {option: described for option, described in options.items() if option not in ("", "*")}
    then: dict[str, Any] = {"properties": {"name": True, **known}}
    if "*" not in options:
        then["additionalProperties"] = False
    return {"if": {"properties": {"name": {"const": name}}}, "then": then}
