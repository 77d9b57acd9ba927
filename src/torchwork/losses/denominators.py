"""What each loss of torch.nn divides by, and the share of each sample in it.

=====================  ============================================================================================
denominator            losses
=====================  ============================================================================================
weights of the rows    CrossEntropyLoss, NLLLoss: the sum of the class weights of the rows that are not ignored
elements               BCELoss, BCEWithLogitsLoss, GaussianNLLLoss, HingeEmbeddingLoss, HuberLoss, L1Loss,
                       MarginRankingLoss (one element a pair), MSELoss, PoissonNLLLoss, SmoothL1Loss, SoftMarginLoss
rows                   CosineEmbeddingLoss, KLDivLoss (as ``batchmean``), MultiLabelMarginLoss, MultiMarginLoss (even
                       with class weights), TripletMarginLoss
target lengths, rows   CTCLoss: the loss of each row over the length of its target, then over the rows
=====================  ============================================================================================

Source: the documentation and the kernels of PyTorch 2.13; tests compare every row of this table with ``torch.nn``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Kind(NamedTuple):
    """How a loss takes its mean: what it divides by, and which of its arguments says so."""

    denominator: str
    position: int = 1
    reduction: str = "mean"


KINDS: dict[type[nn.Module], Kind] = {
    nn.BCELoss: Kind("elements"),
    nn.BCEWithLogitsLoss: Kind("elements"),
    nn.CTCLoss: Kind("lengths", position=3),
    nn.CosineEmbeddingLoss: Kind("rows", position=2),
    nn.CrossEntropyLoss: Kind("weights"),
    nn.GaussianNLLLoss: Kind("elements"),
    nn.HingeEmbeddingLoss: Kind("elements"),
    nn.HuberLoss: Kind("elements"),
    nn.KLDivLoss: Kind("rows", reduction="batchmean"),
    nn.L1Loss: Kind("elements"),
    nn.MSELoss: Kind("elements"),
    nn.MarginRankingLoss: Kind("elements", position=2),
    nn.MultiLabelMarginLoss: Kind("rows"),
    nn.MultiMarginLoss: Kind("rows"),
    nn.NLLLoss: Kind("weights"),
    nn.PoissonNLLLoss: Kind("elements"),
    nn.SmoothL1Loss: Kind("elements"),
    nn.SoftMarginLoss: Kind("elements"),
    nn.TripletMarginLoss: Kind("rows", position=0),
}


def weight(module: Any, kind: Kind, target: Tensor) -> float:
    """Return the denominator of a loss's mean, given the argument at ``kind.position``."""
    if kind.denominator == "weights":
        return _class_weight(module, target)
    return float(target.numel() if kind.denominator == "elements" else target.shape[0])


def row_weights(module: Any, kind: Kind, target: Tensor) -> Tensor:
    """Return the part of each row in the denominator, float64 [B]."""
    if kind.denominator == "weights":
        return _class_row_weights(module, target)
    each = math.prod(target.shape[1:]) if kind.denominator == "elements" else 1
    return torch.full((len(target),), float(each), dtype=torch.float64, device=target.device)


def by_row(values: Tensor) -> Tensor:
    """Sum everything but the first axis, in float64."""
    values = values.double()
    return values.flatten(1).sum(1) if values.ndim > 1 else values


def _class_weight(module: Any, target: Tensor) -> float:
    if target.is_floating_point():  # probabilities for each class: torch divides by the rows, weighted or not
        return float(target.numel() // target.shape[1])
    if module.weight is None and target.device.type == "cpu":  # torch's operations would cost five times as much
        return float(np.count_nonzero(target.numpy() != module.ignore_index))
    kept = target != module.ignore_index
    if module.weight is None:
        return float(kept.sum())
    return float(module.weight[target[kept]].sum(dtype=torch.float64))


def _class_row_weights(module: Any, target: Tensor) -> Tensor:
    if target.is_floating_point():
        return torch.full((len(target),), float(math.prod(target.shape[2:])), dtype=torch.float64)
    kept = target != module.ignore_index
    if module.weight is None:
        return by_row(kept)
    return by_row(torch.where(kept, module.weight[torch.where(kept, target, 0)], 0.0))
