"""Tensors as safetensors files, which run no code when they are loaded; tied ones once, with their other names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from torchwork import durable, shards
from torchwork.types import RunError

_NOT_IN_NUMPY = {torch.bfloat16: torch.uint16, torch.float8_e4m3fn: torch.uint8, torch.float8_e5m2: torch.uint8}
# what names that are none, or lead nowhere, give
_OF_OTHER_CONTENT = (LookupError, TypeError, AttributeError, RecursionError)


def copied(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return copies as a file can hold them (contiguous, on the CPU, each storage once) and the aliases left out.

    >>> import torch
    >>> w = torch.ones(2)
    >>> copied({"a": w, "b": w})
    ({'a': tensor([1., 1.])}, {'b': 'a'})
    """
    kept: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and place in seen:
            aliases[name] = seen[place]
        else:
            seen[place] = name
            copy = tensor.detach().cpu().contiguous()
            kept[name] = copy.clone() if copy.data_ptr() == tensor.data_ptr() else copy
    return kept, aliases


def to_bytes(tensors: dict[str, Tensor], aliases: Mapping[str, str]) -> bytes:
    """Return the file of what `copied` returned."""
    return safetensors.torch.save(tensors, metadata={"aliases": json.dumps(dict(aliases))})


def read(path: Path) -> dict[str, Tensor]:
    """Read a file that `to_bytes` made, the aliases among its tensors.

    Raises:
        RunError: the file is absent or damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
            aliases = json.loads((file.metadata() or {}).get("aliases", "{}"))
        return tensors | {name: tensors[kept] for name, kept in aliases.items()}
    except (OSError, safetensors.SafetensorError, ValueError, *_OF_OTHER_CONTENT) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def as_array(tensor: Tensor) -> np.ndarray:
    """Return a tensor as an array of the same bits; numpy has no bfloat16, of which the whole numbers are given.

    >>> import torch
    >>> as_array(torch.tensor([1.0], dtype=torch.bfloat16))
    array([16256], dtype=uint16)
    """
    known = tensor.dtype not in _NOT_IN_NUMPY
    found: np.ndarray = (tensor if known else tensor.view(_NOT_IN_NUMPY[tensor.dtype])).numpy()
    return found


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's state_dict as a safetensors file, durably; tied tensors once, their other names in it."""
    durable.write_file(path, to_bytes(*copied(model.state_dict())))


def load_weights(model: nn.Module, path: Path) -> None:
    """Read weights that `save_weights` wrote; every name must match. Each stays in the model's own memory format.

    Raises:
        RunError: the file is damaged, or its tensors are not this model's.
    """
    try:
        held = model.state_dict()
        model.load_state_dict({name: shards.shared_as(tensor, held.get(name)) for name, tensor in read(path).items()})
    except RuntimeError as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path} cannot be loaded into this model: {error}") from error
