"""A run as it is found on disk: its figures, and its model ready to predict."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from torchwork import building, config, rundir
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.training import device as devices
from torchwork.training import precision, weights
from torchwork.types import Finding, InputError
from torchwork.use.predict import predict
from torchwork.use.samples import open_samples


class Run:
    """A run directory, and the trained model in it, ready to predict.

    Nothing but the directory is needed: not the data, and of a model given by import path only its code.
    """

    def __init__(self, path: Path) -> None:
        self.path = rundir.existing(path)
        self.config = config.load(self.path / rundir.CONFIG)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows of a run: what was done, the headline numbers, the main plots."""
        from torchwork.report import notebook

        return notebook.element(self.path)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The metrics of each evaluated split: ``{"val": {...}, "test": {...}}``."""
        return rundir.read_metrics(self.path)

    @property
    def history(self) -> list[dict[str, float]]:
        """One row an epoch, as in history.csv."""
        return rundir.read_history(self.path)

    @cached_property
    def data(self) -> dict[str, Any]:
        """The facts about the data: classes, shapes, counts."""
        with rundir.understood(self.path / rundir.DATA):
            return dict(rundir.read_json(self.path / rundir.DATA))

    @cached_property
    def device(self) -> torch.device:
        """Where predictions are computed: the run's device where it is there, else the best that is."""
        return devices.choose(self.config.device if self.config.device in devices.present() else "auto")

    @cached_property
    def target(self) -> Target:
        """What the targets mean, as fixed by the training split."""
        with rundir.understood(self.path / rundir.DATA):
            # code is named by the config alone, never by a file that a program wrote
            return Target.from_state({**self.data["encoding"], "target_transform": self.config.data.target_transform})

    @cached_property
    def task(self) -> Any:
        """What outputs and targets mean."""
        return building.build_task(self.config, self.target)

    @cached_property
    def model(self) -> nn.Module:
        """The model with its best weights, in evaluation mode and in the run's precision where the device has it."""
        file = self.path / rundir.MODEL
        if not file.is_file():
            message = f"{self.path} holds no {rundir.MODEL}: the run has not ended"
            fix = f"go on with it: torchwork resume {self.path}"
            raise InputError(Finding("no-model", "error", str(self.path), message, fix))
        outputs = self.task.num_outputs
        with rundir.understood(self.path / rundir.DATA):
            model, _ = building.build_model(self._here(), self.data, outputs, self.device, pretrained=False)
        weights.load_weights(model, file)
        return model.eval()

    def _here(self) -> config.Config:
        """Return the config with the precision that this device has: fp32 in place of fp16 on a CPU."""
        try:
            precision.check(self.config.train.precision, self.device)
        except InputError:
            train = self.config.train.model_copy(update={"precision": "fp32"})
            return self.config.model_copy(update={"train": train})
        return self.config

    @cached_property
    def pipeline(self) -> Pipeline:
        """The transform with what it learnt from the training split."""
        with rundir.understood(self.path / rundir.DATA):
            pipeline = building.pipeline_from(self.config, self.data)
        with rundir.understood(self.path / rundir.FITTED, safetensors.SafetensorError, RuntimeError):
            pipeline.load(safetensors.torch.load_file(self.path / rundir.FITTED), self.data)
        return pipeline

    def predict(self, inputs: Any) -> list[dict[str, Any]]:
        """Predict new samples.

        Args:
            inputs: A path or several (images, sounds, CSV files, ``.npz``), a DataFrame with the columns of the
                training table, an array with the samples along its first axis, as the source gives them before the
                transform, or a data set with items as those of training.

        Returns:
            One dict a sample: ``name``, ``prediction`` and, for classes, ``probability`` and ``scores``.

        Raises:
            InputError: a file is missing or unreadable, or has not what the model was trained on.
        """
        with rundir.understood(self.path / rundir.DATA):
            source = open_samples(inputs, self.data, dict(self.config.data.source))
        model = self.model
        with devices.using_threads(self.config.train.threads or devices.default_threads()):
            return predict(
                model,
                self.task,
                self.pipeline,
                source,
                self.device,
                input_shape=self.data["input_shape"],
                batch_size=self.config.data.batch_size,
            )


def load(path: str | Path) -> Run:
    """Open a run directory.

    Raises:
        InputError: it is none.
    """
    return Run(Path(path))
