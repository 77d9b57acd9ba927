"""Changes to a config from the command line: ``section.key=value``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torchwork.config import text
from torchwork.types import Finding, InputError

_TOKEN = re.compile(r'(?:^|\.)(?:"([^"]*)"|([^.\[\]"=]+))|\[(\d+)\]')
_COMPONENTS = ("model", "init", "loss", "optimizer", "schedule", "data.source", "data.transform", "data.augment")


def apply(tree: dict[str, Any], overrides: Sequence[str]) -> list[Finding]:
    """Set the places that the overrides name, in ``tree`` itself, and return every mistake.

    A value is read as YAML is. ``data.transform[0].size=32`` goes into a list; a number one past its end adds an item.
    A key below a component that is a bare name makes it a mapping. A key with dots is quoted: ``init."fc.*"=zeros_``.

    >>> tree = {"model": "LeNet"}
    >>> apply(tree, ["model.in_channels=3", "train.epochs=2"])
    []
    >>> tree
    {'model': {'name': 'LeNet', 'in_channels': 3}, 'train': {'epochs': 2}}
    """
    findings: list[Finding] = []
    for override in overrides:
        try:
            place, value = _parse(override)
            _set(tree, place, value, override)
        except InputError as error:
            findings += error.findings
    return findings


def put(tree: dict[str, Any], place: str, value: Any, where: str) -> list[Finding]:
    """Set a place to a value, in ``tree`` itself, as an override does to a text; mistakes are told at ``where``.

    >>> tree = {"optimizer": "Adam"}
    >>> put(tree, "optimizer.lr", 0.1, "search.optimizer.lr"), tree
    ([], {'optimizer': {'name': 'Adam', 'lr': 0.1}})
    """
    try:
        steps, rest = _steps(place)
        if rest or not steps or isinstance(steps[0], int) or "" in steps:
            raise _mistake(where, "is no place in a config", "write section.key, as optimizer.lr")
        _set(tree, steps, value, where)
    except InputError as error:
        return error.findings
    return []


def _mistake(override: str, message: str, fix: str = "") -> InputError:
    return InputError(Finding("override", "error", override, message, fix))


def _steps(text: str) -> tuple[list[str | int], str]:
    """Return the keys and numbers of a place, and what follows it."""
    place: list[str | int] = []
    end = 0
    while match := _TOKEN.match(text, end):
        quoted, key, index = match.groups()
        place.append(int(index) if index is not None else quoted if quoted is not None else key.strip())
        end = match.end()
    return place, text[end:]


def _parse(override: str) -> tuple[list[str | int], Any]:
    place, rest = _steps(override)
    if not place or not rest.startswith("=") or isinstance(place[0], int) or "" in place:
        raise _mistake(override, "is no override", "write section.key=value, as in train.epochs=20")
    try:
        return place, text.parse(rest[1:])
    except InputError as error:
        said = "; ".join(finding.message for finding in error.findings)
        raise _mistake(
            override, f"its value {rest[1:]!r} {said}", "quote a text that has special characters"
        ) from error


def _set(tree: dict[str, Any], place: list[str | int], value: Any, override: str) -> None:
    here: Any = tree
    done = ""
    for step, following in zip(place, [*place[1:], None], strict=True):
        if isinstance(step, int):
            if step > len(here):
                there = f"{len(here)} items, [0] to [{len(here) - 1}]" if here else "no items"
                raise _mistake(override, f"{done} has {there}", f"[{len(here)}] adds one")
            if step == len(here):
                here.append(None)
        at = f"{done}[{step}]" if isinstance(step, int) else f"{done}.{step}" if done else step
        if following is None:
            here[step] = value
            return
        old = here[step] if isinstance(step, int) else here.get(step)
        here[step] = _opened(old, following, at, override)
        here, done = here[step], at


def _opened(old: Any, following: str | int, at: str, override: str) -> Any:
    """Return what stands at a place, as something that ``following`` can go into."""
    if old is None:
        return [] if isinstance(following, int) else {}
    if isinstance(following, int):
        if not isinstance(old, list):
            raise _mistake(override, f"{at} is no list but {text.said(old)}", f"write {at}=value or {at}.key=value")
        return old
    if isinstance(old, str) and at.startswith(_COMPONENTS):
        return {"name": old}
    if isinstance(old, list):
        raise _mistake(override, f"{at} is a list of {len(old)}", f"say which: {at}[0].{following}=value")
    if not isinstance(old, dict):
        raise _mistake(override, f"{at} is no mapping but {text.said(old)}", f"write {at}=value")
    return old
