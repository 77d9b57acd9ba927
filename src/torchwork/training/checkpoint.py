"""Checkpoints on disk: a directory each, whole or not there at all.

::

    checkpoints/00000120/   model.safetensors  optimizer.safetensors  state.json  manifest.json

The name is the number of windows consumed. A checkpoint is never overwritten; the last one and the best one are kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from torchwork import durable, rundir
from torchwork.optim import state as optimizer_state
from torchwork.training.state import Progress, State
from torchwork.types import Finding, RunError

FORMAT = 1
_MODEL, _OPTIMIZER, _STATE, _MANIFEST = "model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"


def pack(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors as safetensors can hold them (contiguous, on the CPU, each storage once) and the aliases left out.

    >>> import torch
    >>> w = torch.ones(2)
    >>> pack({"a": w, "b": w})
    ({'a': tensor([1., 1.])}, {'b': 'a'})
    """
    kept: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and place in seen:
            aliases[name] = seen[place]
        else:
            seen[place] = name
            kept[name] = tensor.detach().cpu().contiguous().clone()
    return kept, aliases


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's state_dict as a safetensors file; tied tensors once, their other names in its metadata."""
    tensors, aliases = pack(model.state_dict())
    durable.write_file(path, safetensors.torch.save(tensors, metadata={"aliases": json.dumps(aliases)}))


def load_weights(model: nn.Module, path: Path) -> None:
    """Read weights that `save_weights` wrote; every name must match.

    Raises:
        RunError: the file is damaged, or its tensors are not this model's.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
            aliases = json.loads((file.metadata() or {}).get("aliases", "{}"))
        tensors |= {name: tensors[kept] for name, kept in aliases.items()}
        model.load_state_dict(tensors)
    except (OSError, safetensors.SafetensorError, RuntimeError) as error:
        raise RunError(f"{path} cannot be loaded into this model: {error}") from error


def save(state: State, directory: Path, *, is_best: bool) -> Path:
    """Write a checkpoint of the state below ``directory``; older ones go, except the best."""
    place = directory / f"{state.progress.index:08d}"
    if not is_whole(place):  # else the same weights, saved already: asked to stop in the last step of an epoch
        shutil.rmtree(place, ignore_errors=True)  # damaged: resuming went on from an older one, and came here again
        tensors, values = optimizer_state.save(state.optimizer, state.model)
        content = {
            "format": FORMAT,
            "progress": asdict(state.progress),
            "optimizer": values,
            "schedule": state.schedule.state_dict() if state.schedule is not None else None,
        }
        with durable.new_directory(place) as partial:
            save_weights(state.model, partial / _MODEL)
            (partial / _OPTIMIZER).write_bytes(safetensors.torch.save(pack(tensors)[0]))
            rundir.write_json(partial / _STATE, content)
            rundir.write_json(partial / _MANIFEST, _manifest(partial))
    if is_best:
        _point_to(directory, place)
    keep = {place.name, _best_name(directory)}
    for old in directory.iterdir():
        if old.is_dir() and old.name not in keep:
            shutil.rmtree(old)
    return place


def _point_to(directory: Path, place: Path) -> None:
    durable.write_file(directory / "best", place.name)


def _best_name(directory: Path) -> str | None:
    pointer = directory / "best"
    return pointer.read_text() if pointer.is_file() else None


def _manifest(directory: Path) -> dict[str, dict[str, Any]]:
    return {
        file.name: {"size": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        for file in sorted(directory.iterdir())
    }


def is_whole(place: Path) -> bool:
    """Tell whether a checkpoint's files are those that its manifest lists, byte for byte."""
    try:
        manifest = rundir.read_json(place / _MANIFEST)
        found = _manifest(place)
    except (OSError, ValueError):
        return False
    found.pop(_MANIFEST, None)
    return manifest == found


def latest(directory: Path) -> Path | None:
    """Return the newest whole checkpoint that leads to the run's result, or None.

    One whose best epoch before it was lost does not: the best weights can only be trained again.
    """
    whole = (place for place in _places(directory) if is_whole(place))
    return next((place for place in whole if _has_its_best(place)), None)


def damaged(directory: Path) -> list[Path]:
    """Return the checkpoints whose files are not those that their manifests list."""
    return [place for place in _places(directory) if not is_whole(place)]


def _places(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted((place for place in directory.iterdir() if place.name.isdecimal()), reverse=True)


def _is_the_best(progress: dict[str, Any]) -> bool:
    return (
        progress["best_epoch"] is not None and progress["best_epoch"] == progress["epoch"] and not progress["position"]
    )


def _has_its_best(place: Path) -> bool:
    progress = rundir.read_json(place / _STATE)["progress"]
    return progress["best_epoch"] is None or _is_the_best(progress) or best(place.parent) is not None


def best(directory: Path) -> Path | None:
    """Return the checkpoint of the best epoch, or None where no epoch was judged or its checkpoint is damaged."""
    name = _best_name(directory)
    place = directory / name if name else None
    return place if place is not None and is_whole(place) else None


def load(place: Path, state: State) -> list[Finding]:
    """Put a checkpoint into a freshly built state; return what of the optimizer's state could not be matched.

    Raises:
        RunError: the checkpoint was written in a newer format, or does not belong to this model.
    """
    content = rundir.read_json(place / _STATE)
    if content["format"] > FORMAT:
        raise RunError(f"{place} has format {content['format']}; this version reads up to {FORMAT}: update torchwork")
    load_weights(state.model, place / _MODEL)
    tensors = safetensors.torch.load_file(place / _OPTIMIZER)
    findings = optimizer_state.load(state.optimizer, state.model, tensors, content["optimizer"])
    if state.schedule is not None and content["schedule"] is not None:
        state.schedule.load_state_dict(content["schedule"])
    progress = content["progress"]
    if progress["best"] is not None:
        progress["best"] = float(progress["best"])  # JSON has no infinity but as a text
    if _is_the_best(progress):  # it may have stopped before this was noted
        _point_to(place.parent, place)
    state.progress = Progress(**progress)
    return findings


def load_best_weights(place: Path, model: nn.Module) -> None:
    """Put a checkpoint's weights into a model."""
    load_weights(model, place / _MODEL)
