"""Batches on their way to the device."""

from __future__ import annotations

from typing import Any

import torch


def moved(inputs: Any, device: torch.device) -> Any:
    """Return a tensor, or a dict of tensors, on a device."""
    if isinstance(inputs, dict):
        return {name: moved(value, device) for name, value in inputs.items()}
    return inputs if inputs.device == device else inputs.to(device, non_blocking=True)
