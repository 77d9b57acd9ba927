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


def schema(options: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config.

    Args:
        options: By kind and name of component, the schema of the object of its options, with its one line as
            ``description``. Without it only the names are in the schema, and any options are allowed: to know the
            options, torch has to be imported.

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
    for kind in components.CATALOGS:
        definitions[f"{kind}-name"] = _name(kind, options.get(kind, {}))
        if kind != "task":
            definitions[kind] = _component(kind, options.get(kind, {}))
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
        return {"anyOf": [{"$ref": f"#/$defs/{kind}-name"}, {"type": "null"}]}
    if form == "list":
        return {"anyOf": [many, {"type": "null"}]}
    if form == "one or list":
        return {"anyOf": [one, many]}
    if form == "map":
        of_parameters = {"type": "object", "not": {"required": ["name"]}, "additionalProperties": one}
        return {"type": ["object", "null"], "additionalProperties": {"anyOf": [one, of_parameters]}}
    return {"anyOf": [one, {"type": "null"}]} if "default" in kept else one


def _component(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    name = {"$ref": f"#/$defs/{kind}-name"}
    mapping: dict[str, Any] = {"type": "object", "required": ["name"], "properties": {"name": name}}
    rules = [_rule(kind, name, options.get(name, {})) for name in components.names(kind)]
    if any(rules):
        mapping["allOf"] = [rule for rule in rules if rule]
    return {"title": kind.capitalize(), "anyOf": [name, mapping]}


def _name(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    names = list(components.names(kind))
    known: dict[str, Any] = {"type": "string", "enum": names}
    if options:
        known["enumDescriptions"] = [options.get(name, {}).get("description", "") for name in names]
    return {"anyOf": [known, IMPORT_PATH]}


def _rule(kind: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what holds for the options where this is the name; empty where nothing is known of them."""
    nested = {option: inner for (outer, of, option), inner in components.NESTED.items() if (outer, of) == (kind, name)}
    inside: dict[str, Any] = {}
    for option, (inner, form) in nested.items():
        one = {"$ref": f"#/$defs/{inner}"}
        inside[option] = {"type": "array", "items": one} if form == "list" else one
    if not options and not inside:
        return {}
    then = {**options, "properties": {"name": True, **options.get("properties", {}), **inside}}
    return {"if": {"properties": {"name": {"const": name}}}, "then": then}
