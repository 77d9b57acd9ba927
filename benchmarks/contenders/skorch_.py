"""skorch: as its documentation shows it, and tuned."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.contenders.work import InOrder, Marks, Work, updates_of
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from torch.utils.data import TensorDataset


class Watching(Callback):
    """Notes the end of each epoch; the losses of steps where they are compared."""

    def __init__(self, marks: Marks, prove: bool) -> None:
        self.marks, self.prove = marks, prove

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **told: Any) -> None:
        """Keep the loss."""
        if training and self.prove:
            self.marks.loss(told["loss"])

    def on_epoch_end(self, net: Any, **told: Any) -> None:
        """Note the end of the epoch."""
        row = net.history[-1]
        self.marks.epoch(row.get("valid_loss"), row.get("valid_acc"))


def documented(work: Work) -> dict[str, Any]:
    """Fit a NeuralNetClassifier on arrays, with its default callbacks."""
    return _run(work, fused=False, iterator_train__sampler=InOrder(work.orders()))


def tuned(work: Work) -> dict[str, Any]:
    """Fit on a data set of tensors without printing, with the fused optimizer."""
    quiet = {"verbose": 0, "callbacks__print_log": None, "optimizer__fused": True}
    return _run(work, fused=True, iterator_train__sampler=InOrder(work.orders()), **quiet)


def _run(work: Work, *, fused: bool, **options: Any) -> dict[str, Any]:
    x, y = work.train()
    val, marks = work.val(), Marks()
    net = NeuralNetClassifier(
        work.model(),
        max_epochs=work.epochs,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=work.lr,
        batch_size=work.batch,
        train_split=None if val is None else predefined_split(TensorDataset(*val)),
        callbacks=[("watching", Watching(marks, work.prove))],
        **options,
    )
    if fused:
        net.fit(TensorDataset(x, y), None)
    else:
        net.fit(x.numpy(), y.numpy())
    return marks.result(updates=updates_of(net.optimizer_), samples=len(x) * len(net.history))


CONTENDERS = {"skorch": documented, "skorch-tuned": tuned}
