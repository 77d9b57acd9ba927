"""Options of torch's optimizers and schedulers: which are not the user's, and the exact types that torch wants."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from torchwork import catalog
from torchwork.types import Finding

_GIVEN = "Torchwork passes it: the parameters of the model, or their optimizer"
HIDDEN = {
    "foreach": "Torchwork leaves it to PyTorch, which takes the fast way where there is one",
    "differentiable": "Torchwork decides it: no gradient flows through an update",
    "last_epoch": "Torchwork decides it: a resumed run goes on where it stopped",
    "params": _GIVEN,
    "optimizer": _GIVEN,
}


def ready(component: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the component's constructor wants them: tuples for lists, floats for whole numbers.

    torch refuses ``pct_start=1`` and ``betas=(0, 0.99)``, where it means 1.0 and (0.0, 0.99).

    >>> import torch
    >>> ready(torch.optim.Adam, {"lr": 1, "betas": [0, 0.99]})
    {'lr': 1.0, 'betas': (0.0, 0.99)}
    """
    known = catalog.parameters(component)
    converted = catalog.convert(component, options)
    return {n: _floats(value, known[n].annotation) if n in known else value for n, value in converted.items()}


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def _floats(value: Any, annotation: Any) -> Any:
    choices = _alternatives(annotation)
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if float in choices and int not in choices else value
    if isinstance(value, list | tuple):
        for choice in choices:
            inner = typing.get_args(choice)
            if typing.get_origin(choice) is tuple and len(inner) == len(value):
                return tuple(map(_floats, value, inner))
            if typing.get_origin(choice) is list:
                return [_floats(item, inner[0]) for item in value]
    return value


def check(component: Any, given: Mapping[str, Any], where: str, supplied: Sequence[str] = ()) -> list[Finding]:
    """Check names and types of options, and that no number is NaN and no learning rate a list or infinite.

    Args:
        component: A class or function whose first parameter Torchwork passes, whatever its name.
        given: What the user wrote.
        where: The path of the component in the config.
        supplied: Other parameters that are not required from the user.
    """
    first = dict.fromkeys(list(catalog.parameters(component))[:1], _GIVEN)
    findings = catalog.check_options(component, given, where, hidden={**first, **HIDDEN}, supplied=supplied)
    told = {finding.where for finding in findings}
    for name, value in given.items():
        at = f"{where}.{name}"
        if at in told:
            continue
        numbers = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(number, float) and math.isnan(number) for number in numbers):
            findings.append(Finding("not-a-number", "error", at, "is NaN", "give a number"))
        elif name == "lr" and value is not None and (isinstance(value, list) or not math.isfinite(value)):
            fix = "expected a finite number; for several, use groups"
            findings.append(Finding("wrong-type", "error", at, f"got {value!r}", fix))
    return findings
