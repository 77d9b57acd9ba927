"""Predictions of a trained model on new samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from torchwork.types import Source


def predict(
    model: nn.Module, task: Any, pipeline: Any, source: Source, device: torch.device, *, batch_size: int = 64
) -> list[dict[str, Any]]:
    """Return one dict a sample: its ``name``, ``prediction`` and, for classes, ``probability`` and ``scores``.

    The samples go through the same transform as in training, with what it learnt there. The model is left in the mode
    that it was in.
    """
    was_training = model.training
    model.eval()
    rows: list[dict[str, Any]] = []
    try:
        with torch.inference_mode():
            for start in range(0, len(source), batch_size):
                ids = np.arange(start, min(start + batch_size, len(source)))
                inputs, _ = source.read(ids, epoch=0)
                output = model(pipeline.finish(pipeline.prepare(inputs).to(device)))
                found = task.predictions(output.cpu())
                rows += [{"name": source.name(int(i)), **row} for i, row in zip(ids, found, strict=True)]
    finally:
        model.train(was_training)
    return rows
