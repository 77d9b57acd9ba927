"""Where an optimizer's update is made by one kernel over all parameters: wherever torch has one, unless told not to."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from torchwork.optim import OPTIMIZERS
from torchwork.optim.plan import Part
from torchwork.optim.several import Optimizers, members

_DEVICES = ("cpu", "cuda")
_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
# given by the user, they decide: torch takes one of them at most
_OTHERS = ("fused", "foreach", "differentiable", "capturable")


def chosen(part: Part, parameters: Mapping[str, nn.Parameter], sparse: set[str]) -> Part:
    """Return the plan of an optimizer with ``fused: true`` where torch has such a kernel for all its parameters.

    It has one for Adam, AdamW, SGD and Adagrad, of dense real numbers on the CPU or, but for Adagrad, on CUDA. What
    the user says stays.
    """
    if part.name not in OPTIMIZERS or "fused" not in inspect.signature(part.component).parameters:
        return part
    if any(name in options for options in (part.options, *(g.options for g in part.groups)) for name in _OTHERS):
        return part
    held = [parameters[name] for name in part.names]
    kinds = {(p.device.type, p.dtype) for p in held}
    devices = ("cpu",) if part.name == "Adagrad" else _DEVICES
    if sparse & set(part.names) or not all(device in devices and dtype in _DTYPES for device, dtype in kinds):
        return part
    return part._replace(options={**part.options, "fused": True})


def recorded(optimizer: Any) -> list[dict[str, bool]]:
    """Return for each optimizer what a config has to say so that another run chooses the same.

    >>> layer = nn.Linear(2, 2)
    >>> recorded(torch.optim.Adam(layer.parameters(), fused=True)), recorded(torch.optim.Rprop(layer.parameters()))
    ([{'fused': True}], [{}])
    """
    several = members(optimizer) if isinstance(optimizer, Optimizers) else [optimizer]
    return [{"fused": bool(one.defaults["fused"])} if "fused" in one.defaults else {} for one in several]
