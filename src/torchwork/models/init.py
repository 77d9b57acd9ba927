"""Start values by layer type or by parameter name, with ``torch.nn.init``'s methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
from torch import nn

from torchwork import catalog, rng
from torchwork.models import INITS
from torchwork.models.named_layer import read
from torchwork.models.ownership import owned_parameters
from torchwork.models.seeding import seeded
from torchwork.types import Finding, InputError

HIDDEN = {
    "tensor": "Torchwork passes the parameter",
    "generator": "Torchwork draws from the seed and the parameter's name",
}
GAIN = "calculate_gain"


class Assignment(NamedTuple):
    """A parameter, the method that will set it, and the key of the config that says so."""

    parameter: str
    layer: nn.Module
    method: str
    options: dict[str, Any]
    where: str


def initialise(model: nn.Module, spec: Mapping[str, Any], seed: int, where: str = "init") -> None:
    """Set a model's parameters in place.

    A key is a layer type (``Conv2d``, subclasses too) or a pattern for parameter names (``fc*``). Its value is

    - one method (a name, or a mapping with ``name`` and options): for all matching parameters that are no bias,
      or for the biases too where the key itself says ``bias`` (``"*.bias": zeros_``);
    - or a mapping from the parameter's own name to a method: ``{weight: kaiming_normal_, bias: zeros_}``; ``weight``
      also means ``weight_ih_l0`` and the like.

    Where several keys match a parameter, the first wins. A gain may be written
    ``gain: {name: calculate_gain, nonlinearity: relu}``. Each parameter is drawn from (seed, its name), so that adding
    a layer does not change the others' start.

    Raises:
        InputError: an unknown method or option, a key that matches nothing (or nothing that an earlier key left), or a
            method that cannot take a parameter's rank. All mistakes at once; then nothing was changed.

    >>> layer = nn.Sequential(nn.Linear(2, 2))
    >>> initialise(layer, {"Linear": {"weight": "eye_", "bias": {"name": "constant_", "val": 0.3}}}, seed=0)
    >>> layer[0].weight.tolist(), [round(b, 1) for b in layer[0].bias.tolist()]
    ([[1.0, 0.0], [0.0, 1.0]], [0.3, 0.3])
    """
    assignments = plan(model, spec, where)
    named = dict(model.named_parameters())
    findings: list[Finding] = []
    values = {}
    for assignment in assignments:
        parameter = named[assignment.parameter]
        try:
            values[assignment.parameter] = _draw(parameter, assignment, seed)
        except (ValueError, RuntimeError, TypeError) as error:
            layer, shape = type(assignment.layer).__name__, list(parameter.shape)
            message = f"{assignment.method} cannot set {assignment.parameter} {shape} of {layer}: {error}"
            findings.append(
                Finding("init-rank", "error", assignment.where, message, "choose a method for such a shape")
            )
    if findings:
        raise InputError(findings)
    with torch.no_grad():
        for name, value in values.items():
            named[name].copy_(value)


def plan(model: nn.Module, spec: Mapping[str, Any], where: str = "init") -> list[Assignment]:
    """Return which method will set which parameter, without setting any.

    Raises:
        InputError: as ``initialise``, but for the ranks.
    """
    findings: list[Finding] = []
    taken: dict[str, Assignment] = {}
    for key, value in spec.items():
        at = f"{where}.{key}"
        matched = 0
        for own_pattern, method, options, place in _rules(value, at, findings):
            found = [
                Assignment(full, layer, method, options, place)
                for full, own, layer in owned_parameters(model)
                if _matches(key, own_pattern, full, own, layer)
            ]
            matched += len(found)
            if not found:
                findings.append(_unmatched(model, key, own_pattern, place))
            elif all(assignment.parameter in taken for assignment in found):
                keys = sorted({taken[assignment.parameter].where for assignment in found})
                message = f"all that it matches is already set by {', '.join(keys)}"
                findings.append(Finding("never-used", "error", place, message, "put it first, or remove it"))
            for assignment in found:
                taken.setdefault(assignment.parameter, assignment)
    if findings:
        raise InputError(findings)
    return list(taken.values())


def _rules(value: Any, where: str, findings: list[Finding]) -> Iterator[tuple[str | None, str, dict[str, Any], str]]:
    """Yield (pattern for the parameter's own name or None, method, options, place); note the mistakes."""
    if not (isinstance(value, Mapping) and "name" not in value):
        value = {None: value}
    for own_pattern, component in value.items():
        place = where if own_pattern is None else f"{where}.{own_pattern}"
        try:
            name, options = read(component, place)
            method = catalog.load(name, INITS, "init", place)
        except InputError as error:
            findings.extend(error.findings)
            continue
        if name == GAIN:
            message = f"{GAIN} gives a number and sets nothing"
            fix = f"write it as an option: {{name: xavier_uniform_, gain: {{name: {GAIN}, nonlinearity: relu}}}}"
            findings.append(Finding("no-init", "error", place, message, fix))
            continue
        options, mistakes = _with_gains(options, place)
        mistakes += catalog.check_options(method, options, place, hidden=HIDDEN, supplied=HIDDEN.keys())
        findings.extend(mistakes)
        if not mistakes:
            yield own_pattern, name, options, place


def _with_gains(options: dict[str, Any], where: str) -> tuple[dict[str, Any], list[Finding]]:
    """Replace each option that is a call of calculate_gain by its number."""
    method = catalog.load(GAIN, INITS, "init", where)
    findings: list[Finding] = []
    replaced = {}
    for option, value in options.items():
        if isinstance(value, Mapping) and value.get("name") == GAIN:
            arguments = {key: item for key, item in value.items() if key != "name"}
            mistakes = catalog.check_options(method, arguments, f"{where}.{option}")
            findings += mistakes
            value = 1.0 if mistakes else method(**arguments)
        replaced[option] = value
    return replaced, findings


def _matches(key: str, own_pattern: str | None, full: str, own: str, layer: nn.Module) -> bool:
    types = {kind.__name__ for kind in type(layer).__mro__[:-2]}  # not Module, not object
    if key not in types and not fnmatchcase(full, key):
        return False
    if own_pattern is None:
        return "bias" in key or "bias" not in own
    return own_pattern in own.replace(".", "_").split("_") or fnmatchcase(own, own_pattern)


def _unmatched(model: nn.Module, key: str, own_pattern: str | None, where: str) -> Finding:
    types = {type(layer).__name__ for _, _, layer in owned_parameters(model)}
    names = {full for full, _, _ in owned_parameters(model)}
    fix = catalog.suggestion(key, types | names) if own_pattern is None else ""
    kinds = f"layers with parameters: {', '.join(sorted(types))}"
    return Finding("matches-nothing", "error", where, "matches no parameter of the model", fix or kinds)


def _draw(parameter: nn.Parameter, assignment: Assignment, seed: int) -> torch.Tensor:
    """Draw on the processor, whatever the parameter's device, so that every device gets the same values."""
    method = getattr(nn.init, assignment.method)
    value = torch.empty(parameter.shape, dtype=parameter.dtype, device="cpu")
    # Not by a generator of its own: sparse_ takes one, yet draws its zeros from the global generator.
    with seeded(rng.seed(seed, "init", assignment.parameter)), torch.no_grad():
        return method(value, **catalog.convert(method, assignment.options))
