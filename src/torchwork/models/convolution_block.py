"""The block that GoogLeNet and Inception are made of, and the scaling of their published weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class BasicConv2d(nn.Module):
    """``relu(bn(conv(x)))``; the convolution has no bias, the norm an epsilon of 0.001."""

    def __init__(self, inputs: int, outputs: int, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, bias=False, **options)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def imagenet_to_half(x: Tensor) -> Tensor:
    """Turn images [B, 3, H, W] normalised by ImageNet's mean and std into images with mean 0.5 and std 0.5.

    torchvision's published weights of GoogLeNet and Inception expect the latter.
    """
    mean = torch.tensor(_IMAGENET_MEAN, dtype=x.dtype, device=x.device)[:, None, None]
    std = torch.tensor(_IMAGENET_STD, dtype=x.dtype, device=x.device)[:, None, None]
    return x * (std / 0.5) + (mean - 0.5) / 0.5


def truncated_start(module: nn.Module, std: float) -> None:
    """Draw the weights of every convolution and linear layer from a normal cut at ±2."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, 0.0, std, -2.0, 2.0)
