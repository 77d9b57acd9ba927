"""What a sweep searches: the keys of a config and the values that each may take. Imports no Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchwork.config import overrides
from torchwork.config.text import inline, said
from torchwork.types import Finding

KINDS = ("choice", "uniform", "log_uniform", "int", "log_int")

_EXAMPLE = (
    "write one of {choice: [a, b]}, {uniform: [0, 1]}, {log_uniform: [1e-4, 1e-1]}, {int: [1, 8]}, {log_int: [1, 64]}"
)
_OTHER_VAL = "trials would be judged on other samples, and could not be compared"
# What stays the same for all trials, and why.
_FIXED = {
    "name": "the trials are named by their numbers",
    "search": "it is what is searched",
    "log": "it changes no figure",
    "seed": "another seed splits the data in another way; see train --seeds for how much it matters",
    "device": "it changes no figure that a search could better",
    "task": "figures of different tasks mean different things",
    "data.source": _OTHER_VAL,
    "data.split": _OTHER_VAL,
    "data.clean": _OTHER_VAL,
    "data.target_transform": "figures of other targets mean other things",
    "train.monitor": "it is what trials are judged by",
    "train.evaluate_test": "a sweep leaves test unseen",
}


@dataclass(frozen=True)
class Dimension:
    """One key of the config: a choice between values, or the ends of a range."""

    place: str
    kind: str
    values: tuple[Any, ...]

    @property
    def labels(self) -> list[str]:
        """The values of a choice as texts, which a store of any kind can hold."""
        return [inline(value) for value in self.values]

    def grid(self) -> list[Any] | None:
        """Return all values, where they can be counted.

        >>> Dimension("train.epochs", "int", (2, 4)).grid()
        [2, 3, 4]
        """
        if self.kind == "choice":
            return list(self.values)
        return list(range(self.values[0], self.values[1] + 1)) if self.kind == "int" else None


def parse(search: Mapping[str, Any], monitor: str) -> tuple[list[Dimension], list[Finding]]:
    """Return the dimensions of a search and every mistake in how they are written.

    Args:
        search: The config's ``search``.
        monitor: The column of history.csv that trials are judged by.

    >>> parse({"optimizer.lr": {"log_uniform": [0.001, 0.1]}}, "val_loss")
    ([Dimension(place='optimizer.lr', kind='log_uniform', values=(0.001, 0.1))], [])
    >>> print(parse({"optimizer.lr": {"log_uniform": [0, 0.1]}}, "val_loss")[1][0])
    search.optimizer.lr.log_uniform: got [0, 0.1]; expected two numbers above 0, the lower one first
    """
    findings = []
    if not search:
        fix = "add search: {optimizer.lr: {log_uniform: [1e-4, 1e-1]}}"
        findings.append(Finding("missing-key", "error", "search", "says not what to search", fix))
    found = []
    for place, rule in search.items():
        wrong = _mistakes(place, rule, monitor)
        findings += wrong
        if not wrong:
            ((kind, values),) = rule.items()
            found.append(Dimension(place, kind, tuple(values)))
    for first in search:
        for second in search:
            if second.startswith((f"{first}.", f"{first}[")):
                message = f"is a part of {first}, which is searched too"
                findings.append(Finding("overlap", "error", f"search.{second}", message, "search one of the two"))
    return found, findings


def _mistakes(place: str, rule: Any, monitor: str) -> list[Finding]:
    where = f"search.{place}"
    for fixed, why in _FIXED.items():
        if place == fixed or place.startswith((f"{fixed}.", f"{fixed}[")):
            return [Finding("not-searched", "error", where, f"cannot be searched: {why}", "remove it")]
    if (place == "loss" or place.startswith("loss.")) and monitor == "val_loss":
        message = "cannot be searched while val_loss is what trials are judged by: each has another loss"
        fix = "judge by another column: train.monitor: val_accuracy"
        return [Finding("not-searched", "error", where, message, fix)]
    if not isinstance(rule, Mapping) or len(rule) != 1 or next(iter(rule)) not in KINDS:
        return [Finding("wrong-value", "error", where, f"got {said(rule)}", _EXAMPLE)]
    ((kind, values),) = rule.items()
    return _wrong_values(kind, values, f"{where}.{kind}")


def _wrong_values(kind: str, values: Any, where: str) -> list[Finding]:
    if kind == "choice":
        if not isinstance(values, list) or not values:
            return [Finding("wrong-value", "error", where, f"got {said(values)}", "expected a list of values")]
        written = [inline(value) for value in values]
        twice = sorted({one for one in written if written.count(one) > 1})
        return [Finding("wrong-value", "error", where, f"names {twice[0]} twice", "name each once")] if twice else []
    least = "above 0" if kind.startswith("log") else ""
    what = "whole numbers" if kind.endswith("int") else "numbers"
    expected = f"expected two {what}{f' {least}' if least else ''}, the lower one first"
    if not _is_range(values, whole=kind.endswith("int"), positive=bool(least)):
        return [Finding("wrong-value", "error", where, f"got {said(values)}", expected)]
    return []


def _is_range(values: Any, *, whole: bool, positive: bool) -> bool:
    kinds = int if whole else (int, float)
    if not isinstance(values, list) or len(values) != 2:
        return False
    if any(isinstance(value, bool) or not isinstance(value, kinds) for value in values):
        return False
    low, high = values
    return -float("inf") < low < high < float("inf") and (low > 0 or not positive)


def placed(tree: dict[str, Any], values: Mapping[str, Any]) -> list[Finding]:
    """Put values into a config, in ``tree`` itself, and return every mistake: a place that is none."""
    return [
        finding for place, value in values.items() for finding in overrides.put(tree, place, value, f"search.{place}")
    ]


def told(values: Mapping[str, Any]) -> str:
    """Return values as a line says them.

    >>> told({"optimizer.lr": 0.001234567, "model.hidden": [64]})
    'optimizer.lr 0.001235, model.hidden [64]'
    """
    return ", ".join(f"{place} {shown(value)}" for place, value in values.items())


def shown(value: Any) -> str:
    """Return one value as a line says it."""
    return format(value, ".4g") if isinstance(value, float) else inline(value)


def num_points(dimensions: Sequence[Dimension]) -> int:
    """Return of how many points a grid consists."""
    total = 1
    for dimension in dimensions:
        total *= len(dimension.grid() or ())
    return total
