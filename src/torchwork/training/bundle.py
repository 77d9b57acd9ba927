"""A window that was not finite, as files that replay it: safetensors and JSON, no pickle.

::

    faults/00000123/   fault.json  window.safetensors (its batches)  model.safetensors (the weights that it met)
                       config.yaml  data.json (of the run: what the model and the task are built from)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from torchwork import durable, rundir
from torchwork.training import weights
from torchwork.training.diagnosis import Fault, Origin
from torchwork.types import Batch, Finding, InputError, RunError

FAULT, WINDOW, MODEL = "fault.json", "window.safetensors", "model.safetensors"


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds: the window, what it draws from, what was found in it, and what its samples are called."""

    index: int
    epoch: int
    what: str
    loss: float
    total: float
    layer_seed: int
    origin: Origin
    names: dict[int, str]
    window: list[Batch]


def write(place: Path, fault: Fault, found: Origin, names: Mapping[int, str], others: Mapping[str, bytes]) -> None:
    """Write a bundle, whole or not at all; one that is there already is replaced.

    Raises:
        OSError: it could not be written.
    """
    content = {
        "index": fault.index,
        "epoch": fault.epoch,
        "what": fault.what,
        "loss": fault.loss,
        "total": fault.total,
        "layer_seed": fault.layer_seed,
        "origin": asdict(found),
        "names": names,
        "batches": len(fault.window),
    }
    files = {
        FAULT: (json.dumps(rundir.plain(content), indent=1, ensure_ascii=False) + "\n").encode(),
        WINDOW: safetensors.torch.save(_tensors(fault.window)),
        MODEL: weights.to_bytes(*weights.copied(fault.model.state_dict())),
    }
    if place.is_dir():
        durable.remove_directory(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    durable.write_directory(place, {**files, **others})


def _tensors(window: list[Batch]) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for number, batch in enumerate(window):
        inputs = batch.inputs if isinstance(batch.inputs, dict) else {"": batch.inputs}
        columns = {f"inputs/{name}": value for name, value in inputs.items()}
        columns |= {"target": batch.target, "ids": torch.from_numpy(batch.ids)}
        found |= {f"{number}/{key}": value.detach().cpu().contiguous().clone() for key, value in columns.items()}
    return found


def read(place: Path, device: torch.device) -> Bundle:
    """Read a bundle, its tensors onto a device.

    Raises:
        InputError: it is none, or it is damaged.
    """
    try:
        content = json.loads((place / FAULT).read_text(encoding="utf-8"))
        tensors = weights.read(place / WINDOW)
        window = [_batch(tensors, number, device) for number in range(content["batches"])]
        loss = content["origin"]["loss"]
        rows = {key: tuple(content["origin"][key]) for key in ("ids", "inputs")}
        origin = Origin(**{**content["origin"], **rows, "loss": None if loss is None else float(loss)})
        names = {int(key): str(name) for key, name in content["names"].items()}
        return Bundle(
            index=int(content["index"]),
            epoch=int(content["epoch"]),
            what=str(content["what"]),
            loss=float(content["loss"]),
            total=float(content["total"]),
            layer_seed=int(content["layer_seed"]),
            origin=origin,
            names=names,
            window=window,
        )
    except (OSError, RunError, ValueError, KeyError, TypeError, AttributeError) as error:
        found = "no such directory" if not place.is_dir() else str(error) or type(error).__name__
        message, fix = f"is no bundle to replay: {found}", "give one that a run left, as runs/digits/1/faults/00000123"
        raise InputError(Finding("no-bundle", "error", str(place), message, fix)) from error


def _batch(tensors: dict[str, Any], number: int, device: torch.device) -> Batch:
    start = f"{number}/inputs/"
    inputs = {key.removeprefix(start): value.to(device) for key, value in tensors.items() if key.startswith(start)}
    target, ids = tensors[f"{number}/target"].to(device), tensors[f"{number}/ids"].numpy()
    return Batch(inputs[""] if list(inputs) == [""] else inputs, target, ids)
