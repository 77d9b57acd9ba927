"""Ignite: as its documentation shows it, and with what it advises for speed."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.contenders.loaders import loaders_in_memory, usual_loaders
from benchmarks.contenders.work import Marks, Work, updates_of
from ignite.engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from ignite.metrics import Accuracy, Loss


def documented(work: Work) -> dict[str, Any]:
    """Train with ``create_supervised_trainer`` and evaluate with its metrics, from torchvision's kind of data set."""
    return _run(work, *usual_loaders(work), fused=False)


def tuned(work: Work) -> dict[str, Any]:
    """Train from tensors in memory with the fused optimizer."""
    return _run(work, *loaders_in_memory(work), fused=True)


def _run(work: Work, loader: Any, tests: Any, *, fused: bool) -> dict[str, Any]:
    model, marks, criterion = work.model(), Marks(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=work.lr, fused=fused or None)
    trainer = create_supervised_trainer(model, optimizer, criterion)
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy(), "loss": Loss(criterion)})

    @trainer.on(Events.EPOCH_COMPLETED)
    def judge(engine: Engine) -> None:
        if tests is None:
            marks.epoch()
            return
        told = evaluator.run(tests).metrics
        marks.epoch(told["loss"], told["accuracy"])

    if work.prove:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: marks.loss(engine.state.output))
    trainer.run(loader, max_epochs=work.epochs)
    return marks.result(updates=updates_of(optimizer), samples=len(work.train()[0]) * trainer.state.epoch)


CONTENDERS = {"ignite": documented, "ignite-tuned": tuned}
