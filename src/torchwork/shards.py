"""Tensors of which each process holds a part: torch's DTensor, where ``fully_shard`` has made one; plain ones else."""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor


def is_shared(tensor: Tensor) -> bool:
    """Tell whether each process holds a part of a tensor only.

    >>> import torch
    >>> is_shared(torch.ones(2))
    False
    """
    # where nobody has loaded it there are none, and loading it takes a second
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def whole(tensor: Any) -> Tensor:
    """Return all of a tensor; where it is shared, all processes must ask, and each gets it."""
    return tensor.full_tensor() if is_shared(tensor) else tensor


def own_part(tensor: Any) -> Tensor:
    """Return what this process holds of a tensor, in the very same memory."""
    return tensor.to_local() if is_shared(tensor) else tensor


def shared_as(tensor: Tensor, other: Any) -> Tensor:
    """Return a whole tensor, which every process has, shared out as another one is; as it is where that is not."""
    if not is_shared(other):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    placed = tensor.to(other.device)
    # each takes its own part of what it has: nothing is sent
    return distribute_tensor(placed, other.device_mesh, other.placements, src_data_rank=None)
