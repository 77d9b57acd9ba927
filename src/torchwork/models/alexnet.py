"""AlexNet, as the lecture builds it (``AlexNet``) and as torchvision does (``alexnet``)."""

from __future__ import annotations

from torch import Tensor, nn

from torchwork.models.image_size import least, pair, too_small, window


class AlexNet(nn.Module):
    """The lecture's AlexNet: five convolutions (``conv``) and three linear layers (``fc``).

    For 224×224 images of one channel and 10 classes it has 46,764,746 parameters. Other sizes change ``fc.0`` alone.

    Shapes: [B, in_channels, height, width] to [B, num_classes].

    Source: Krizhevsky, Sutskever, Hinton: "ImageNet classification with deep convolutional neural networks", 2012.

    Args:
        in_channels: Channels of the images.
        num_classes: Outputs a sample.
        image_size: Side of the images, or (height, width).
        dropout: Probability for a unit of the first two linear layers to be zero in training.

    Raises:
        InputError: the images are below 67×67.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 224,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        size = pair(image_size)
        height, width = map(_after, size)
        if min(height, width) < 1:
            raise too_small("AlexNet", size, least(_after))
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, 96, 11, 4),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, 1, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, 1, 1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.fc = nn.Sequential(
            nn.Linear(256 * height * width, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).flatten(1))


def _after(side: int) -> int:
    for kernel, stride in ((11, 4), (3, 2), (3, 2), (3, 2)):  # the other convolutions keep the size
        side = window(side, kernel, stride)
    return side


class OneTowerAlexNet(nn.Module):
    """The AlexNet of torchvision, see ``alexnet``."""

    def __init__(self, num_classes: int, in_channels: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def alexnet(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> OneTowerAlexNet:
    """AlexNet with torchvision's names and shapes: 61,100,840 parameters for 1000 classes.

    Shapes: [B, in_channels, height, width], at least 63×63, to [B, num_classes].

    Source: Krizhevsky: "One weird trick for parallelizing convolutional neural networks", 2014.

    Args:
        num_classes: Outputs a sample.
        in_channels: Channels of the images.
        dropout: Probability for a unit before the first two linear layers to be zero in training.
    """
    return OneTowerAlexNet(num_classes, in_channels, dropout)
