"""Accelerate: as its documentation shows it, and tuned."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from benchmarks.contenders.loaders import loaders_in_memory, usual_loaders
from benchmarks.contenders.work import Marks, Work, updates_of
from torch.nn import functional as F


def documented(work: Work) -> dict[str, Any]:
    """Prepare model, optimizer and loaders as the quick tour does, with torchvision's kind of data set."""
    return _run(work, *usual_loaders(work), fused=False)


def tuned(work: Work) -> dict[str, Any]:
    """Train from tensors in memory with the fused optimizer."""
    return _run(work, *loaders_in_memory(work), fused=True)


def _run(work: Work, loader: Any, tests: Any, *, fused: bool) -> dict[str, Any]:
    accelerator = Accelerator(cpu=True)
    model = work.model()
    bare = torch.optim.Adam(model.parameters(), lr=work.lr, fused=fused or None)
    model, optimizer, loader = accelerator.prepare(model, bare, loader)
    tests = None if tests is None else accelerator.prepare(tests)
    marks, samples = Marks(), 0
    for _ in range(work.epochs):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            accelerator.backward(loss)
            optimizer.step()
            samples += len(y)
            if work.prove:
                marks.loss(loss)
        marks.epoch(*(judged(accelerator, model, tests) if tests is not None else ()))
    return marks.result(updates=updates_of(bare), samples=samples)


def judged(accelerator: Any, model: Any, tests: Any) -> tuple[float, float]:
    """Return mean loss and accuracy over the samples of all processes."""
    model.eval()
    total, right, count = 0.0, 0, 0
    for x, y in tests:
        with torch.no_grad():
            output = model(x)
        output, y = accelerator.gather_for_metrics((output, y))
        total += F.cross_entropy(output, y, reduction="sum").item()
        right += int((output.argmax(1) == y).sum())
        count += len(y)
    return total / count, right / count


CONTENDERS = {"accelerate": documented, "accelerate-tuned": tuned}
