"""What a prediction rests on: Grad-CAM, and gradients by the input's pixels, columns or tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchwork.inspection.calls import Call, calls, caught, is_convolution
from torchwork.inspection.guard import UnavailableError, untouched
from torchwork.models import auxiliary

Score = Callable[[Tensor], Tensor]


class Maps(NamedTuple):
    """Heat maps [B, h, w] (of signals [B, t], of volumes [B, d, h, w]), at least 0, and the layer that they weigh."""

    values: Tensor
    layer: str


def input_gradient(model: nn.Module, inputs: Any, score: Score) -> Tensor:
    """Return the gradient of each sample's score by its inputs, of the inputs' shape.

    In evaluation mode samples do not meet, so the gradient of the sum of all scores holds that of each.

    Args:
        model: Any; it is left as it was.
        inputs: Floats [B, ...].
        score: From the model's outputs [B, ...] to one number for each sample, [B].

    Raises:
        UnavailableError: the inputs are no tensor of floats, or the score does not depend on them.

    Source: Simonyan, Vedaldi, Zisserman: "Deep inside convolutional networks", 2013.

    >>> layer = nn.Linear(2, 1)
    >>> bool((input_gradient(layer, torch.ones(3, 2), lambda y: y[:, 0]) == layer.weight).all())
    True
    """
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        raise UnavailableError("the model's inputs are no tensor of floats")
    with untouched(model), torch.enable_grad():
        x = inputs.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(_total(model, x, score), [x], allow_unused=True)
    if gradient is None:
        raise UnavailableError("the model's output does not depend on its inputs")
    return gradient


def grad_cam(model: nn.Module, inputs: Tensor, score: Score) -> Maps:
    """Return Grad-CAM: where in the last maps of a convolutional model lies what speaks for its score.

    ``α_k = mean over i, j of ∂y / ∂A_k[i, j]`` and ``L[i, j] = ReLU(Σ_k α_k A_k[i, j])``, with the score y and the maps
    A [K, h, w] of the layer that ``map_layer`` names; of signals and volumes the same over one and three axes.

    Args:
        model: Any; it is left as it was.
        inputs: Floats: pictures [B, C, H, W], signals [B, C, T] or volumes [B, C, D, H, W].
        score: From the model's outputs to one number for each sample, [B].

    Raises:
        UnavailableError: the model has no convolution over as many axes whose maps have an extent.

    Source: Selvaraju et al.: "Grad-CAM: visual explanations from deep networks via gradient-based localization", 2017.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() not in (3, 4, 5) or not inputs.is_floating_point():
        raise UnavailableError("Grad-CAM needs pictures [B, C, H, W], signals [B, C, T] or volumes [B, C, D, H, W]")
    with untouched(model):
        layer = map_layer(calls(model, inputs[:1]), inputs.dim() - 2)
        with torch.enable_grad(), caught(layer) as found:
            x = inputs.detach().clone().requires_grad_()  # where all weights are frozen there would be no gradient
            value = _total(model, x, score)
            maps = found[0]
            (gradient,) = torch.autograd.grad(value, [maps], allow_unused=True)
    if gradient is None:
        raise UnavailableError(f"the model's output does not depend on what {layer.name} gives")
    weights = gradient.mean(tuple(range(2, gradient.dim())), keepdim=True)
    return Maps((weights * maps.detach()).sum(1).clamp(min=0), layer.name)


def map_layer(found: Sequence[Call], axes: int = 2) -> Call:
    """Return the call whose maps over so many axes Grad-CAM weighs.

    It is the last convolution with more than one place, and of what follows with as many places (norm, activation, the
    sum at the end of a residual block, the joined branches of an inception block) the last.

    Raises:
        UnavailableError: there is no such convolution.
    """
    over = [number for number, call in enumerate(found) if is_convolution(call.module, axes)]
    places = [number for number in over if math.prod(_extent(found[number], axes) or (1,)) > 1]
    if not places:
        said = {1: "one axis", 2: "two axes", 3: "three axes"}[axes]
        reason = "whose maps have more than one place" if over else f"over {said} that could be looked into"
        raise UnavailableError(f"the model has no convolution {reason}")
    extent = _extent(found[places[-1]], axes)
    return [call for call in found[places[-1] :] if _extent(call, axes) == extent][-1]


def _extent(call: Call, axes: int) -> tuple[int, ...] | None:
    return call.shape[2:] if call.shape is not None and len(call.shape) == 2 + axes else None


def token_gradient(model: nn.Module, tokens: Tensor, score: Score) -> Tensor:
    """Return for each token how far its vector v carries the score, ``∂y / ∂v · v``: floats [B, length].

    Raises:
        UnavailableError: the model looks its tokens up in no ``nn.Embedding``.

    >>> model = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 1))
    >>> token_gradient(model, torch.tensor([[1, 4]]), lambda y: y[:, 0]).shape
    torch.Size([1, 2])
    """
    with untouched(model):
        found = [call for call in calls(model, tokens[:1]) if isinstance(call.module, nn.Embedding)]
        if not found:
            raise UnavailableError("the model looks its tokens up in no nn.Embedding")
        embedding = found[0]
        for parameter in embedding.module.parameters():
            parameter.requires_grad_()  # a frozen one would end the way back here
        with torch.enable_grad(), caught(embedding) as vectors:
            value = _total(model, tokens, score)
            (gradient,) = torch.autograd.grad(value, [vectors[0]], allow_unused=True)
    if gradient is None:
        raise UnavailableError(f"the model's output does not depend on what {embedding.name} gives")
    products = (gradient * vectors[0].detach()).sum(-1)
    if products.shape != tokens.shape:
        raise UnavailableError(f"{embedding.name} gives {list(products.shape)} vectors for {list(tokens.shape)} tokens")
    return products


def _total(model: nn.Module, inputs: Tensor, score: Score) -> Tensor:
    outputs, _ = auxiliary.split(model(inputs))
    return score(outputs).sum()
