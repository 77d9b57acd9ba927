"""PyTorch's own loaders of training and of evaluation, as the libraries that take them are given."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders.bare import Pictures
from benchmarks.contenders.work import InOrder, Work
from torch.utils.data import DataLoader, TensorDataset

Loaders = tuple[DataLoader[Any], DataLoader[Any] | None]


def usual_loaders(work: Work) -> Loaders:
    """Return loaders of torchvision's kind of data set; where nothing is evaluated, of tensors and None."""
    arrays = work.arrays()
    if "x_val" not in arrays:
        return loaders_in_memory(work)
    train, val = (Pictures(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "val"))
    return DataLoader(train, work.batch, sampler=InOrder(work.orders())), DataLoader(val, work.batch)


def loaders_in_memory(work: Work) -> Loaders:
    """Return loaders of tensors in memory, the one of evaluation None where nothing is evaluated."""
    val = work.val()
    train = DataLoader(TensorDataset(*work.train()), work.batch, sampler=InOrder(work.orders()))
    return train, None if val is None else DataLoader(TensorDataset(*val), work.batch)
