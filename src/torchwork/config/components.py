"""The components of a config: bare names become mappings, names are looked up in their catalogs. Imports no torch."""

from __future__ import annotations

import importlib
import re
from typing import Any

from torchwork import catalog
from torchwork.config.text import said
from torchwork.types import Finding

CATALOGS = {
    "source": ("torchwork.data", "SOURCES"),
    "transform": ("torchwork.data", "TRANSFORMS"),
    "augment": ("torchwork.data", "AUGMENTS"),
    "model": ("torchwork.models", "MODELS"),
    "init": ("torchwork.models", "INITS"),
    "layer": ("torchwork.models", "LAYERS"),
    "loss": ("torchwork.losses", "LOSSES"),
    "task": ("torchwork.tasks", "TASKS"),
    "optimizer": ("torchwork.optim", "OPTIMIZERS"),
    "schedule": ("torchwork.optim", "SCHEDULES"),
    "metric": ("torchwork.metrics", "METRICS"),
    "log": ("torchwork.logs", "LOGS"),
}

# The options that hold components themselves: (kind, name, option) -> (kind of the inner ones, one or a list).
NESTED = {
    ("model", "Sequential", "layers"): ("layer", "list"),
    ("model", "MLP", "activation"): ("layer", "one"),
    ("source", "CapPerClass", "source"): ("source", "one"),
    ("source", "Concatenate", "sources"): ("source", "list"),
    ("source", "Relabel", "source"): ("source", "one"),
    ("source", "Subset", "source"): ("source", "one"),
    ("transform", "Compose", "transforms"): ("transform", "list"),
    ("schedule", "SequentialLR", "schedulers"): ("schedule", "list"),
    ("schedule", "ChainedScheduler", "schedulers"): ("schedule", "list"),
}

_IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def names(kind: str) -> catalog.Catalog:
    """Return the catalog of a kind of component.

    >>> "CrossEntropyLoss" in names("loss")
    True
    """
    module, attribute = CATALOGS[kind]
    found: catalog.Catalog = getattr(importlib.import_module(module), attribute)
    return found


def normalise(tree: dict[str, Any]) -> list[Finding]:
    """Make every component of a config a mapping with ``name``, in ``tree`` itself, and return every mistake.

    What is no component at all is replaced by one without options, so that it is reported once.
    """
    findings: list[Finding] = []
    data = tree.get("data")
    if isinstance(data, dict):
        _single(data, "source", "source", "data.source", findings)
        for key in ("transform", "augment"):
            if key in data:
                data[key] = _many(data[key], key, f"data.{key}", findings)
        if data.get("target_transform") is not None:
            _import_path(data, "target_transform", "data.target_transform", findings)
    for kind in ("model", "loss", "schedule"):
        _single(tree, kind, kind, kind, findings)
    if isinstance(tree.get("optimizer"), list):
        tree["optimizer"] = _many(tree["optimizer"], "optimizer", "optimizer", findings)
    else:
        _single(tree, "optimizer", "optimizer", "optimizer", findings)
    findings += _groups(tree.get("optimizer"))
    if "metrics" in tree:
        tree["metrics"] = _many(tree["metrics"], "metric", "metrics", findings)
    if "log" in tree:
        tree["log"] = _many(tree["log"], "log", "log", findings)
    if "init" in tree:
        tree["init"] = _init(tree["init"], findings)
    if isinstance(tree.get("task"), str):
        findings += catalog.check_name(tree["task"], names("task"), "task", "task")
    return findings


def _single(holder: dict[str, Any], key: str, kind: str, where: str, findings: list[Finding]) -> None:
    if key in holder and holder[key] is not None:
        holder[key] = _component(holder[key], kind, where, findings)


def _many(value: Any, kind: str, where: str, findings: list[Finding]) -> list[dict[str, Any]]:
    if value is None:
        return []
    if isinstance(value, list):
        return [_component(item, kind, f"{where}[{index}]", findings) for index, item in enumerate(value)]
    fix = f"write a list: [{value}]" if isinstance(value, str) else "write a list of names or mappings with name"
    findings.append(Finding("wrong-type", "error", where, f"got {said(value)}, not a list", fix))
    return []


def _component(value: Any, kind: str, where: str, findings: list[Finding]) -> dict[str, Any]:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        fix = f"expected the name of {_a(kind)}, or a mapping with name and options"
        findings.append(Finding("wrong-type", "error", where, f"got {said(value)}", fix))
        return {"name": ""}
    name = value.get("name")
    if not isinstance(name, str):
        findings.append(_nameless(value, kind, where))
        return {"name": ""}
    findings += _check_name(name, kind, where)
    findings += [_odd_key(key, where) for key in value if not isinstance(key, str)]
    component = {"name": name} | {str(key): item for key, item in value.items()}
    for option, item in component.items():
        inner, form = NESTED.get((kind, name, option), ("", ""))
        if form == "list":
            component[option] = _many(item, inner, f"{where}.{option}", findings)
        elif form == "one":
            component[option] = _component(item, inner, f"{where}.{option}", findings)
    return component


def _check_name(name: str, kind: str, where: str) -> list[Finding]:
    other = {"transform": "augment", "augment": "transform"}.get(kind)
    if other is None or name in names(kind) or name not in names(other):
        return catalog.check_name(name, names(kind), kind, where)
    said = "changes samples at random" if other == "augment" else "does the same to every sample"
    fix = f"put it under data.{other}"
    return [Finding("wrong-place", "error", where, f"{name} {said}", fix)]


def _nameless(value: dict[Any, Any], kind: str, where: str) -> Finding:
    if "name" in value:
        return Finding(
            "wrong-type", "error", f"{where}.name", f"got {said(value['name'])}", f"expected a {kind}'s name"
        )
    written = [key for key in value if isinstance(key, str) and (key in names(kind) or ":" in key)]
    if written:
        fix = f"write {{name: {written[0]}, ...}} with its options beside the name"
    else:
        fix = f"add name: one of {', '.join(list(names(kind))[:8])}, ..."
    return Finding("no-name", "error", where, f"got {said(value)}, a mapping without name", fix)


def _odd_key(key: Any, where: str) -> Finding:
    return Finding("wrong-type", "error", where, f"the option {key!r} is no text", "options are named by texts")


def _groups(optimizer: Any) -> list[Finding]:
    """Check the form of the groups; what they match needs the model."""
    several = isinstance(optimizer, list)
    findings = []
    for index, component in enumerate(optimizer if several else [optimizer]):
        where = f"optimizer[{index}].groups" if several else "optimizer.groups"
        groups = component.get("groups", []) if isinstance(component, dict) else []
        fix = 'write groups: [{match: "fc*", lr: 0.01}]'
        if not isinstance(groups, list):
            findings.append(Finding("wrong-type", "error", where, f"got {said(groups)}, not a list", fix))
            continue
        for number, group in enumerate(groups):
            if not isinstance(group, dict) or "match" not in group:
                message = f"got {said(group)}, a group without match"
                findings.append(Finding("no-match", "error", f"{where}[{number}]", message, fix))
    return findings


def _init(value: Any, findings: list[Finding]) -> dict[str, Any]:
    """By layer type or pattern: a component, or a mapping from the name of a parameter to one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        fix = "write init: {Linear: xavier_uniform_}"
        findings.append(Finding("wrong-type", "error", "init", f"got {said(value)}, not a mapping", fix))
        return {}
    found: dict[str, Any] = {}
    for target, chosen in value.items():
        where = f"init.{target}"
        if isinstance(chosen, dict) and chosen and "name" not in chosen:
            found[str(target)] = {
                str(parameter): _component(item, "init", f"{where}.{parameter}", findings)
                for parameter, item in chosen.items()
            }
        else:
            found[str(target)] = _component(chosen, "init", where, findings)
    return found


def _import_path(holder: dict[str, Any], key: str, where: str, findings: list[Finding]) -> None:
    value = holder[key]
    if not isinstance(value, str) or not _IMPORT_PATH.fullmatch(value):
        fix = "write package.module:function"
        findings.append(Finding("import-path", "error", where, f"got {said(value)}, no import path", fix))
        holder[key] = None


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeio" else f"a {kind}"
