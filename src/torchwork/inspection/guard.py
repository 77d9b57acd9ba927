"""Looking at a model without leaving a trace in it: its mode, its buffers and the generators are put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import nn


class UnavailableError(Exception):
    """A model or its data cannot give a picture, and the words say why. No fault of anybody's."""


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and everything that a pass through it may move back at the end.

    That is the mode of each module, buffers (running statistics), parameters' gradients and ``requires_grad``, and the
    generators of ``random``, numpy and torch on every device of the model. Gradients can be computed inside, also
    through recurrent layers on CUDA, which cuDNN would refuse in evaluation mode.

    >>> layer = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    >>> with untouched(layer):
    ...     layer.training
    False
    >>> layer.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    learning = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    devices = {parameter.device for parameter, _, _ in learning if parameter.device.type == "cuda"}
    states = random.getstate(), np.random.get_state()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[device.index or 0 for device in devices]))
        stack.enter_context(torch.inference_mode(False))
        if devices:
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        try:
            model.eval()
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            for module, mode in modes:
                module.training = mode
            for parameter, wanted, gradient in learning:
                parameter.requires_grad_(wanted).grad = gradient
            with torch.no_grad():
                for buffer, value in buffers:
                    buffer.copy_(value)
