"""Triplets from the samples of one batch, by their distances: hard or semi-hard."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Mining = Literal["none", "hard", "semi-hard"]


def candidates(target: Tensor) -> tuple[Tensor, Tensor]:
    """Return which samples are positives and which negatives of each, bool [B, B], from classes [B]."""
    same = target[:, None] == target[None]
    return same & ~torch.eye(len(target), dtype=torch.bool, device=target.device), ~same


def num_triplets(target: Tensor, mining: str) -> Tensor:
    """Return how many triplets each sample of a batch is the anchor of, int64 [B]: from its classes alone.

    Hard: one for each sample that has a positive and a negative in the batch. Semi-hard: one for each positive of such.

    >>> num_triplets(torch.tensor([0, 0, 0, 1]), "hard").tolist()
    [1, 1, 1, 0]
    >>> num_triplets(torch.tensor([0, 0, 0, 1]), "semi-hard").tolist()
    [2, 2, 2, 0]
    """
    positive, negative = candidates(target)
    found = positive.sum(1) * negative.any(1)
    return found.clamp(max=1) if mining == "hard" else found


def triplets(vectors: Tensor, target: Tensor, mining: str, p: float = 2.0) -> tuple[Tensor, Tensor, Tensor]:
    """Return the places of anchors, positives and negatives, int64 [M] each, in the order of the anchors.

    Hard: the farthest positive and the nearest negative (Hermans, Beyer and Leibe: "In defense of the triplet loss for
    person re-identification", 2017). Semi-hard: to each positive the nearest negative that is farther than it, and
    where there is none, the farthest negative (Schroff, Kalenichenko and Philbin: "FaceNet", 2015).

    Args:
        vectors: The batch's outputs, [B, D].
        target: Its classes, int64 [B].
        mining: ``hard`` or ``semi-hard``.
        p: The norm of the distance.

    >>> triplets(torch.tensor([[0.0], [1.0], [4.0], [3.0]]), torch.tensor([0, 0, 0, 1]), "hard")
    (tensor([0, 1, 2]), tensor([2, 2, 0]), tensor([3, 3, 3]))
    """
    with torch.no_grad():
        distance = torch.cdist(vectors.detach(), vectors.detach(), p=p)
    positive, negative = candidates(target)
    infinite = torch.full_like(distance, torch.inf)
    if mining == "hard":
        anchors = torch.nonzero(num_triplets(target, mining)).squeeze(1)
        farthest = torch.where(positive, distance, -infinite).argmax(1)
        nearest = torch.where(negative, distance, infinite).argmin(1)
        return anchors, farthest[anchors], nearest[anchors]
    anchors, positives = torch.nonzero(positive & negative.any(1, keepdim=True), as_tuple=True)
    to_positive = distance[anchors, positives, None]
    rows = torch.where(negative[anchors], distance[anchors], torch.nan)
    beyond = torch.where(rows > to_positive, rows, torch.inf)
    farthest = torch.nan_to_num(rows, nan=-torch.inf).argmax(1)
    return anchors, positives, torch.where(torch.isinf(beyond).all(1), farthest, beyond.argmin(1))
