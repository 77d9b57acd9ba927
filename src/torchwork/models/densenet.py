"""DenseNet with torchvision's names and shapes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DenseLayer(nn.Module):
    """``growth`` new channels from all those before, through a 1×1 and a 3×3 convolution."""

    def __init__(self, inputs: int, growth: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.drop_rate = drop_rate

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.relu1(self.norm1(x)))
        y = self.conv2(self.relu2(self.norm2(y)))
        return F.dropout(y, self.drop_rate, self.training) if self.drop_rate else y


class DenseBlock(nn.Module):
    """Layers each of which sees the outputs of all before it."""

    def __init__(self, depth: int, inputs: int, growth: int, drop_rate: float) -> None:
        super().__init__()
        for index in range(depth):
            self.add_module(f"denselayer{index + 1}", DenseLayer(inputs + index * growth, growth, drop_rate))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.children():
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


def _transition(inputs: int) -> nn.Sequential:
    """Half the channels and half the size."""
    transition = nn.Sequential()
    transition.add_module("norm", nn.BatchNorm2d(inputs))
    transition.add_module("relu", nn.ReLU(inplace=True))
    transition.add_module("conv", nn.Conv2d(inputs, inputs // 2, 1, bias=False))
    transition.add_module("pool", nn.AvgPool2d(2))
    return transition


class DenseNet(nn.Module):
    """Four dense blocks with transitions between them, average pooling, one linear layer.

    Shapes: [B, in_channels, height, width], at least 29×29, to [B, num_classes].

    Source: Huang, Liu, van der Maaten, Weinberger: "Densely connected convolutional networks", 2016.

    Args:
        growth: New channels of each layer.
        depths: Layers in each block.
        channels: Channels of the first convolution.
        num_classes: Outputs a sample.
        in_channels: Channels of the images.
        drop_rate: Probability for a layer's new values to be zero in training.
    """

    def __init__(
        self,
        growth: int,
        depths: tuple[int, int, int, int],
        channels: int,
        num_classes: int,
        in_channels: int,
        drop_rate: float,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(in_channels, channels, 7, 2, padding=3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(channels))
        self.features.add_module("relu0", nn.ReLU(inplace=True))
        self.features.add_module("pool0", nn.MaxPool2d(3, 2, padding=1))
        for index, depth in enumerate(depths):
            self.features.add_module(f"denseblock{index + 1}", DenseBlock(depth, channels, growth, drop_rate))
            channels += depth * growth
            if index < len(depths) - 1:
                self.features.add_module(f"transition{index + 1}", _transition(channels))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))


def densenet121(num_classes: int = 1000, in_channels: int = 3, drop_rate: float = 0.0) -> DenseNet:
    """DenseNet of 121 layers: 7,978,856 parameters for 1000 classes."""
    return DenseNet(32, (6, 12, 24, 16), 64, num_classes, in_channels, drop_rate)


def densenet161(num_classes: int = 1000, in_channels: int = 3, drop_rate: float = 0.0) -> DenseNet:
    """DenseNet of 161 layers: 28,681,000 parameters for 1000 classes."""
    return DenseNet(48, (6, 12, 36, 24), 96, num_classes, in_channels, drop_rate)


def densenet169(num_classes: int = 1000, in_channels: int = 3, drop_rate: float = 0.0) -> DenseNet:
    """DenseNet of 169 layers: 14,149,480 parameters for 1000 classes."""
    return DenseNet(32, (6, 12, 32, 32), 64, num_classes, in_channels, drop_rate)


def densenet201(num_classes: int = 1000, in_channels: int = 3, drop_rate: float = 0.0) -> DenseNet:
    """DenseNet of 201 layers: 20,013,928 parameters for 1000 classes."""
    return DenseNet(32, (6, 12, 48, 32), 64, num_classes, in_channels, drop_rate)
