"""Batch norm over the batches of all processes, on any device: torch's own runs on CUDA only."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from torchwork import dist
from torchwork.training.ranks import goes_alone, stands_in


def synchronise(model: nn.Module) -> list[str]:
    """Let every batch norm of a model take its statistics over all processes; return the names of those layers.

    Mean and variance are then those of the one global batch, so that two processes train as one does, for two more
    waits at each such layer in the forward pass and two in the backward pass. A batch of which no sample counts adds
    nothing. Parameters, buffers and evaluation stay what they were.
    """
    found = []
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            module.forward = partial(_forward, module)  # type: ignore[method-assign]
            found.append(name)
    return found


def _forward(module: Any, inputs: Tensor) -> Tensor:
    if goes_alone() or not (module.training or (module.running_mean is None and module.running_var is None)):
        return type(module).forward(module, inputs)
    module._check_input_dim(inputs)
    axes = [axis for axis in range(inputs.dim()) if axis != 1]
    shape = [1, -1, *[1] * (inputs.dim() - 2)]
    wide = inputs if inputs.dtype == torch.float64 else inputs.float()
    counts = 0.0 if stands_in() else 1.0
    number = counts * inputs.numel() / inputs.shape[1]
    sums = _Summed.apply(torch.cat([wide.sum(axes) * counts, wide.new_tensor([number])]))
    count = sums[-1].detach()
    if float(count) <= 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(inputs.shape)}")
    mean = sums[:-1] / count
    centred = wide - mean.view(shape)
    variance = _Summed.apply(centred.square().sum(axes) * counts) / count
    _note(module, mean.detach(), variance.detach() * (count / (count - 1)))
    normed = centred * torch.rsqrt(variance + module.eps).view(shape)
    if module.weight is not None:
        normed = normed * module.weight.view(shape) + module.bias.view(shape)
    return normed.to(inputs.dtype)


def _note(module: Any, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics towards those of a batch, as torch does."""
    if not (module.training and module.track_running_stats):
        return
    module.num_batches_tracked.add_(1)
    share = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
    module.running_mean.lerp_(mean.to(module.running_mean.dtype), share)
    module.running_var.lerp_(variance.to(module.running_var.dtype), share)


class _Summed(torch.autograd.Function):
    """A sum over all processes, and of its gradients likewise: what one of them adds moves the loss of all."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return dist.summed(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return dist.summed(gradient)
