"""Parameters that training leaves as they are."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from torchwork import catalog
from torchwork.types import Finding, InputError


class StayInEvaluation:
    """Stands in for a layer's ``train`` and keeps the layer in evaluation mode.

    An object and no lambda, so that the model can still be copied and pickled.
    """

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def __call__(self, mode: bool = True) -> nn.Module:
        self.layer.training = False
        return self.layer


def freeze(model: nn.Module, patterns: Sequence[str], where: str = "freeze") -> list[str]:
    """Freeze the parameters whose names match a pattern, and return their names.

    A norm layer with running statistics all of whose parameters are frozen (or which has none, and whose statistics'
    names match) stays in evaluation mode, also after ``model.train()``: its statistics no longer move.

    Args:
        model: Changed in place.
        patterns: As ``features.*``; matched with the full names by ``fnmatch``, case included.
        where: The path of the patterns in the config, for the findings.

    Raises:
        InputError: a pattern matches nothing, or nothing is left to train.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    >>> freeze(model, ["0.*", "1.*"])
    ['0.weight', '0.bias', '1.weight', '1.bias']
    >>> model.train()[1].training
    False
    """
    parameters = dict(model.named_parameters())
    names = [*parameters, *(name for name, _ in model.named_buffers())]
    findings = [
        Finding("matches-nothing", "error", f"{where}[{i}]", f"{pattern!r} matches no parameter", _near(pattern, names))
        for i, pattern in enumerate(patterns)
        if not any(fnmatchcase(name, pattern) for name in names)
    ]
    frozen = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
    if not findings and frozen >= parameters.keys():
        findings.append(Finding("all-frozen", "error", where, "nothing is left to train", "leave some parameters out"))
    if findings:
        raise InputError(findings)
    for name in frozen & parameters.keys():
        parameters[name].requires_grad_(False)
    for path, layer in model.named_modules():
        if isinstance(layer, _NormBase) and layer.track_running_stats and _is_frozen(layer, path, frozen):
            layer.training = False
            layer.__dict__["train"] = StayInEvaluation(layer)
    return [name for name in parameters if name in frozen]


def _is_frozen(layer: nn.Module, path: str, frozen: set[str]) -> bool:
    own = [name for name, _ in layer.named_parameters(recurse=False)]
    own = own or [name for name, _ in layer.named_buffers(recurse=False)]
    return all((f"{path}.{name}" if path else name) in frozen for name in own)


def _near(pattern: str, names: Sequence[str]) -> str:
    if any(name.startswith(f"{pattern}.") for name in names):
        return f"did you mean '{pattern}.*'?"
    return catalog.suggestion(pattern, names) or f"the first is {names[0]!r}, the last {names[-1]!r}"
