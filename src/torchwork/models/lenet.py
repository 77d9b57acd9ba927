"""LeNet-5, as the lecture builds it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from torchwork.models.image_size import least, pair, too_small, window


class LeNet(nn.Module):
    """LeNet-5 with ReLU and max pooling: two convolutions and three linear layers.

    For 32×32 images of one channel and 10 classes it has 61,706 parameters in 10 tensors. Images of 28×28 are padded
    by 2 in the first convolution, so that the layers have the same shapes; other sizes change ``fc1`` alone.

    Shapes: [B, in_channels, height, width] to [B, num_classes].

    Source: LeCun, Bottou, Bengio, Haffner: "Gradient-based learning applied to document recognition", 1998.

    Args:
        in_channels: Channels of the images.
        num_classes: Outputs a sample.
        image_size: Side of the images, or (height, width).
        padding: Zeros around the image in the first convolution; null means 2 for 28×28 images and 0 for others.

    Raises:
        InputError: the images are below 16×16 (12×12 with a padding of 2).

    >>> sum(p.numel() for p in LeNet().parameters())
    61706
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 32,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        size = pair(image_size)
        if padding is None:
            padding = 2 if size == (28, 28) else 0
        height, width = (_after(side, padding) for side in size)
        if min(height, width) < 1:
            raise too_small("LeNet", size, least(lambda side: _after(side, padding)))
        self.conv1 = nn.Conv2d(in_channels, 6, 5, padding=padding)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * height * width, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        # The largest of rectified values is the rectified largest, to the bit as in its gradient, and costs a quarter.
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.fc1(x.flatten(1)))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def _after(side: int, padding: int) -> int:
    return window(window(side, 5, padding=padding) // 2, 5) // 2
