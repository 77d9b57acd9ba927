"""Inception v3 with torchvision's names and shapes."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchwork.models.convolution_block import BasicConv2d, imagenet_to_half, truncated_start
from torchwork.types import Finding, InputError


class InceptionOutputs(NamedTuple):
    """Scores [B, num_classes] of the model and of its auxiliary head."""

    logits: Tensor
    aux_logits: Tensor | None


class InceptionA(nn.Module):
    """35×35 in the paper: 1×1; 5×5; two 3×3; pooling."""

    def __init__(self, inputs: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(inputs, 64, kernel_size=1)
        self.branch5x5_1 = BasicConv2d(inputs, 48, kernel_size=1)
        self.branch5x5_2 = BasicConv2d(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(inputs, 64, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, kernel_size=3, padding=1)
        self.branch_pool = BasicConv2d(inputs, pool, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        branches = [
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1)),
        ]
        return torch.cat(branches, 1)


class InceptionB(nn.Module):
    """From 35×35 to 17×17: 3×3; two 3×3; pooling, each with stride 2."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = BasicConv2d(inputs, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = BasicConv2d(inputs, 64, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class InceptionC(nn.Module):
    """17×17: 1×1; 7×7 as 1×7 and 7×1; twice that; pooling."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        across: dict[str, tuple[int, int]] = {"kernel_size": (1, 7), "padding": (0, 3)}
        down: dict[str, tuple[int, int]] = {"kernel_size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = BasicConv2d(inputs, 192, kernel_size=1)
        self.branch7x7_1 = BasicConv2d(inputs, width, kernel_size=1)
        self.branch7x7_2 = BasicConv2d(width, width, **across)
        self.branch7x7_3 = BasicConv2d(width, 192, **down)
        self.branch7x7dbl_1 = BasicConv2d(inputs, width, kernel_size=1)
        self.branch7x7dbl_2 = BasicConv2d(width, width, **down)
        self.branch7x7dbl_3 = BasicConv2d(width, width, **across)
        self.branch7x7dbl_4 = BasicConv2d(width, width, **down)
        self.branch7x7dbl_5 = BasicConv2d(width, 192, **across)
        self.branch_pool = BasicConv2d(inputs, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        branches = [
            self.branch1x1(x),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
            self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1)),
        ]
        return torch.cat(branches, 1)


class InceptionD(nn.Module):
    """From 17×17 to 8×8: 3×3; 7×7 and 3×3; pooling, each with stride 2."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv2d(inputs, 192, kernel_size=1)
        self.branch3x3_2 = BasicConv2d(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = BasicConv2d(inputs, 192, kernel_size=1)
        self.branch7x7x3_2 = BasicConv2d(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = BasicConv2d(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = BasicConv2d(192, 192, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        branches = [
            self.branch3x3_2(self.branch3x3_1(x)),
            self.branch7x7x3_4(seven),
            F.max_pool2d(x, 3, stride=2),
        ]
        return torch.cat(branches, 1)


class InceptionE(nn.Module):
    """8×8: 1×1; 3×3 spread to 1×3 beside 3×1; twice that; pooling."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        across: dict[str, tuple[int, int]] = {"kernel_size": (1, 3), "padding": (0, 1)}
        down: dict[str, tuple[int, int]] = {"kernel_size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = BasicConv2d(inputs, 320, kernel_size=1)
        self.branch3x3_1 = BasicConv2d(inputs, 384, kernel_size=1)
        self.branch3x3_2a = BasicConv2d(384, 384, **across)
        self.branch3x3_2b = BasicConv2d(384, 384, **down)
        self.branch3x3dbl_1 = BasicConv2d(inputs, 448, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = BasicConv2d(384, 384, **across)
        self.branch3x3dbl_3b = BasicConv2d(384, 384, **down)
        self.branch_pool = BasicConv2d(inputs, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1)),
        ]
        return torch.cat(branches, 1)


class InceptionAux(nn.Module):
    """The auxiliary head: scores from the 17×17 stage, to train what lies below it."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.conv0 = BasicConv2d(inputs, 128, kernel_size=1)
        self.conv1 = BasicConv2d(128, 768, kernel_size=5)
        self.fc = nn.Linear(768, num_classes)
        truncated_start(self, 0.1)
        truncated_start(self.conv1, 0.01)
        truncated_start(self.fc, 0.001)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.conv0(F.avg_pool2d(x, 5, stride=3)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Inception3(nn.Module):
    """Eleven Inception blocks; in training an auxiliary head beside the last layer. See ``inception_v3``."""

    def __init__(
        self, num_classes: int, in_channels: int, aux_logits: bool, transform_input: bool, dropout: float
    ) -> None:
        super().__init__()
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = BasicConv2d(in_channels, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = InceptionA(192, 32)
        self.Mixed_5c = InceptionA(256, 64)
        self.Mixed_5d = InceptionA(288, 64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, 128)
        self.Mixed_6c = InceptionC(768, 160)
        self.Mixed_6d = InceptionC(768, 160)
        self.Mixed_6e = InceptionC(768, 192)
        auxiliary = InceptionAux(768, num_classes) if aux_logits else None
        self.AuxLogits = auxiliary
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, num_classes)
        for name, module in self.named_children():
            if name.startswith(("Conv2d", "Mixed")):
                truncated_start(module, 0.1)
        truncated_start(self.fc, 0.02)  # 0.1 in torchvision, which no norm takes away here: scores of size 4

    def forward(self, x: Tensor) -> Tensor | InceptionOutputs:
        if self.transform_input:
            x = imagenet_to_half(x)
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        auxiliary = self.AuxLogits(x) if self.AuxLogits is not None and self.training else None
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        x = self.fc(self.dropout(self.avgpool(x)).flatten(1))
        return InceptionOutputs(x, auxiliary) if self.training and self.aux_logits else x


def inception_v3(
    num_classes: int = 1000,
    in_channels: int = 3,
    aux_logits: bool = True,
    transform_input: bool = False,
    dropout: float = 0.5,
) -> Inception3:
    """Inception v3: 27,161,264 parameters with its auxiliary head for 1000 classes, 23,834,568 without.

    Shapes: [B, in_channels, height, width] to [B, num_classes]; in training with the auxiliary head to
    ``InceptionOutputs``. Made for 299×299.

    Source: Szegedy et al.: "Rethinking the Inception architecture for computer vision", 2015.

    Args:
        num_classes: Outputs a sample.
        in_channels: Channels of the images.
        aux_logits: Whether the model has the auxiliary head, whose loss is added with a weight of 0.4.
        transform_input: Whether images normalised by ImageNet's statistics are turned into what the published
            weights expect; true where ``weights`` are given, unless set.
        dropout: Probability for a value before the last layer to be zero in training.

    Raises:
        InputError: transform_input for images without three channels.
    """
    if transform_input and in_channels != 3:
        message = f"is for 3 channels, these images have {in_channels}"
        raise InputError(Finding("wrong-value", "error", "transform_input", message, "set it to false"))
    return Inception3(num_classes, in_channels, aux_logits, transform_input, dropout)
