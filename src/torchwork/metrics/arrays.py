"""The metrics of a finished run of vectors, orders and sequences: from its table and the arrays beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from torchwork.metrics import edits, order, retrieval
from torchwork.metrics.table import outputs_beside


def of_order(path: Path, columns: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return Kendall's tau-b and the part of pairs in the right order, of scores against numbers.

    Where the rows are pairs with ±1 of a user's file, the prediction is the difference of the two scores: the part of
    pairs in the right order alone.
    """
    target, scores = (
        torch.tensor([float(cell) for cell in columns[name]], dtype=torch.float64) for name in ("target", "prediction")
    )
    output = outputs_beside(path)["output"]
    if output.ndim > 1 and output.shape[1] == 2:
        return _known({"pairs_in_order": order.signs_met(scores, target)})
    ids = torch.tensor([int(cell) for cell in columns["id"]])
    _, target, scores = order.once(ids, target, scores)
    return _known(
        {
            "kendall_tau": order.kendall_tau(scores, target),
            "pairs_in_order": order.pairs_in_order(scores, target),
        }
    )


def of_vectors(path: Path, loss: str) -> dict[str, float]:
    """Return recall@1, MAP@R and, over all pairs of samples, the ROC AUC of same or different class.

    Where the rows are pairs with ±1 of a user's file: the ROC AUC over these; triplets without classes: how many have
    the positive closer.
    """
    metric: retrieval.Metric = "cosine" if loss == "CosineEmbeddingLoss" else "euclidean"
    ids, vectors, target = (torch.from_numpy(array) for array in outputs_beside(path).values())
    if vectors.ndim == 3 and vectors.shape[1] == 3:
        return _known({"triplets_in_order": retrieval.triplets_in_order(vectors, metric)})
    if vectors.ndim == 3:
        near = -retrieval.distance(vectors[:, 0], vectors[:, 1], metric)
        return _known({"roc_auc": order.roc_auc(near, target > 0)})
    _, vectors, target = order.once(ids, vectors, target)
    return _known(
        {
            "recall_at_1": retrieval.recall_at_1(vectors, target, metric),
            "map_at_r": retrieval.map_at_r(vectors, target, metric),
            "roc_auc": retrieval.same_or_different_auc(vectors, target, metric),
        }
    )


def of_sequences(columns: Mapping[str, Sequence[str]], symbols: Sequence[str]) -> dict[str, float]:
    """Return the character error rate, all edits over all symbols of the targets, and the part read exactly."""
    target, read = ([edits.separated(cell, symbols) for cell in columns[name]] for name in ("target", "prediction"))
    return _known(edits.rates(target, read))


def _known(found: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if not math.isnan(value)}
