"""The metrics of a finished run of vectors, orders and sequences: from its table and the arrays beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from torchwork.metrics import edits, order, retrieval
from torchwork.metrics.found import Found, without
from torchwork.metrics.table import Columns, numbers, outputs_beside

IN_ORDER = ("kendall_tau", "pairs_in_order")
OF_PAIRS = ("roc_auc", "equal_error_rate")
RETRIEVAL = (*(f"recall_at_{k}" for k in retrieval.RECALL_AT), "map_at_r", "mean_average_precision")
SEQUENCES = ("character_error_rate", "exact_match")
_EMPTY = "there are no samples"


def of_order(path: Path, columns: Columns) -> Found:
    """Return Kendall's tau-b and the part of pairs in the right order, of scores against numbers.

    Where the rows are pairs with ±1 of a user's file, the prediction is the difference of the two scores: the part of
    pairs in the right order alone.
    """
    target, scores = torch.from_numpy(numbers(columns, ["target", "prediction"]).T)
    if not len(target):
        return without(IN_ORDER, _EMPTY)
    bad = int((~torch.isfinite(scores)).sum())
    if bad:
        return without(IN_ORDER, f"the scores of {bad} of {len(scores)} samples are NaN or infinite")
    output = outputs_beside(path)["output"]
    if output.ndim > 1 and output.shape[1] == 2:
        return _known({"pairs_in_order": order.signs_met(scores, target)}, "no pair has an order")
    ids = torch.tensor([int(cell) for cell in columns["id"]])
    _, target, scores = order.once(ids, target, scores)
    found = {"kendall_tau": order.kendall_tau(scores, target), "pairs_in_order": order.pairs_in_order(scores, target)}
    all_one = "targets" if bool((target == target[0]).all()) else "scores"
    return _known(found, f"all {all_one} are equal" if len(target) > 1 else "there is one sample only")


def of_vectors(path: Path, loss: str) -> Found:
    """Return recall@1, 5 and 10, MAP@R and MAP, and of all pairs ROC AUC and equal error rate of same or different.

    Where the rows are pairs with ±1 of a user's file: area and equal error rate over these; triplets without classes:
    how many have the positive closer.
    """
    metric: retrieval.Metric = "cosine" if loss == "CosineEmbeddingLoss" else "euclidean"
    ids, vectors, target = (torch.from_numpy(array) for array in outputs_beside(path).values())
    triplets = vectors.ndim == 3 and vectors.shape[1] == 3
    names = ("triplets_in_order",) if triplets else OF_PAIRS if vectors.ndim == 3 else (*RETRIEVAL, *OF_PAIRS)
    if not len(vectors):
        return without(names, _EMPTY)
    bad = int((~torch.isfinite(vectors)).flatten(1).any(1).sum())
    if bad:
        return without(names, f"the vectors of {bad} of {len(vectors)} samples are NaN or infinite")
    if triplets:
        return _known({"triplets_in_order": retrieval.triplets_in_order(vectors, metric)}, "")
    if vectors.ndim == 3:
        near = -retrieval.distance(vectors[:, 0], vectors[:, 1], metric)
        found = {
            "roc_auc": order.roc_auc(near, target > 0),
            "equal_error_rate": order.equal_error_rate(near, target > 0),
        }
        return _known(found, "all pairs are alike, or none is")
    _, vectors, target = order.once(ids, vectors, target)
    found = retrieval.ranked(vectors, target, metric)
    alone = math.isnan(found["map_at_r"])
    few = "no two samples are of one class" if alone else f"a sample has {len(vectors) - 1} others only"
    area, rate = retrieval.same_or_different(vectors, target, metric)
    pairs = {"roc_auc": area, "equal_error_rate": rate}
    return _known(found, few) | _known(pairs, "no two samples are of one class" if alone else "there is one class only")


def of_sequences(columns: Columns, symbols: Sequence[str]) -> Found:
    """Return the character error rate, all edits over all symbols of the targets, and the part read exactly."""
    target, read = ([edits.separated(cell, symbols) for cell in columns[name]] for name in ("target", "prediction"))
    if not target:
        return without(SEQUENCES, _EMPTY)
    return _known(edits.rates(target, read), "the targets have no symbols")


def _known(found: dict[str, float], reason: str) -> Found:
    """Leave out what is NaN, for a reason."""
    missing = tuple(name for name, value in found.items() if math.isnan(value))
    return Found({name: value for name, value in found.items() if name not in missing}, dict.fromkeys(missing, reason))
