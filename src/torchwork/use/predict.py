"""Predictions of a trained model on new samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from torchwork.data.moving import moved
from torchwork.data.pipelines.tables import Tables
from torchwork.data.wording import named
from torchwork.types import Finding, InputError, Source


def predict(
    model: nn.Module,
    task: Any,
    pipeline: Any,
    source: Source,
    device: torch.device,
    *,
    input_shape: Sequence[int],
    batch_size: int = 64,
) -> list[dict[str, Any]]:
    """Return one dict a sample: its ``name``, ``prediction`` and, for classes, ``probability`` and ``scores``.

    The samples go through the same transform as in training, with what it learnt there. The model is left in the mode
    that it was in.

    Raises:
        InputError: samples that have not the shape of those of training; rows of a table with a category that the
            model does not know.
    """
    _check_categories(pipeline, source)
    was_training = model.training
    model.eval()
    rows: list[dict[str, Any]] = []
    try:
        with torch.inference_mode():
            for start in range(0, len(source), batch_size):
                ids = np.arange(start, min(start + batch_size, len(source)))
                inputs, _ = source.read(ids, epoch=0)
                ready = pipeline.finish(moved(pipeline.prepare(inputs), device))
                shape = (next(iter(ready.values())) if isinstance(ready, dict) else ready).shape[1:]
                if tuple(shape) != tuple(input_shape):
                    raise InputError(_other_shape(source, int(ids[0]), shape, input_shape))
                found = task.predictions(model(ready).cpu())
                rows += [{"name": source.name(int(i)), **row} for i, row in zip(ids, found, strict=True)]
    finally:
        model.train(was_training)
    return rows


def _check_categories(pipeline: Any, source: Source) -> None:
    way = getattr(pipeline, "way", None)
    if not isinstance(way, Tables):
        return
    strangers = way.strangers(source.read(np.arange(len(source)), epoch=0)[0])
    findings = []
    for (column, text), rows in strangers.items():
        message = f"column {column!r} holds {text!r}, which the model does not know"
        message += f" ({len(rows)} rows)" if len(rows) > 1 else ""
        fix = f"it knows {named(map(repr, way.facts()['levels'][column]))}: correct the cell or leave such rows out; "
        fix += "a model that is trained with {name: OneHot, unknown: zeros} takes others"
        findings.append(Finding("unknown-category", "error", source.name(rows[0]), message, fix))
    if findings:
        raise InputError(findings)


def _other_shape(source: Source, index: int, found: Sequence[int], expected: Sequence[int]) -> Finding:
    message = f"has the shape {list(found)} after the transform, the model was trained on {list(expected)}"
    fix = "give samples of that shape, or train with Resize in data.transform, which makes them equal"
    return Finding("other-shape", "error", source.name(index), message, fix)
