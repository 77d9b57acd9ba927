"""The scores of classes or labels of a split, as arrays, from its table of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from torchwork import rundir
from torchwork.metrics.table import Columns, numbers, outputs_beside, read_columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# float32 probabilities, written with nine digits, add up to 1 within this
_TOLERANCE = 1e-5


class Scores(NamedTuple):
    """What a model gave for each class or label of N samples, in the order of the table's rows.

    With one class a sample ``target`` and ``prediction`` are int64 [N], places among the K ``classes``, -1 where the
    table names a class that is not among them. With labels (``multilabel``) ``classes`` are the labels and ``target``
    is int64 [N, K], 1 where a sample has the label; ``prediction`` [N, K] is 1 where its score is at least 0.5 (of
    scores that are no probabilities: above 0). ``scores`` are float64 [N, K], NaN where a cell is no number.
    ``probabilities`` tells whether they are finite, from 0 to 1, and with one class a sample add up to 1 in each row.
    """

    classes: tuple[str, ...]
    target: Integers
    scores: Floats
    probabilities: bool
    prediction: Integers
    ids: Integers

    @property
    def multilabel(self) -> bool:
        """Whether a sample may have several labels, or none."""
        return self.target.ndim == 2


def read_scores(path: Path, data: Mapping[str, Any], columns: Columns | None = None) -> Scores | None:
    """Return the scores of a split of classes or labels; None where there are none.

    Up to 20 classes have a column each in the table; of more, the outputs in ``arrays/outputs-<split>.npz`` are turned
    into what those columns would hold: softmax for one class a sample (which leaves log-probabilities what they are),
    sigmoid for labels, but for BCELoss, whose outputs are probabilities, and MultiLabelMarginLoss, whose outputs are
    scores of any range; in float64.

    Args:
        path: A ``predictions-<split>.csv``.
        data: The content of the run's ``data.json``: of it ``task``, ``loss``, ``classes`` and ``target_names``.
        columns: The table's columns, where they are read already.

    Returns:
        The scores, of no samples where the table has no rows. None where the task has no scores of classes (numbers,
        orders, vectors, sequences), where the table is missing, or where it has neither columns nor arrays of them.

    Raises:
        ValueError: the table is damaged: rows of unequal length, or an id that is no number.
    """
    if columns is None:
        if not path.is_file():
            return None
        columns = read_columns(path)
    task = data.get("task") or ("classification" if data.get("classes") else None)
    if task == "multilabel":
        return _of_labels(path, columns, data)
    if task in ("classification", "binary"):
        return _of_classes(path, columns, data)
    return None


def finite(found: Scores) -> Scores:
    """Return the samples whose scores are all finite; ``probabilities`` is told anew of those that are left."""
    kept = np.isfinite(found.scores).all(1)
    if kept.all():
        return found
    left = found.scores[kept]
    probable = are_probabilities(left, rows=not found.multilabel)
    return Scores(found.classes, found.target[kept], left, probable, found.prediction[kept], found.ids[kept])


def from_columns(columns: Columns, classes: Sequence[str], scores: Floats) -> Scores:
    """Return the scores [N, K] of one class a sample with the targets and predictions that the columns name."""
    target, prediction = (places(columns[side], classes) for side in ("target", "prediction"))
    return Scores(tuple(classes), target, scores, are_probabilities(scores, rows=True), prediction, _ids(columns))


def places(names: Sequence[str], classes: Sequence[str]) -> Integers:
    """Return each name's place among the classes, int64 [N]; -1 where it is not among them.

    >>> places(["b", "a", "?"], ["a", "b"]).tolist()
    [1, 0, -1]
    """
    place_of = {name: place for place, name in enumerate(classes)}
    return np.fromiter((place_of.get(name, -1) for name in names), np.int64, len(names))


def are_probabilities(scores: Floats, *, rows: bool) -> bool:
    """Tell whether scores [N, K] are finite and from 0 to 1, and with ``rows`` add up to 1 in each row."""
    within = bool(np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1 + _TOLERANCE).all())
    return within and (not rows or bool((np.abs(scores.sum(1) - 1) <= _TOLERANCE).all()))


def softmax(outputs: NDArray[Any]) -> Floats:
    """Return exp(x) / sum(exp(x)) of each row [N, K] in float64; NaN in rows that are not finite.

    >>> softmax(np.array([[1000.0, 1000.0]])).tolist()
    [[0.5, 0.5]]
    """
    x = outputs.astype(np.float64)
    with np.errstate(invalid="ignore"):  # in place: ten thousand classes are much memory
        x -= x.max(1, keepdims=True, initial=-np.inf)
        np.exp(x, out=x)
        x /= x.sum(1, keepdims=True)
    return x


def sigmoid(outputs: NDArray[Any]) -> Floats:
    """Return 1 / (1 + exp(-x)) in float64, without overflow.

    >>> sigmoid(np.array([0.0, 1000.0, -1000.0])).tolist()
    [0.5, 1.0, 0.0]
    """
    x = outputs.astype(np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1 + small)


def _of_classes(path: Path, columns: Columns, data: Mapping[str, Any]) -> Scores | None:
    classes = [str(name) for name in data.get("classes") or data.get("target_names") or ()]
    names = [f"score_{name}" for name in classes]
    if classes and all(name in columns for name in names):
        return from_columns(columns, classes, numbers(columns, names))
    outputs = _outputs(path, columns)
    if outputs is None or not classes or outputs.shape[1] != len(classes):
        return None
    return from_columns(columns, classes, softmax(outputs))


def _of_labels(path: Path, columns: Columns, data: Mapping[str, Any]) -> Scores | None:
    names, loss = [str(name) for name in data.get("target_names") or ()], data.get("loss", "")
    ranks = loss == "MultiLabelMarginLoss"
    if names and all(f"score_{name}" in columns for name in names):
        scores = numbers(columns, [f"score_{name}" for name in names])
        target = numbers(columns, [f"target_{name}" for name in names]) > 0
    else:
        outputs = _outputs(path, columns)
        if outputs is None or not names or outputs.shape[1] != len(names):
            return None
        scores = outputs.astype(np.float64) if ranks or loss == "BCELoss" else sigmoid(outputs)
        target = present(outputs_beside(path)["target"], loss)
    probable = not ranks and are_probabilities(scores, rows=False)
    chosen = scores > 0 if ranks else scores >= 0.5
    return Scores(tuple(names), target.astype(np.int64), scores, probable, chosen.astype(np.int64), _ids(columns))


def present(target: NDArray[Any], loss: str) -> NDArray[np.bool_]:
    """Return which labels encoded targets [N, K] name: 0 and 1, for SoftMarginLoss -1 and 1.

    MultiLabelMarginLoss may have lists instead, int64 that end at their first -1.

    >>> present(np.array([[2, 0, -1]]), "MultiLabelMarginLoss").tolist()
    [[True, False, True]]
    """
    if loss != "MultiLabelMarginLoss" or np.issubdtype(target.dtype, np.floating):
        return _flat(target) >= (0.0 if loss == "SoftMarginLoss" else 0.5)
    kept = np.cumsum(target == -1, axis=1) == 0
    found = np.zeros(target.shape, bool)
    rows, positions = np.nonzero(kept)
    found[rows, target[rows, positions]] = True
    return found


def _outputs(path: Path, columns: Columns) -> NDArray[Any] | None:
    """Return the outputs [N, K] beside a table, where they are there and of its rows."""
    arrays = path.parent / rundir.ARRAYS / f"outputs-{path.stem.removeprefix('predictions-')}.npz"
    if not arrays.is_file():
        return None
    outputs = _flat(outputs_beside(path)["output"])
    return outputs if len(outputs) == len(columns["target"]) else None


def _flat(rows: NDArray[Any]) -> NDArray[Any]:
    """Return rows [N, ...] as [N, K], of no rows too, where numpy does not know K."""
    return rows.reshape(len(rows), int(np.prod(rows.shape[1:])))


def _ids(columns: Columns) -> Integers:
    return np.fromiter(map(int, columns["id"]), np.int64, len(columns["id"]))
