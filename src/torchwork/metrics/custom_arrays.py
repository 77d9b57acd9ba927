"""What a user's metric is given of a split: targets, predictions and scores; and a small sample to try it on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from torchwork.metrics.final_numbers import pairs_of
from torchwork.metrics.scores import places, read_scores
from torchwork.metrics.table import numbers, read_columns

_TRIED = 32


class Arrays(NamedTuple):
    """A split's targets and predictions, and its scores where there are such.

    Of classes ``target`` and ``prediction`` are places among ``names``, int64 [N], ``scores`` probabilities [N, K], of
    a task with one output the second class's [N]. Of labels all three are [N, K], the first two 0 and 1. Of numbers
    float64 [N], or [N, k] where there are several, without scores, as are orders. Of sequences lists of texts.
    ``names`` are the classes, labels or targets.
    """

    target: NDArray[Any] | list[str]
    prediction: NDArray[Any] | list[str]
    scores: NDArray[np.float64] | None
    names: tuple[str, ...]
    task: str


def taken(arrays: Arrays, rows: NDArray[np.int64]) -> Arrays:
    """Return some of the samples, in the order of ``rows``, some perhaps several times."""
    target, prediction = (
        [side[row] for row in rows] if isinstance(side, list) else side[rows]
        for side in (arrays.target, arrays.prediction)
    )
    return arrays._replace(
        target=target, prediction=prediction, scores=None if arrays.scores is None else arrays.scores[rows]
    )


def task_of(data: Mapping[str, Any]) -> str:
    """Return what a run's ``data.json`` says of the task; without it classes or numbers."""
    return str(data.get("task") or ("classification" if data.get("classes") else "regression"))


def read(path: Path, data: Mapping[str, Any]) -> Arrays:
    """Return the arrays of a split from its table of predictions and the arrays beside it."""
    task, columns = task_of(data), read_columns(path)
    names = tuple(map(str, data.get("classes") or data.get("target_names") or ()))
    if task == "sequence":
        return Arrays(list(columns["target"]), list(columns["prediction"]), None, names, task)
    if task == "embedding" and names and set(columns["target"]) <= set(names):
        target, prediction = (places(columns[side], names) for side in ("target", "prediction"))
        return Arrays(target, prediction, None, names, task)
    if task in ("ranking", "embedding"):
        first, second = numbers(columns, ["target", "prediction"]).T
        return Arrays(first, second, None, (), task)
    if task == "regression":
        first, second = (side if side.shape[1] > 1 else side[:, 0] for side in pairs_of(columns, names))
        return Arrays(first, second, None, names, task)
    found = read_scores(path, data, columns)
    if found is None:
        target, prediction = (places(columns[side], names) for side in ("target", "prediction"))
        return Arrays(target, prediction, None, names, task)
    scores = found.scores[:, 1] if task == "binary" else found.scores
    return Arrays(found.target, found.prediction, scores, names, task)


def sample(data: Mapping[str, Any]) -> Arrays:
    """Return made-up arrays of 32 samples as `read` would give them: to see whether a metric takes them at all."""
    task, draws = task_of(data), np.random.default_rng(0)
    names = tuple(map(str, data.get("classes") or data.get("target_names") or ()))
    count = max(len(names), 1)
    if task == "sequence":
        symbols = names or ("0",)
        texts = [[symbols[place % count] for place in row] for row in draws.integers(count, size=(_TRIED, 3))]
        between = "" if all(len(name) == 1 for name in symbols) else " "
        joined = [between.join(row) for row in texts]
        return Arrays(joined, joined[::-1], None, names, task)
    if task in ("ranking", "regression") or (task == "embedding" and not names):
        shape = (2, _TRIED, count) if task == "regression" and count > 1 else (2, _TRIED)
        target, prediction = draws.uniform(0.5, 2.0, shape)
        return Arrays(target, prediction, None, names, task)
    if task == "multilabel":
        scores = draws.random((_TRIED, count))
        target = (np.arange(_TRIED)[:, None] + np.arange(count)) % 2
        return Arrays(target, (scores >= 0.5).astype(np.int64), scores, names, task)
    target, scores = np.arange(_TRIED) % count, draws.dirichlet(np.ones(count), _TRIED)
    prediction = scores.argmax(1)
    if task == "embedding":
        return Arrays(target, prediction, None, names, task)
    return Arrays(target, prediction, scores[:, 1] if task == "binary" else scores, names, task)
