"""Torchwork: the whole of a run from a config, or the loop alone by `torchwork.fit`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.contenders.work import MEAN, STD, Marks, Work

import torchwork
from torchwork.types import Finding, Step


def config(work: Work, **train: Any) -> dict[str, Any]:
    """Return the job as a config: the arrays with their own splits, in the order of the seed."""
    images = "x_val" in work.arrays()
    transform = [{"name": "Normalize", "mean": MEAN, "std": STD}] if images else []
    return {
        "seed": int(work.folder.name.rpartition("-")[2]),
        "data": {
            "source": {"name": "Arrays", "path": str(work.folder / "data.npz")},
            "split": {"by": "given", "train": 1.0},
            "transform": transform,
            "batch_size": work.batch,
        },
        "model": json.loads((work.folder / "model.json").read_text()),
        "optimizer": {"name": "Adam", "lr": work.lr},
        "train": {"epochs": work.epochs, **train},
    }


class Watching:
    """Is told of a run's steps and epochs; the losses of steps are read only where they are to be compared."""

    def __init__(self, prove: bool) -> None:
        self.marks, self.prove, self.updates, self.samples = Marks(), prove, 0, 0

    def start(self, run_directory: Path, outlook: Any) -> None:
        """Begin to time: the first epoch starts."""
        self.marks.at[0] = Marks().at[0]

    def step(self, step: Step, epoch: int) -> None:
        """Count."""
        self.updates, self.samples = step.index, self.samples + step.samples
        if self.prove:
            self.marks.loss(step.loss)

    def epoch(self, row: dict[str, float]) -> None:
        """Note the end of an epoch."""
        self.marks.epoch(row.get("val_loss"), row.get("val_accuracy"))

    def message(self, text: str) -> None:
        """Show nothing."""

    def finding(self, found: Finding) -> None:
        """Show nothing."""

    def stop(self) -> None:
        """Nothing is left to do."""


def train(work: Work, **options: Any) -> dict[str, Any]:
    """Train by a config into a run directory, with history, checkpoints and all that a run writes on its way."""
    watching = Watching(work.prove)
    with tempfile.TemporaryDirectory() as folder:
        with stopping_when_trained(watching, work.epochs):
            torchwork.train(config(work, **options), out=Path(folder) / "run", progress=watching)
        resolved = (Path(folder) / "run" / "config.yaml").read_text()
    result = watching.marks.result(updates=watching.updates, samples=watching.samples)
    return result | {"chosen": [line.strip() for line in resolved.splitlines() if "precision:" in line]}


class _TrainedError(Exception):
    """Training is over: the report is not what is timed here."""


@contextmanager
def stopping_when_trained(watching: Watching, epochs: int) -> Iterator[None]:
    """Leave out what a run does after training."""

    def stop() -> None:
        if len(watching.marks.at) > epochs:
            raise _TrainedError

    watching.stop = stop  # type: ignore[method-assign]
    with suppress(_TrainedError):
        yield


def fit(work: Work) -> dict[str, Any]:
    """Train a module on tensors by `torchwork.fit`."""
    marks, model = Marks(), work.model()
    val, seen = work.val(), []

    def watch(step: Step) -> None:
        seen.append(step.samples)
        if work.prove:
            marks.loss(step.loss)

    common: dict[str, Any] = {"optimizer": {"name": "Adam", "lr": work.lr}, "epochs": work.epochs}
    common |= {"batch_size": work.batch, "seed": int(work.folder.name.rpartition("-")[2])}
    common |= {"on_epoch": lambda row: marks.epoch(row.get("val_loss"), row.get("val_accuracy"))}
    if val is None:
        common["monitor"] = "train_loss"
    torchwork.fit(model, work.train(), val, loss="CrossEntropyLoss", watchers=[watch] if work.prove else [], **common)
    count = len(work.train()[0])
    return marks.result(updates=-(-count // work.batch) * work.epochs, samples=count * work.epochs)


CONTENDERS = {
    "ours": train,
    "ours-auto": lambda work: train(work, precision="auto"),
    "ours-fit": fit,
}
