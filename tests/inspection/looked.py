"""Runs as they are at their end, without the training: a split evaluated, its files written, the model looked into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from torchwork import assembly, config, rundir
from torchwork.inspection.look import look
from torchwork.inspection.subject import Subject
from torchwork.training.evaluate import evaluate


def settings(source: Any, model: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    data = {"source": source, "batch_size": 8, "split": {"train": 0.5, "val": 0.2, "test": 0.3}}
    return {
        "name": "looked",
        "data": {**data, **others.pop("data", {})},
        "model": dict(model),
        "optimizer": {"name": "SGD", "lr": 0.01},
        "train": {"epochs": 1},
        **others,
    }


def pictures(folder: Path, channels: int = 3, side: int = 32, count: int = 40, classes: int = 2) -> dict[str, Any]:
    """Write pictures of noise whose brightness tells the class; return the source's spec."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(0)
    y = np.arange(count) % classes
    x = numbers.integers(0, 160, (count, channels, side, side)) + y[:, None, None, None] * 40
    np.savez(folder / "pictures.npz", x=x.clip(0, 255).astype(np.uint8), y=y)
    return {"name": "Arrays", "path": str(folder / "pictures.npz"), "inputs": "x", "target": "y"}


def subject(given: Mapping[str, Any], directory: Path) -> Subject:
    """Return a model as it starts, with the files of its evaluation written."""
    parts = assembly.assemble(config.load(given))
    rundir.create(directory, "looked")
    meaning = {"task": type(parts.task).__name__.lower(), "loss": parts.task.criterion.name}
    rundir.write_json(directory / rundir.DATA, {**parts.data.facts(), **meaning})
    (directory / rundir.CONFIG).write_text(config.dump(parts.config), encoding="utf-8")
    for split in set(parts.data.splits) & {"val", "test"}:
        found = evaluate(parts.model, parts.task, parts.data.loaders[split])
        rundir.write_csv(directory / rundir.predictions(split), *parts.task.table(found))
        arrays = {"id": found.ids, "output": found.outputs, "target": found.targets}
        np.savez(directory / rundir.ARRAYS / f"outputs-{split}.npz", **{k: v.numpy() for k, v in arrays.items()})
    data = parts.data
    places = (data.source, data.splits, data.pipeline, data.target)
    return Subject(parts.model, parts.task, *places, torch.device("cpu"), 0, directory)


def looked(given: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Return what is found in a model as it starts."""
    return look(subject(given, directory))
