"""Data that fit in memory are read once and kept. Whether they fit is a rule on sizes, never a clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork import dist
from torchwork.data.dataset import DatasetSource
from torchwork.data.memory import InMemory
from torchwork.types import Schema, Source

# The data of one split may take this share of the memory that is free when they are read, all processes together.
SHARE = 0.25
# How many samples are read at a time where all are read: photographs and sounds of a chunk stand in memory together.
CHUNK_IMAGES = 64
CHUNK_ROWS = 4096


def chunks(indices: np.ndarray, schema: Schema, *, in_memory: bool = False) -> Iterator[np.ndarray]:
    """Cut indices into runs that are read at a time where all samples are read."""
    length = CHUNK_IMAGES if schema.inputs in ("image", "audio") and not in_memory else CHUNK_ROWS
    for start in range(0, len(indices), length):
        yield indices[start : start + length]


def free_memory(device: torch.device | None = None) -> int:
    """Return the bytes that this process may still take: on a CUDA device, else of the host or its control group."""
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = _host_memory()
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            free = min(free, int(limit) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # no control group of version 2
        pass
    return max(free, 0)


def _host_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:  # not Linux: half of what is built in
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def read_all(
    source: Source,
    indices: np.ndarray,
    prepared: Callable[[Source, np.ndarray], Any],
    *,
    budget: float | None = None,
) -> Tensor | None:
    """Return the prepared samples of ``indices`` as one tensor [N, ...], or None where they are not to be kept.

    They are not where they would take more than ``budget`` bytes (default: ``SHARE`` of the free memory), are no single
    tensor each, or come from a user's data set, which may draw anew in each epoch.
    """
    if isinstance(source, DatasetSource) or len(indices) == 0:
        return None
    first = prepared(source, indices[:1])
    if not isinstance(first, Tensor):
        return None
    limit = SHARE * free_memory() / dist.local_world() if budget is None else budget
    if first.nbytes * len(indices) > limit:
        return None
    kept = torch.empty((len(indices), *first.shape[1:]), dtype=first.dtype)
    start = 0
    for chunk in chunks(indices, source.schema, in_memory=isinstance(source, InMemory)):
        kept[start : start + len(chunk)] = prepared(source, chunk)
        start += len(chunk)
    return kept
