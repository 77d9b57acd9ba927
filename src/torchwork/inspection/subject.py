"""What is looked at after training: a model with its data, and how a split was judged."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchwork import rundir
from torchwork.data.loader import Loader
from torchwork.data.transform import Pipeline
from torchwork.inspection.calls import Call, calls, multiply_adds
from torchwork.inspection.guard import UnavailableError, untouched
from torchwork.inspection.judged import Judged, judged
from torchwork.tasks.explained import explained
from torchwork.types import Batch, Source

# About what one core multiplies in a second; a part takes fewer samples of a model that needs more.
_BUDGET = 10_000_000_000


@dataclass
class Subject:
    """A trained model and its data, and the run directory that holds the predictions of its splits.

    ``files`` are those that the parts of the inspection want written, by their names below the run directory.
    """

    model: nn.Module
    task: Any
    source: Source
    splits: dict[str, np.ndarray]
    pipeline: Pipeline
    target: Any
    device: torch.device
    seed: int
    directory: Path
    files: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The run's data.json."""
        return rundir.read_json(self.directory / rundir.DATA)

    @cached_property
    def split(self) -> str:
        """The split that is looked at: test, or val where there is none."""
        for split in ("test", "val"):
            if split in self.splits and (self.directory / rundir.predictions(split)).is_file():
                return split
        raise UnavailableError("neither test nor val was evaluated")

    @cached_property
    def judged(self) -> Judged:
        """How the samples of the split came out."""
        return judged(self.directory, self.split, self.facts)

    @cached_property
    def calls(self) -> list[Call]:
        """The model's calls for one sample."""
        with untouched(self.model):
            return calls(self.model, self.batch(self.splits[self.split][:1]).inputs)

    def at_most(self, wanted: int, *, passes: int = 1) -> int:
        """Return how many samples the model can take, up to ``wanted`` and at least two: a rule, no clock."""
        cost = max(1, multiply_adds(self.calls) * passes)
        return max(2, min(wanted, _BUDGET // cost))

    def batch(self, ids: np.ndarray | Sequence[int], *, targets: bool = False) -> Batch:
        """Return samples as evaluation gives them to the model, on its device."""
        wanted = np.asarray(ids, np.int64)
        loader = Loader(
            self.source,
            wanted,
            pipeline=self.pipeline,
            target=self.target if targets else None,
            batch_size=len(wanted),
            seed=self.seed,
            device=self.device,
            resident=False,
        )
        try:
            return next(iter(loader.batches(0)))
        finally:
            loader.close()

    def told(self, place: int) -> dict[str, Any]:
        """Return what there is to say of a sample by its place in ``judged``.

        Returns:
            ``id``, ``name``, ``target``, ``prediction``, ``certainty`` (None where nobody knows) and ``loss``.
        """
        judged, index = self.judged, int(self.judged.ids[place])
        return {
            "id": index,
            "name": self.source.name(index),
            "target": judged.target[place],
            "prediction": judged.prediction[place],
            "certainty": None if judged.certainty is None else float(judged.certainty[place]),
            "loss": float(judged.loss[place]),
        }

    def score(self, outputs: Tensor) -> Tensor:
        """Return for each sample the number that its prediction rests on.

        Raises:
            UnavailableError: there is no one number.
        """
        found = explained(self.task, outputs)
        if found is None:
            raise UnavailableError("the model's output is no one number that could be traced back")
        return found

    def keep(self, name: str, arrays: dict[str, np.ndarray]) -> str:
        """Have arrays written as ``arrays/<name>.npz``; return that name."""
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **arrays)
        path = f"{rundir.ARRAYS}/{name}.npz"
        self.files[path] = content.getvalue()
        return path
