"""Clip gradients by their norm, sparse ones too."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, get_total_norm

from torchwork import shards


def grad_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Return the 2-norm of all gradients taken as one vector, a scalar; 0 where there are none.

    Sparse gradients are coalesced first, in place: entries of the same row are one gradient, so their sum counts, not
    the parts.

    >>> x = torch.zeros(2, requires_grad=True)
    >>> x.grad = torch.tensor([3.0, 4.0])
    >>> grad_norm([x])
    tensor(5.)
    """
    return shards.whole(get_total_norm(_gradients(list(parameters))))


@torch.no_grad()
def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients in place by min(1, max_norm / (norm + 1e-6)); return their norm before that, a scalar.

    The very numbers of ``torch.nn.utils.clip_grad_norm_``, which refuses sparse gradients; those are coalesced first.
    Norms that are NaN or infinite are returned as they are, after torch's scaling with them.

    >>> x = torch.zeros(2, requires_grad=True)
    >>> x.grad = torch.tensor([3.0, 4.0])
    >>> clip_grad_norm([x], max_norm=1.0)
    tensor(5.)
    >>> x.grad
    tensor([0.6000, 0.8000])
    """
    held = list(parameters)
    if not any(p.grad is not None and p.grad.is_sparse for p in held):
        return shards.whole(clip_grad_norm_(held, max_norm))
    gradients = _gradients(held)
    norm = get_total_norm(gradients)
    scale = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    for gradient in gradients:
        gradient.mul_(scale.to(gradient.device))
    return norm


def _gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Return the dense gradients and the values of the sparse ones; what is done to them is done to the gradients."""
    found = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            found.append(parameter.grad.values())
        else:
            found.append(parameter.grad)
    return found
