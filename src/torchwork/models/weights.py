"""Weights from a file into a model, with a new head where the number of classes differs."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchwork.types import Finding, InputError

# DenseNet's files of 2017 call "denselayer1.norm1.weight" "denselayer1.norm.1.weight".
_OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)")
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_SHOWN = 4


def read(path: str | Path, where: str = "weights") -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` file, or of one written by ``torch.save(model.state_dict())``.

    No code of the file is run (``weights_only=True``). A checkpoint that holds its weights under ``state_dict`` or
    ``model``, and names that all begin with ``module.``, are understood.

    Raises:
        InputError: there is no such file, or it holds something else than named tensors.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        message = "is a directory" if file.is_dir() else "does not exist"
        raise InputError(Finding("no-file", "error", where, f"{path} {message}", "name a .pth or .safetensors file"))
    found: Any
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = f"{path} holds more than tensors, or is no such file: {str(error).splitlines()[0]}"
        fix = "save the weights alone: torch.save(model.state_dict(), path)"
        raise InputError(Finding("no-weights", "error", where, message, fix)) from error
    except Exception as error:  # each format has its own errors for a damaged file
        message = f"{path} cannot be read: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise InputError(Finding("no-weights", "error", where, message, "fetch the file again")) from error
    for holder in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(holder), Mapping):
            found = found[holder]
    if not (isinstance(found, Mapping) and found and all(isinstance(value, Tensor) for value in found.values())):
        message = f"{path} holds a {type(found).__name__}, no named tensors"
        raise InputError(Finding("no-weights", "error", where, message, "save model.state_dict()"))
    if all(name.startswith("module.") for name in found):
        return {name.removeprefix("module."): value for name, value in found.items()}
    return dict(found)


def load(model: nn.Module, path: str | Path, *, num_outputs: int, where: str = "weights") -> list[Finding]:
    """Put a file's weights into a model, in place, and return what there is to say about it.

    A layer of the model that gives ``num_outputs`` values, where the file's gives another number, keeps its start:
    that is the head, and a finding says so. Auxiliary heads of the file that the model is built without are left out,
    with a finding too. Everything else must agree in name and shape.

    Raises:
        InputError: the file cannot be read, or its tensors are not those of the model; then nothing was changed.
    """
    state = model.state_dict()
    given = {_renamed(name, state): value for name, value in read(path, where).items()}
    findings: list[Finding] = []
    heads = _heads(state, given, num_outputs)
    if heads:
        sizes = sorted({len(given[name]) for name in heads})
        layers = sorted({name.rpartition(".")[0] or name for name in heads})
        message = (
            f"{path} is for {' and '.join(map(str, sizes))} outputs, the data call for {num_outputs}: "
            f"{', '.join(layers)} {'starts' if len(layers) == 1 else 'start'} anew"
        )
        findings.append(Finding("head-replaced", "info", where, message))
    left = [name for name in given if name not in state and name.startswith(_AUXILIARY)]
    if left:
        layers = sorted({name.partition(".")[0] for name in left})
        message = f"{', '.join(layers)} of {path} left out: the model has no auxiliary heads"
        findings.append(Finding("auxiliary-left-out", "info", where, message))
    mistakes = _mistakes(state, {k: v for k, v in given.items() if k not in left}, heads, path, where)
    if mistakes:
        raise InputError(mistakes)
    # Not strict: the checks above have made sure that what lacks lacks on purpose. Files from before 2018 have no
    # num_batches_tracked.
    model.load_state_dict({k: v for k, v in given.items() if k not in left and k not in heads}, strict=False)
    return findings


def measured_statistics(where: str = "data.transform") -> Finding:
    """Return the finding about given weights together with a mean and std measured on the training split.

    Published weights were trained on images normalised by the statistics of their own data.
    """
    message = "Normalize measures mean and std on the training split, but the model's weights were trained with others"
    fix = "for weights from ImageNet: {name: Normalize, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
    return Finding("measured-statistics", "warning", where, message, fix)


def _renamed(name: str, state: Mapping[str, Tensor]) -> str:
    old = None if name in state else _OLD_DENSENET.fullmatch(name)
    return old[1] + old[2] if old else name


def _heads(state: Mapping[str, Tensor], given: Mapping[str, Tensor], num_outputs: int) -> set[str]:
    """Return the names of the tensors that differ in the number of outputs and in nothing else."""
    return {
        name
        for name, value in given.items()
        if name in state
        and value.dim() > 0
        and value.dim() == state[name].dim()
        and len(state[name]) == num_outputs != len(value)
        and value.shape[1:] == state[name].shape[1:]
    }


def _mistakes(
    state: Mapping[str, Tensor], given: Mapping[str, Tensor], heads: set[str], path: str | Path, where: str
) -> list[Finding]:
    missing = [name for name in state if name not in given and not name.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in state]
    shapes = [
        f"{name} {list(value.shape)} for {list(state[name].shape)}"
        for name, value in given.items()
        if name in state and name not in heads and value.shape != state[name].shape
    ]
    findings = []
    if missing and unknown and not given.keys() & state.keys():
        message = f"{path} is for another model: it has {_listed(unknown)}, the model {_listed(missing)}"
        return [Finding("other-model", "error", where, message, "name the model that the weights were saved from")]
    if missing:
        fix = "name the model that the weights were saved from"
        if all(name.startswith(_AUXILIARY) for name in missing):
            fix = "set aux_logits: false"
        findings.append(Finding("missing-weights", "error", where, f"{path} lacks {_listed(missing)}", fix))
    if unknown:
        message = f"{path} holds what the model lacks: {_listed(unknown)}"
        fix = "name the model that the weights were saved from"
        findings.append(Finding("unknown-weights", "error", where, message, fix))
    if shapes:
        message = f"shapes in {path} differ from the model's: {_listed(shapes)}"
        fix = "give the model the options, and the data the channels, that the weights were made for"
        findings.append(Finding("weight-shapes", "error", where, message, fix))
    return findings


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
