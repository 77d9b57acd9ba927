"""Going through a model once more without leaving a trace of it in its buffers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def keeping_buffers(model: nn.Module) -> Iterator[None]:
    """Put a model's buffers, as the running statistics of batch norm, back at the end.

    >>> norm = nn.BatchNorm1d(1)
    >>> with keeping_buffers(norm):
    ...     _ = norm(torch.tensor([[1.0], [3.0]]))
    ...     norm.num_batches_tracked.item()
    1
    >>> norm.num_batches_tracked.item()
    0
    """
    before = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(before[name])
