"""Parts of the work alone: batches out of memory, and an evaluation with its metrics."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.contenders.work import Work
from torch.utils.data import DataLoader, TensorDataset


def run(name: str, job: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Do one part, several times, and tell the fastest."""
    work = Work(Path(settings["folder"]), settings["batch"], 1e-3)
    part = {"gather": _gather, "evaluation": _evaluation}[job]
    return part(name, work, settings["repeats"])


def fastest(function: Callable[[], Any], repeats: int) -> float:
    """Return the seconds of the fastest of several calls, after one that warms up."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def _gather(name: str, work: Work, repeats: int) -> dict[str, Any]:
    """Go through an epoch's batches, normalised floats, without a model."""
    torch.set_num_threads(1)
    if name == "ours":
        parts = _parts(work)
        epoch = iter(range(10_000))
        loader = parts.data.loaders["train"]
        seconds = fastest(lambda: [len(batch.ids) for batch in loader.batches(next(epoch))], repeats)
        return {"seconds": seconds, "batches": len(loader)}
    x, y = work.train()
    if name == "memory":  # the limit: as many bytes copied in one piece
        to = torch.empty_like(x)
        return {"seconds": fastest(lambda: to.copy_(x), repeats), "bytes": x.nbytes}
    loader = DataLoader(TensorDataset(x, y), work.batch, shuffle=True)
    return {"seconds": fastest(lambda: [len(target) for _, target in loader], repeats), "batches": len(loader)}


def _evaluation(name: str, work: Work, repeats: int) -> dict[str, Any]:
    """Run the model over the samples to judge by: forward alone, or with losses, predictions and metrics."""
    parts = _parts(work)
    if name == "bare":
        x, _ = work.val()
        parts.model.eval()

        def forward() -> None:
            with torch.inference_mode():
                for start in range(0, len(x), 256):
                    parts.model(x[start : start + 256])

        return {"seconds": fastest(forward, repeats)}
    from torchwork import rundir
    from torchwork.beginning import write_beginning
    from torchwork.metrics import final
    from torchwork.training.evaluate import evaluate

    batches = parts.data.loaders["val"]
    seconds = fastest(lambda: evaluate(parts.model, parts.task, batches), repeats)
    evaluation = evaluate(parts.model, parts.task, batches)
    with tempfile.TemporaryDirectory() as folder:
        directory = rundir.create(Path(folder) / "run", "run")
        write_beginning(parts, directory)
        path = directory / rundir.predictions("val")
        rundir.write_csv(path, *parts.task.table(evaluation))
        facts = rundir.read_json(directory / rundir.DATA)
        metrics = fastest(lambda: final.of_split(path, facts), repeats)
    return {"seconds": seconds, "metrics": metrics, "samples": len(evaluation.ids), "accuracy": _right(evaluation)}


def _right(evaluation: Any) -> float:
    return float(np.mean(evaluation.outputs.argmax(1).numpy() == evaluation.targets.numpy()))


def _parts(work: Work) -> Any:
    """Return the objects of a run, with the number of threads of this process."""
    from benchmarks.contenders.ours import config

    from torchwork import assembly
    from torchwork.config import load

    return assembly.assemble(load(config(work, threads=torch.get_num_threads())))
