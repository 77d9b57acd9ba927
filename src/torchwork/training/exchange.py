"""Gradients that each process of a host sends to every other in one message, with what else is to be told.

Where a step is short, or the processes are few, that takes less time than DistributedDataParallel's sum: of some
messages one after the other, by threads that have to be woken.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from torchwork import dist
from torchwork.optim.check import sparse_parameters

LARGEST = 2**26  # bytes that a process sends at a step; of more, a sum that goes round takes fewer
_NUMBERS = 16  # told besides, at most


def suits(model: nn.Module, device: torch.device) -> bool:
    """Tell whether gradients can be sent so: by processes of one host, in its memory, dense, in one format."""
    group, trained = dist.group(), [p for p in model.parameters() if p.requires_grad]
    if group is None or group.sockets is None or device.type != "cpu":
        return False
    if len({p.dtype for p in trained}) != 1 or not trained[0].is_floating_point() or sparse_parameters(model):
        return False
    size = sum(p.numel() * p.element_size() for p in trained)
    return (group.world - 1) * size <= LARGEST and not shared_buffers(model)


def shared_buffers(model: nn.Module) -> bool:
    """Tell whether a step needs what is in the buffers of a model, so that all processes must have the same.

    Batch norm does not: in training it takes the statistics of the batch. Its running ones are the first process's,
    from which the others have them before an evaluation.
    """
    norms = (module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm))
    own = {id(buffer) for norm in norms for buffer in norm.buffers(recurse=False)}
    return any(id(buffer) not in own for buffer in model.buffers())


class Exchange:
    """What goes between the processes at a step.

    All add up in the order of the ranks, and therefore have the same bits.

    Args:
        model: One that `suits`; the parameters that are trained now are.
    """

    def __init__(self, model: nn.Module) -> None:
        group = dist.group()
        assert group is not None
        assert group.sockets is not None
        self._sockets, self._rank = group.sockets, group.rank
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        size = sum(p.numel() * p.element_size() for p in self._parameters)
        self._begin = -(-size // 8) * 8  # where the numbers begin, which take eight bytes each
        whole = self._begin + 8 * (len(self._parameters) + _NUMBERS)
        self._messages = [torch.zeros(whole, dtype=torch.uint8) for _ in range(group.world)]
        self._gradients = [message[:size].view(self._parameters[0].dtype) for message in self._messages]
        self._own, self._summed = self._of_each(self._gradients[self._rank]), self._of_each(self._gradients[0])

    def _of_each(self, flat: Tensor) -> list[Tensor]:
        """Return the part of each parameter, laid out as the parameter is."""
        parts, start = [], 0
        for parameter in self._parameters:
            dense = torch.ops.aten.is_non_overlapping_and_dense(parameter)
            strides = parameter.stride() if dense else torch.empty(parameter.shape, device="meta").stride()
            parts.append(flat.as_strided(parameter.shape, strides, flat.storage_offset() + start))
            start += parameter.numel()
        return parts

    @torch.no_grad()
    def __call__(self, values: Sequence[float]) -> list[float]:
        """Put the sums over all processes in the gradients' place, and return those of the values, float64.

        They are valid until the next call. A parameter that no process has a gradient of has none afterwards either.
        """
        gradients = [parameter.grad for parameter in self._parameters]
        there = [(part, gradient) for part, gradient in zip(self._own, gradients, strict=True) if gradient is not None]
        if there:
            torch._foreach_copy_([part for part, _ in there], [gradient for _, gradient in there])
        for part, gradient in zip(self._own, gradients, strict=True):
            if gradient is None:
                part.zero_()
        numbers = self._send([*values, *(float(gradient is not None) for gradient in gradients)])
        for parameter, total, users in zip(self._parameters, self._summed, numbers[len(values) :], strict=True):
            if users:
                parameter.grad = total
        return numbers[: len(values)]

    def _send(self, numbers: list[float]) -> list[float]:
        """Swap the messages of all processes; the gradients are added up in the first one's, the numbers returned."""
        end = self._begin + 8 * len(numbers)
        told = [message[self._begin : end].view(torch.float64) for message in self._messages]
        told[self._rank].copy_(torch.tensor(numbers, dtype=torch.float64))
        parts = [message.numpy().data[:end] for message in self._messages]
        self._sockets.swap(parts[self._rank], {rank: part for rank, part in enumerate(parts) if rank != self._rank})
        for others in self._gradients[1:]:
            self._gradients[0].add_(others)
        return torch.stack(told).cumsum(0)[-1].tolist()
