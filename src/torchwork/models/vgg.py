"""VGG with torchvision's names and shapes."""

from __future__ import annotations

from torch import Tensor, nn

# Output channels of the 3×3 convolutions of each of the five blocks; a 2×2 max pooling ends each block.
_BLOCKS: dict[int, list[list[int]]] = {
    11: [[64], [128], [256] * 2, [512] * 2, [512] * 2],
    13: [[64] * 2, [128] * 2, [256] * 2, [512] * 2, [512] * 2],
    16: [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3],
    19: [[64] * 2, [128] * 2, [256] * 4, [512] * 4, [512] * 4],
}


class VGG(nn.Module):
    """Blocks of 3×3 convolutions with ReLU, each ended by max pooling, and three linear layers.

    Shapes: [B, in_channels, height, width], at least 32×32, to [B, num_classes].

    Source: Simonyan, Zisserman: "Very deep convolutional networks for large-scale image recognition", 2014.

    Args:
        depth: 11, 13, 16 or 19 layers with weights.
        batch_norm: Whether batch norm follows each convolution.
        num_classes: Outputs a sample.
        in_channels: Channels of the images.
        dropout: Probability for a unit of the first two linear layers to be zero in training.
    """

    def __init__(self, depth: int, batch_norm: bool, num_classes: int, in_channels: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for block in _BLOCKS[depth]:
            for channels in block:
                layers.append(nn.Conv2d(in_channels, channels, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                in_channels = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def vgg11(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG of 11 layers: 132,863,336 parameters for 1000 classes."""
    return VGG(11, False, num_classes, in_channels, dropout)


def vgg11_bn(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG of 11 layers with batch norm: 132,868,840 parameters for 1000 classes."""
    return VGG(11, True, num_classes, in_channels, dropout)


def vgg13(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG of 13 layers: 133,047,848 parameters for 1000 classes."""
    return VGG(13, False, num_classes, in_channels, dropout)


def vgg13_bn(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG of 13 layers with batch norm: 133,053,736 parameters for 1000 classes."""
    return VGG(13, True, num_classes, in_channels, dropout)


def vgg16(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG of 16 layers: 138,357,544 parameters for 1000 classes."""
    return VGG(16, False, num_classes, in_channels, dropout)


def vgg16_bn(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG of 16 layers with batch norm: 138,365,992 parameters for 1000 classes."""
    return VGG(16, True, num_classes, in_channels, dropout)


def vgg19(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG of 19 layers: 143,667,240 parameters for 1000 classes."""
    return VGG(19, False, num_classes, in_channels, dropout)


def vgg19_bn(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG of 19 layers with batch norm: 143,678,248 parameters for 1000 classes."""
    return VGG(19, True, num_classes, in_channels, dropout)
