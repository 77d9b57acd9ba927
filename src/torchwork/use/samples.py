"""New samples in whatever form they are at hand: files, a data frame, an array."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from torchwork.data.dataset import DatasetSource
from torchwork.data.predict import open_for_prediction
from torchwork.data.source import innermost
from torchwork.types import Finding, InputError, Schema, Source


def open_samples(inputs: Any, facts: Mapping[str, Any], source_spec: Mapping[str, Any]) -> Source:
    """Open new samples as a source without targets.

    Args:
        inputs: A path or several (images, sounds, CSV files, ``.npz``), a DataFrame with the columns of the training
            table, an array or tensor with the samples along its first axis, as the source gives them, or a data set
            with items as those of training, whose targets are not looked at. For a model of texts, a list of texts.
        facts: The run's data.json.
        source_spec: The run's ``data.source``.

    Raises:
        InputError: a file is missing or unreadable, or the samples are not what the model was trained on.
    """
    source_spec = innermost(source_spec)
    if isinstance(inputs, str | Path):
        return open_for_prediction([Path(inputs)], facts, source_spec)
    pandas = sys.modules.get("pandas")  # a data frame cannot be here without it
    is_frame = pandas is not None and isinstance(inputs, pandas.DataFrame)
    if facts["inputs"] == "text" and (is_frame or _are_texts(inputs)):
        from torchwork.data.text import open_texts

        return open_texts(inputs if is_frame else list(inputs), source_spec)
    if is_frame:
        from torchwork.data.table import read_rows

        schema = Schema("table", None, numbers=tuple(facts["numbers"]), categories=tuple(facts["categories"]))
        return read_rows({"data frame": inputs}, schema, facts.get("filled", ()))
    if isinstance(inputs, np.ndarray | torch.Tensor):
        return _open_array(np.asarray(inputs), facts, source_spec)
    if isinstance(inputs, Dataset):
        return DatasetSource(inputs)
    if isinstance(inputs, list | tuple) and all(isinstance(item, str | Path) for item in inputs):
        return open_for_prediction([Path(item) for item in inputs], facts, source_spec)
    message = f"cannot predict a {type(inputs).__name__}"
    fix = "give paths, a DataFrame, an array with the samples along its first axis, or a data set"
    raise InputError(Finding("wrong-inputs", "error", "inputs", message, fix))


def _are_texts(inputs: Any) -> bool:
    several = isinstance(inputs, list | tuple) or (isinstance(inputs, np.ndarray) and inputs.ndim == 1)
    return several and all(isinstance(item, str) for item in inputs)


def _open_array(array: np.ndarray, facts: Mapping[str, Any], source_spec: Mapping[str, Any]) -> Source:
    from torchwork.data.arrays import as_inputs
    from torchwork.data.memory import InMemory, Rows

    if facts["inputs"] == "table":
        columns = len(facts["numbers"])
        if facts["categories"] or array.ndim != 2 or array.shape[1] != columns:
            message = f"got an array of shape {list(array.shape)}"
            fix = f"give a DataFrame with the columns {', '.join([*facts['numbers'], *facts['categories']][:20])}"
            raise InputError(Finding("wrong-inputs", "error", "inputs", message, fix))
        schema = Schema("table", None, numbers=tuple(facts["numbers"]))
        return Rows(np.asarray(array, np.float64), np.empty((len(array), 0), object), None, schema)
    if facts["inputs"] == "audio":
        if array.ndim != 2 or array.dtype.kind != "f":
            message = f"got {array.dtype} {list(array.shape)}"
            fix = f"give floats [N, n] at {facts['sample_rate']:,} samples a second, or WAV, FLAC or OGG files"
            raise InputError(Finding("wrong-inputs", "error", "inputs", message, fix))
        return InMemory(torch.from_numpy(array.astype(np.float32)), None, Schema("audio", None))
    # whole numbers stay whole where those of training did, as a user's data set gives them: places in a vocabulary
    whole = bool(source_spec.get("whole", False)) or source_spec["name"] != "Arrays"
    tensor, is_image = as_inputs(array, whole=whole)
    if is_image != (facts["inputs"] == "image"):
        expected = "uint8 images [N, C, H, W] or [N, H, W]" if facts["inputs"] == "image" else "numbers"
        message = f"got {array.dtype} {list(array.shape)}"
        raise InputError(Finding("wrong-inputs", "error", "inputs", message, f"this model takes {expected}"))
    return InMemory(tensor, None, Schema(facts["inputs"], None))
