"""Which parameters belong to which group: patterns on parameter names, where the first match wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from torch import nn

from torchwork.catalog import nearest
from torchwork.types import Finding


class Claim(NamedTuple):
    """What one group asks for: the path of its ``match`` in the config, and its patterns."""

    where: str
    patterns: tuple[str, ...]


def parameter_names(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Return every parameter's name with all the names that it has: a tied weight has several.

    >>> model = nn.Module()
    >>> model.a = nn.Linear(2, 2, bias=False)
    >>> model.b = nn.Linear(2, 2, bias=False)
    >>> model.b.weight = model.a.weight
    >>> parameter_names(model)
    {'a.weight': ('a.weight', 'b.weight')}
    """
    found: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        found.setdefault(id(parameter), []).append(name)
    return {names[0]: tuple(names) for names in found.values()}


def read_match(value: Any, where: str) -> tuple[Claim, list[Finding]]:
    """Read a ``match``, one pattern or a list of them, and say what is wrong with it."""
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, list | tuple) or not patterns or not all(isinstance(p, str) and p for p in patterns):
        fix = "expected a pattern of parameter names as 'fc*', or a list of them"
        return Claim(where, ()), [Finding("wrong-type", "error", where, f"got {value!r}", fix)]
    return Claim(where, tuple(patterns)), []


def share(
    claims: Sequence[Claim], names: Mapping[str, Sequence[str]], *, closed: Mapping[str, Mapping[str, Sequence[str]]]
) -> tuple[list[list[str]], list[str], list[Finding]]:
    """Give each name to the first claim with a pattern that matches it.

    Patterns are those of ``fnmatch``, and capital letters count: ``*`` stands for any letters, dots too, ``?`` for one.

    Args:
        claims: In the order of the config.
        names: The parameters to be shared out, each with all its names.
        closed: Parameters that are not to be had, by the reason (``"frozen"``), for the findings.

    Returns:
        The names of each claim, in the model's order; the names that nobody claimed; and what is wrong: a pattern
        that matches nothing, or one that comes too late.
    """
    taken: list[list[str]] = [[] for _ in claims]
    left: list[str] = []
    for name, aliases in names.items():
        owner = next((i for i, claim in enumerate(claims) if any(_matches(p, aliases) for p in claim.patterns)), None)
        (left if owner is None else taken[owner]).append(name)
    findings = []
    for claim, mine in zip(claims, taken, strict=True):
        for index, pattern in enumerate(claim.patterns):
            where = claim.where if len(claim.patterns) == 1 else f"{claim.where}[{index}]"
            if not any(_matches(pattern, names[name]) for name in mine):
                findings.append(_nothing(pattern, where, claims, taken, names, closed))
    return taken, left, findings


def _matches(pattern: str, aliases: Sequence[str]) -> bool:
    return any(fnmatchcase(alias, pattern) for alias in aliases)


def _nothing(
    pattern: str,
    where: str,
    claims: Sequence[Claim],
    taken: Sequence[Sequence[str]],
    names: Mapping[str, Sequence[str]],
    closed: Mapping[str, Mapping[str, Sequence[str]]],
) -> Finding:
    """Say why a pattern got no parameter."""
    for claim, theirs in zip(claims, taken, strict=True):
        if any(_matches(pattern, names[name]) for name in theirs):
            message = f"every parameter that {pattern!r} matches already belongs to {claim.where}"
            return Finding(
                "late-match", "error", where, message, "put the narrower pattern first: the first match wins"
            )
    for reason, those in closed.items():
        if any(_matches(pattern, aliases) for aliases in those.values()):
            message = f"{pattern!r} matches only parameters that are {reason}"
            return Finding("closed-match", "error", where, message, "remove it, or match trainable parameters")
    known = [alias for aliases in names.values() for alias in aliases]
    near = nearest(pattern.rstrip("*"), known)
    fix = f"the nearest is {near!r}" if near else f"the parameters are: {listed(known)}"
    return Finding("no-match", "error", where, f"{pattern!r} matches no parameter of the model", fix)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names as a person would list them.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
