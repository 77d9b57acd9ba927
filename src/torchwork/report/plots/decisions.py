"""Targets and scores as yes-or-no decisions, one for each class: what curves of rates are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

MOST_SCORES = 20_000_000  # beyond, every n-th sample is drawn: sorting more takes minutes


class Decisions(NamedTuple):
    """``present`` bool [N, K]: whether a sample is of the class; ``scores`` float64 [N, K]; the K ``names``.

    ``exclusive`` says that every sample is of one class; ``notes`` say what was left out.
    """

    present: np.ndarray
    scores: np.ndarray
    names: list[str]
    exclusive: bool
    notes: list[str]


def decisions(target: Any, scores: Any, classes: Sequence[Any] = ()) -> Decisions:
    """Read targets and scores in any of the usual shapes.

    Args:
        target: The class of each of N samples, by name or as its place among the classes; or [N, K] with 1 where a
            sample has the label. Samples of no class (-1, or a name that is none) are left out.
        scores: [N, K], the higher the more likely; or [N], of the second of two classes. Rows that are not finite are
            left out.
        classes: The K names; numbers from 0 where left out.

    Raises:
        ValueError: the shapes do not fit together.

    >>> decisions(["cat", "dog", "cat"], [0.2, 0.9, float("nan")], ["cat", "dog"]).notes
    ['1 of 3 samples left out: their scores are not finite']
    """
    score = np.asarray(scores, np.float64)
    score = np.stack([1 - score, score], axis=1) if score.ndim == 1 else score
    num_classes = score.shape[1] if score.ndim == 2 and score.size else len(classes) or 1
    score = score.reshape(-1, num_classes)
    names = [str(name) for name in classes] or [str(place) for place in range(num_classes)]
    truth: np.ndarray = np.asarray(target)
    exclusive = truth.ndim <= 1 or truth.shape[1:] == (1,)
    present: np.ndarray = _of_one(truth.reshape(-1), classes, num_classes) if exclusive else truth > 0
    if present.shape != score.shape or len(names) != num_classes:
        raise ValueError(f"targets {truth.shape}, scores {np.shape(scores)} and {len(names)} names do not fit together")
    notes = []
    known = np.asarray(present.any(1)) if exclusive else np.ones(len(present), bool)
    finite = np.asarray(np.isfinite(score).all(1))
    for wrong, why in ((~known, "their class is not known"), (known & ~finite, "their scores are not finite")):
        if wrong.any():
            notes.append(f"{wrong.sum():,} of {len(wrong):,} samples left out: {why}")
    kept = np.flatnonzero(known & finite)
    every = -(-len(kept) * num_classes // MOST_SCORES)
    if every > 1:
        kept = kept[::every]
        notes.append(f"every {every}th sample drawn, {len(kept):,} in all")
    return Decisions(present[kept], score[kept], names, exclusive, notes)


def _of_one(target: np.ndarray, classes: Sequence[Any], num_classes: int) -> np.ndarray:
    index = {str(name): place for place, name in enumerate(classes)}
    named = bool(index) and any(str(value) in index for value in target.tolist())
    if named or target.dtype.kind in "OUS":
        places = np.array([index.get(str(value), -1) for value in target.tolist()], np.int64)
    else:
        places = np.nan_to_num(target.astype(np.float64), nan=-1).astype(np.int64)
    return places[:, None] == np.arange(num_classes)
