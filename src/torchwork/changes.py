"""What differs between a run's config and the one that it shall go on with, and which of it may."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from torchwork.config import Config, load
from torchwork.resolved import filled
from torchwork.types import Finding, InputError

# They change nothing that training computes, or nothing of what it has computed so far.
_HARMLESS = (
    *("name", "log", "metrics", "search", "data.num_workers", "data.cache_gb", "train.epochs", "train.patience"),
    *("train.nonfinite", "data.timeout"),
    *("distributed.strategy", "distributed.activation_checkpointing", "distributed.find_unused_parameters"),
    *("distributed.check_every_steps", "distributed.timeout_minutes"),
    *("train.keep_best", "train.checkpoint_every_steps", "train.checkpoint_every_minutes", "train.checkpoint_patience"),
)
# They decided how the run began: which samples are where, what the files of the run mean, which epoch is best so far.
_DECIDED = (
    *("task", "init", "data.split", "data.clean", "data.transform", "data.target_transform"),
    *("model.weights", "train.monitor", "train.evaluate_test"),
)
# They decide which samples are in which batch of an epoch, so that none of them changes in the middle of one.
_ORDERING = (
    *("seed", "data.batch_size", "data.shuffle", "data.drop_last", "data.sampling", "data.pairs", "train.accumulate"),
)
# What a config may leave open, and how; the run has decided it, and goes on with these whatever the machine.
CHOICES: dict[str, Any] = {
    "data.batch_size": "auto",
    "device": "auto",
    "train.threads": None,
    "train.precision": "auto",
    "train.memory_format": None,
    "train.compile": "auto",
}
OPEN: dict[str, Any] = {**CHOICES, **dict.fromkeys(("task", "loss", "data.split.by", "train.monitor"))}
# Where data lie says nothing about what they are, which the run's split.csv tells sample by sample.
_PLACE = re.compile(r"data\.source(\.source|\.sources\[\d+\])*\.(root|path|annotations|download|url)")
_PLAIN_KEY = re.compile(r'[^.\[\]"=]+')


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


class Change(NamedTuple):
    """A key of a config whose value is another than the run began with."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} {said(self.old)} → {said(self.new)}"

    @property
    def harmless(self) -> bool:
        """Whether a run that began with it is the same so far; another number of epochs may not be, by the schedule."""
        if self.key == "train.nonfinite":
            return bool(self.old == "stop")  # the run would have ended where it had made a difference
        return within(self.key, _HARMLESS)

    @property
    def moves_data(self) -> bool:
        """Whether it says that the data lie elsewhere."""
        return _PLACE.fullmatch(self.key) is not None

    @property
    def reorders(self) -> bool:
        """Whether it changes which samples are in which batch of an epoch."""
        return within(self.key, _ORDERING)


def said(value: Any) -> str:
    """Return a value as people write it.

    >>> said("relu"), said(None), said([0.9, 0.99]), said({"name": "Adam", "lr": 0.1})
    ('relu', 'null', '[0.9, 0.99]', 'Adam(lr=0.1)')
    """
    if isinstance(value, Mapping) and "name" in value:
        options = ", ".join(f"{key}={said(option)}" for key, option in value.items() if key != "name")
        return f"{value['name']}({options})" if options else str(value["name"])
    if value is _NOTHING:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)


def within(key: str, places: Collection[str]) -> bool:
    """Tell whether a key is one of these places of a config, or lies below one of them.

    >>> within("optimizer.lr", ["optimizer"]), within("data.transform[0].size", ["data.transform"]), within("ab", ["a"])
    (True, True, False)
    """
    return any(key == place or key.startswith((f"{place}.", f"{place}[")) for place in places)


def closed(given: Config, kept: Config, keys: Mapping[str, Any] = OPEN) -> Config:
    """Return the given config with what it leaves open as the run has decided it."""
    tree, decided = given.model_dump(), kept.model_dump()
    for key, value in keys.items():
        *sections, last = key.split(".")
        here, there = tree, decided
        for section in sections:
            here, there = here[section], there[section]
        if here[last] == value:
            here[last] = there[last]
    several = [one["optimizer"] for one in (tree, decided)]
    for mine, kept_one in zip(*(one if isinstance(one, list) else [one] for one in several), strict=False):
        if mine["name"] == kept_one["name"] and "fused" in kept_one:
            mine.setdefault("fused", kept_one["fused"])
    return Config.model_validate(tree)


def between(kept: Config, given: Config) -> list[Change]:
    """Return the keys in which two configs differ, defaults of components written out in both.

    >>> from torchwork.config import load
    >>> base = {"data": {"source": "Iris"}, "model": "MLP", "optimizer": {"name": "Adam", "lr": 0.001}}
    >>> [str(change) for change in between(load(base), load(base, ["optimizer.lr=0.01", "train.epochs=20"]))]
    ['optimizer.lr 0.001 → 0.01', 'train.epochs 10 → 20']
    """
    return _between(_whole(kept), _whole(given), "")


def _whole(config: Config) -> dict[str, Any]:
    """Return everything in a config, every component as a mapping."""
    return load(filled(config).model_dump()).model_dump()


def _between(old: Any, new: Any, place: str) -> list[Change]:
    if (isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("name") == new.get("name")) or not place:
        found = []
        for key in dict.fromkeys((*old, *new)):
            step = key if _PLAIN_KEY.fullmatch(key) else f'"{key}"'
            below = f"{place}.{step}" if place else step
            found += _between(old.get(key, _NOTHING), new.get(key, _NOTHING), below)
        return found
    components = isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and _components(old + new)
    if components:
        pairs = enumerate(zip(old, new, strict=True))
        return [change for number, pair in pairs for change in _between(*pair, f"{place}[{number}]")]
    return [] if old == new else [Change(place, old, new)]


def _components(items: Sequence[Any]) -> bool:
    return all(isinstance(item, Mapping) and "name" in item for item in items)


def check(found: Sequence[Change], allowed: Sequence[str]) -> None:
    """Refuse what would make another run of it, unless it is allowed by name: a key, or a section of keys.

    Raises:
        InputError: with every change that is refused.
    """
    findings = []
    for change in found:
        message = f"the run has {said(change.old)}, and this would be {said(change.new)}"
        if within(change.key, _DECIDED):
            fix = "it was decided when the run began: put it back, or start a new run"
            findings.append(Finding("changed-config", "error", change.key, message, fix))
        elif not (change.harmless or change.moves_data or within(change.key, allowed)):
            fix = f"put it back, start a new run, or allow it: --allow-change {change.key}"
            findings.append(Finding("changed-config", "error", change.key, message, fix))
    if findings:
        raise InputError(findings)
