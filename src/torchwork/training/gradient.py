"""The gradient of a window, the batches of one update, as that of the one big batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from torchwork.types import Batch, Task


def backward(
    task: Task, model: nn.Module, window: list[Batch], total: float, scaler: GradScaler | None = None
) -> Tensor:
    """Back-propagate a window's mean loss, and return it, a scalar.

    Of one batch it is torch's own mean, unchanged. Of several, each batch's is its sum over ``total``, the window's
    weight, however unequal the batches are. With a scaler the gradients are those of the scaled loss.
    """
    if len(window) == 1:
        mean = task.loss(model, window[0])
        (mean if scaler is None else scaler.scale(mean)).backward()
        return mean.detach()
    shares = []
    for batch in window:
        share = task.loss(model, batch, total)
        (share if scaler is None else scaler.scale(share)).backward()
        shares.append(share.detach())
    return torch.stack(shares).sum()


def seed_random_layers(seed: int, device: torch.device) -> None:
    """Seed torch's default generators, which dropout draws from. ``torch.manual_seed`` would take 100 µs."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
