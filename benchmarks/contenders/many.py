"""Several processes on one machine, started by `torchrun`: the same global batch, shared out.

``ours-1x2`` is one process with two threads, ``-2x1`` two with one thread each, ``-torchrun`` one process that torchrun
started.

``skipped`` says how many steps of an only epoch are made before its time begins.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.contenders import ours
from benchmarks.contenders.work import Marks, clock

SHAPES = {"1x2": (1, 2), "2x1": (2, 1), "torchrun": (1, 2)}  # processes, threads of each


def run(name: str, job: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Start the processes of a contender, and return what the first of them tells."""
    who, _, shape = name.partition("-")
    count, threads = SHAPES[shape]
    started = [sys.executable]
    if shape != "1x2":
        started += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "told.json"
        given = json.dumps({**settings, "to": str(to), "processes": count, "threads": threads})
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        command = [*started, "-m", "benchmarks.contenders.many", who, given]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=Path.cwd())
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return json.loads(to.read_text())


def _of_one(who: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Be one of the processes."""
    import torch

    torch.set_num_threads(settings["threads"])
    return {"ours": _ours, "lightning": _lightning, "accelerate": _accelerate}[who](settings)


def _work(settings: dict[str, Any]) -> Any:
    from benchmarks.contenders.work import Work

    return Work(Path(settings["folder"]), settings["batch"], settings["lr"], settings["epochs"])


class _Watching(ours.Watching):
    """Begins to time after the steps that are skipped."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(prove=False)
        self._skipped = settings.get("skipped", 0)

    def step(self, step: Any, epoch: int) -> None:
        """Count, and perhaps begin."""
        super().step(step, epoch)
        _begin(self.marks, step.index, self._skipped)


def _begin(marks: Any, steps: int, skipped: int) -> None:
    if steps == skipped:
        marks.at[0] = clock()


def _ours(settings: dict[str, Any]) -> dict[str, Any]:
    from benchmarks.contenders import photos

    import torchwork

    if settings["model"] == "LeNet":
        config = ours.config(_work(settings), threads=settings["threads"])
    else:
        config = photos.config(settings)
        config["train"]["threads"] = settings["threads"]
    watching = _Watching(settings)
    # every process its own place: they agree on the first one's
    with tempfile.TemporaryDirectory() as folder:
        torchwork.train(config, out=Path(folder) / "run", progress=watching, report=False)
    if not watching.updates:  # only the first process is told of steps
        return {}
    return watching.marks.result(updates=watching.updates, samples=watching.samples)


def _data(settings: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return the data set to learn from, the one to judge by or None, and the model."""
    from benchmarks.contenders import photos
    from torch.utils.data import TensorDataset

    if settings["model"] != "LeNet":
        return photos.Files(Path(settings["folder"])), None, photos.resnet18()
    work = _work(settings)
    return TensorDataset(*work.train()), TensorDataset(*work.val()), work.model()


def _optimizer(parameters: Any, settings: dict[str, Any]) -> Any:
    import torch

    if settings["model"] == "LeNet":
        return torch.optim.Adam(parameters, lr=settings["lr"], fused=True)
    return torch.optim.SGD(parameters, lr=settings["lr"], momentum=0.9, weight_decay=5e-4, fused=True)


def _loaders(train: Any, val: Any, settings: dict[str, Any]) -> tuple[Any, Any]:
    """Return loaders of a process's part of the batch; files are read in one worker of each process."""
    from torch.utils.data import DataLoader

    workers = {"num_workers": 1, "persistent_workers": True} if val is None else {}
    size = settings["batch"] // settings["processes"]
    return DataLoader(train, size, shuffle=True, **workers), None if val is None else DataLoader(val, size)


def _lightning(settings: dict[str, Any]) -> dict[str, Any]:
    """Train by Lightning's DDP, without logger, checkpoints and bar."""
    import lightning
    from benchmarks.contenders.lightning_ import Watching
    from torch.nn import functional as F

    train, val, net = _data(settings)

    class Classifier(lightning.LightningModule):
        """A classifier of Lightning's."""

        def __init__(self) -> None:
            super().__init__()
            self.model = net

        def training_step(self, batch: Any, index: int) -> Any:
            return F.cross_entropy(self.model(batch[0]), batch[1])

        def validation_step(self, batch: Any, index: int) -> None:
            output = self.model(batch[0])
            right = (output.argmax(1) == batch[1]).float().mean()
            self.log_dict({"loss": F.cross_entropy(output, batch[1]), "accuracy": right}, sync_dist=True)

        def configure_optimizers(self) -> Any:
            return _optimizer(self.parameters(), settings)

    class Counting(Watching):
        """Begins to time after the steps that are skipped."""

        def on_train_batch_end(self, trainer: Any, *others: Any) -> None:
            _begin(marks, trainer.global_step, settings.get("skipped", 0))

    marks = Marks()
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    watching: Any = [Counting(marks, prove=False)]
    options: dict[str, Any] = {"max_epochs": settings["epochs"], "num_sanity_val_steps": 0, **off}
    options |= {"accelerator": "cpu", "devices": settings["processes"], "strategy": "ddp"}
    trainer = lightning.Trainer(callbacks=watching, **options)
    loader, tests = _loaders(train, val, settings)
    trainer.fit(Classifier(), loader, tests)
    return marks.result(updates=trainer.global_step, samples=len(train) * settings["epochs"])


def _accelerate(settings: dict[str, Any]) -> dict[str, Any]:
    """Train by Accelerate."""
    from accelerate import Accelerator
    from benchmarks.contenders.accelerate_ import judged
    from torch.nn import functional as F

    accelerator = Accelerator(cpu=True)
    train, val, net = _data(settings)
    loader, tests = _loaders(train, val, settings)
    model, optimizer, loader = accelerator.prepare(net, _optimizer(net.parameters(), settings), loader)
    tests = None if tests is None else accelerator.prepare(tests)
    marks = Marks()
    for _ in range(settings["epochs"]):
        model.train()
        for place, (x, y) in enumerate(loader, start=1):
            optimizer.zero_grad()
            accelerator.backward(F.cross_entropy(model(x), y))
            optimizer.step()
            _begin(marks, place, settings.get("skipped", 0))
        marks.epoch(*(judged(accelerator, model, tests) if tests is not None else ()))
    return marks.result(updates=len(loader) * settings["epochs"], samples=len(train) * settings["epochs"])


if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    told = _of_one(sys.argv[1], given)
    if os.environ.get("RANK", "0") == "0":
        Path(given["to"]).write_text(json.dumps(told))
