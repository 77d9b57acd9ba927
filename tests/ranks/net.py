"""A model for runs that go wrong on some samples only, which one of several processes may have."""

from __future__ import annotations

import torch
from torch import nn

from torchwork import dist


class Net(nn.Module):
    """Gives NaN in training for the flowers whose scaled first number is above 2.2: samples 117, 118, 131, 135."""

    def __init__(self, in_features: int, num_classes: int, above: float = 2.2) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(in_features, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.head = nn.Linear(8, num_classes)
        self.above = above

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            x = torch.where(x[:, :1] > self.above, torch.nan, x)
        return self.head(self.body(x))


class Short(nn.Module):
    """Runs out of memory on the second process when it learns for the sixth time."""

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(in_features, num_classes)
        self.times = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.times += self.training
        if self.times == 6 and dist.rank() == 1:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 1 bytes"
            )
        return self.head(x)
