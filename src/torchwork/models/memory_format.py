"""Which models compute faster with their 2-d convolutions in channels_last, by a rule that no clock takes part in."""

from __future__ import annotations

from torch import nn

from torchwork.models.alexnet import AlexNet, OneTowerAlexNet
from torchwork.models.lenet import LeNet
from torchwork.models.vgg import VGG

# what keeps the format on its way; batch norm is slower in it
_WHOLES = (LeNet, AlexNet, OneTowerAlexNet, VGG, nn.Sequential)
_WEIGHTS = (nn.Conv2d, nn.Linear)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Hardtanh)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_KNOWN = {*_WHOLES, *_WEIGHTS, *_ACTIVATIONS, *_POOLS, nn.Flatten, nn.Identity, nn.Dropout}


def prefers_channels_last(model: nn.Module) -> bool:
    """Tell whether a model of 2-d convolutions is as fast or faster on a CPU with its weights in channels_last.

    It is where pooling and activations alone stand between its convolutions. PyTorch's pooling goes through contiguous
    images value by value, and through channels_last ones in vectors; its batch norm is slower in channels_last. A model
    of one's own is left as it is: a ``view`` of what a convolution gives would fail.

    Shapes: none; the numbers are the same but for the order in which sums are rounded.

    >>> prefers_channels_last(LeNet()), prefers_channels_last(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    (True, False)
    """
    kinds = {type(module) for module in model.modules()}
    return nn.Conv2d in kinds and kinds <= _KNOWN
