"""What a random order reaches on average: closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchwork.metrics.retrieval import RECALL_AT
from torchwork.metrics.table import outputs_beside

PAIRS = {"roc_auc": 0.5, "equal_error_rate": 0.5, "triplets_in_order": 0.5}
ORDER = {"kendall_tau": 0.0, "pairs_in_order": 0.5}


def of_vectors(path: Path) -> dict[str, float]:
    """Return what neighbours at random reach on a split's vectors, from the sizes of its classes alone."""
    arrays = outputs_beside(path)
    if arrays["output"].ndim == 3:
        return dict(PAIRS)
    _, first = np.unique(arrays["id"], return_index=True)  # a sample may be an anchor more than once
    return PAIRS | ranked(arrays["target"][first])


def ranked(classes: NDArray[np.int64]) -> dict[str, float]:
    """Return recall@k, MAP@R and MAP that a random order of the other samples has on average.

    Of a sample with R others of its class among M others: recall@k = 1 - C(M - R, k) / C(M, k), and the precision at
    rank i, where that one is of the class, is on average R/M (1 + (i - 1) (R - 1) / (M - 1)) / i; its sum over i up to
    R (MAP@R) or M (MAP) over R. Samples that are the only ones of their class do not count; empty where no others are
    left.

    Args:
        classes: The classes of the N samples, int64 [N].

    >>> ranked(np.array([0, 0, 1, 1, 1]))["recall_at_1"]  # of four others one, or two
    0.4
    """
    _, sizes = np.unique(classes, return_counts=True)
    relevant, number = np.unique(sizes[sizes > 1] - 1, return_counts=True)
    others = len(classes) - 1
    if not len(relevant):
        return {}
    samples = number * (relevant + 1)
    found = {f"recall_at_{k}": _recall(relevant, others, k) for k in RECALL_AT if k <= others}
    ranks = np.arange(1, others + 1)
    precision = [own / others * (1 + (ranks - 1) * (own - 1) / max(others - 1, 1)) / ranks for own in relevant.tolist()]
    found["map_at_r"] = np.array([p[:own].sum() / own for p, own in zip(precision, relevant, strict=True)])
    found["mean_average_precision"] = np.array([p.sum() / own for p, own in zip(precision, relevant, strict=True)])
    return {name: float(np.average(values, weights=samples)) for name, values in found.items()}


def _recall(relevant: NDArray[np.int64], others: int, k: int) -> NDArray[np.float64]:
    """Return 1 - C(others - relevant, k) / C(others, k), as a product without large numbers."""
    missed = [(others - relevant - place).clip(0) / (others - place) for place in range(k)]
    return np.asarray(1 - np.prod(missed, axis=0))
