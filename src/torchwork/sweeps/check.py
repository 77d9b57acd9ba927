"""Every mistake of a search before anything starts: each of its values is put into the config and tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torchwork import assembly
from torchwork.assembly import Parts
from torchwork.config import Config
from torchwork.data.loader import check_batch_size
from torchwork.sweeps import space
from torchwork.sweeps.space import Dimension
from torchwork.sweeps.trials import settings_of
from torchwork.training import device as devices
from torchwork.types import Finding, InputError

# What a value of these sections changes beside the model and its training, so that all is built anew for it.
_OF_THE_DATA = ("data", "task", "loss")


def checked(settings: Config, monitor: str) -> list[Dimension]:
    """Return what is searched, after every value of a choice and both ends of every range were tried.

    Values are tried one at a time, beside the first of each other key: two that are right may still not go together,
    and the trial that has both fails.

    Raises:
        InputError: with every mistake that could be found.
    """
    dimensions, findings = space.parse(settings.search, monitor)
    sound = []
    for one in dimensions:
        wrong = _unloadable(settings, one)
        findings += wrong
        sound += [] if wrong else [one]
    with devices.using_threads(settings.train.threads or devices.default_threads()):
        findings += _built(settings, sound, monitor)  # of what is sound, so that all mistakes are told at once
    unique = list(dict.fromkeys(findings))
    if unique:
        raise InputError(unique)
    return dimensions


def _unloadable(settings: Config, one: Dimension) -> list[Finding]:
    """Return what is wrong with the values of one key beside the config's others; what is with all of them, once."""
    each: list[list[Finding]] = []
    for value in one.values:
        try:
            settings_of(settings, {one.place: value})
            each.append([])
        except InputError as error:
            each.append(error.findings)
    if all(found == each[0] for found in each):
        return [replace(finding, where=f"search.{one.place}") for finding in each[0]]
    return [_told(finding, one, number) for number, found in enumerate(each) for finding in found]


def _points(dimensions: Sequence[Dimension]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the first value of each key together, then each other value of each key."""
    first = {one.place: one.values[0] for one in dimensions}
    yield "", first
    for one in dimensions:
        for value in one.values[1:]:
            yield one.place, {**first, one.place: value}


def _built(settings: Config, dimensions: Sequence[Dimension], monitor: str) -> list[Finding]:
    """Build the config with each of the values, the data once for all that have the same."""
    findings: list[Finding] = []
    points = list(_points(dimensions))
    try:
        parts = assembly.assemble(settings_of(settings, points[0][1]))
    except InputError as error:
        findings = [_placed(finding, "", points[0][1], dimensions) for finding in error.findings]
        sound = [one for one in dimensions if not any(_inside(f.where, f"search.{one.place}") for f in findings)]
        if len(sound) == len(dimensions):
            return findings  # the mistake is in the config itself
        return findings + _built(settings, sound, monitor)
    try:
        if not monitor.startswith("val_") or "val" not in parts.data.splits:
            message = f"a sweep goes by a figure of val, not by {monitor}" if "val" in parts.data.splits else "is empty"
            where = "train.monitor" if "val" in parts.data.splits else "data.split.val"
            findings.append(Finding("no-val", "error", where, message, "trials are judged by val alone"))
        for place, values in points[1:]:
            try:
                _build(settings_of(settings, values), place, parts)
            except InputError as error:
                findings += [_placed(finding, place, values, dimensions) for finding in error.findings]
    finally:
        parts.data.close()
    return findings


def _build(settings: Config, place: str, parts: Parts) -> None:
    if place == "data.batch_size":
        check_batch_size(settings.data.batch_size, len(parts.data.splits["train"]))
    elif place.split(".")[0].split("[")[0] in _OF_THE_DATA:
        assembly.assemble(settings).data.close()
    else:
        state, _ = assembly.build_state(settings, parts.data, parts.task, parts.device, pretrained=True)
        assembly.try_batch(replace(parts, config=settings, state=state))


def _placed(finding: Finding, place: str, values: dict[str, Any], dimensions: Sequence[Dimension]) -> Finding:
    """Return a mistake told by the key of the search that it comes from, and by which of its values."""
    own = next((one for one in dimensions if place == one.place or (not place and _touch(finding, one))), None)
    return finding if own is None else _told(finding, own, own.values.index(values[own.place]))


def _told(finding: Finding, own: Dimension, number: int) -> Finding:
    message = finding.message if _touch(finding, own) else f"{finding.where}: {finding.message}"
    rest = finding.where[len(own.place) :] if _inside(finding.where, own.place) else ""
    return replace(finding, where=f"search.{own.place}.{own.kind}[{number}]{rest}", message=message)


def _touch(finding: Finding, own: Dimension) -> bool:
    where = finding.where.removeprefix("search.")
    return _inside(where, own.place) or _inside(own.place, where)


def _inside(where: str, place: str) -> bool:
    return where == place or where.startswith((f"{place}.", f"{place}["))
