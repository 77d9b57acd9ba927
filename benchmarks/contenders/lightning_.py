"""Lightning: as its documentation shows it, and tuned as its documentation advises."""

from __future__ import annotations

import logging
import tempfile
import warnings
from typing import Any

import lightning
import torch
from benchmarks.contenders.bare import Pictures
from benchmarks.contenders.work import InOrder, Marks, Work, updates_of
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Classifier(lightning.LightningModule):
    """The module of Lightning's introduction, with a validation step."""

    def __init__(self, work: Work, *, fused: bool) -> None:
        super().__init__()
        self.model, self._lr, self._fused = work.model(), work.lr, fused

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """Return the loss of a batch, logged where that is the usual way."""
        x, y = batch
        loss = F.cross_entropy(self.model(x), y)
        if not self._fused:
            self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        """Log loss and accuracy over the epoch."""
        x, y = batch
        output = self.model(x)
        self.log_dict({"loss": F.cross_entropy(output, y), "accuracy": (output.argmax(1) == y).float().mean()})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=self._lr, fused=self._fused or None)


class Watching(lightning.Callback):
    """Notes the end of each epoch; the losses of steps where they are compared."""

    def __init__(self, marks: Marks, prove: bool) -> None:
        self.marks, self.prove = marks, prove

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Keep the loss."""
        if self.prove:
            self.marks.loss(outputs["loss"])

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Note the end of the epoch, which comes after its validation."""
        told = trainer.callback_metrics
        self.marks.epoch(told.get("loss"), told.get("accuracy"))


def documented(work: Work) -> dict[str, Any]:
    """Train with the Trainer's defaults: a logger, checkpoints, a progress bar, and torchvision's kind of data set."""
    arrays = work.arrays()
    if "x_val" in arrays:
        train, val = (Pictures(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "val"))
        return _run(work, train, val, fused=False)
    return _run(work, TensorDataset(*work.train()), None, fused=False)


def tuned(work: Work) -> dict[str, Any]:
    """Train from tensors in memory with the fused optimizer, without logger, checkpoints and progress bar."""
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    val = work.val()
    options = {**off, "num_sanity_val_steps": 0}
    return _run(work, TensorDataset(*work.train()), TensorDataset(*val) if val else None, fused=True, **options)


def _run(work: Work, train: Any, val: Any, *, fused: bool, **options: Any) -> dict[str, Any]:
    marks = Marks()
    model = Classifier(work, fused=fused)
    loader = DataLoader(train, work.batch, sampler=InOrder(work.orders()))
    tests = None if val is None else DataLoader(val, work.batch)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=work.epochs,
            accelerator="cpu",
            default_root_dir=folder,
            callbacks=[Watching(marks, work.prove)],
            **options,
        )
        trainer.fit(model, loader, tests)
    updates = updates_of(trainer.optimizers[0])
    return marks.result(updates=updates, samples=len(train) * trainer.current_epoch)


CONTENDERS = {"lightning": documented, "lightning-tuned": tuned}
