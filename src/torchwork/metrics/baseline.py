"""What a prediction reaches that looks at no input: a model has to be better than that to have learnt anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from torchwork.metrics import chance, edits, final_classes, final_labels, final_numbers
from torchwork.metrics.found import Found, said
from torchwork.metrics.scores import present, read_scores
from torchwork.metrics.table import Columns, read_columns


class _Baseline(NamedTuple):
    name: str
    found: Found


def of_train(task: str, loss: str, target: NDArray[Any], classes: tuple[str, ...] | None) -> dict[str, Any]:
    """Return what a baseline has to know of the training targets, for ``train_targets`` in ``data.json``.

    Args:
        task: The name of the task.
        loss: The name of the loss.
        target: The encoded targets of the training split alone, [N, ...].
        classes: The symbols where the targets are sequences.

    Returns:
        Of classes ``counts``, in their order; of labels ``rates`` and ``most_frequent``, the places of the labels that
        samples have most often together; of numbers ``mean`` and ``median`` of each; of sequences ``most_frequent``,
        as a text. Of what occurs equally often the first counts, in the order of the classes. Of all else nothing.

    >>> of_train("regression", "MSELoss", np.array([[1.0], [2.0], [6.0]]), None)
    {'mean': [3.0], 'median': [2.0]}
    """
    if task in ("classification", "binary"):
        places = target.argmax(1) if target.ndim > 1 else target
        return {"counts": np.bincount(places[places >= 0]).tolist()}
    if task == "multilabel":
        there = present(target, loss)
        return {"rates": there.mean(0).tolist(), "most_frequent": np.flatnonzero(_mode(there)).tolist()}
    if task == "regression":
        numbers = target.reshape(len(target), -1).astype(np.float64)
        return {"mean": numbers.mean(0).tolist(), "median": np.median(numbers, axis=0).tolist()}
    if task == "sequence":
        symbols = classes or ()
        return {"most_frequent": edits.joined([symbols[place] for place in _mode(target) if place >= 0], symbols)}
    return {}


def of_split(path: Path, data: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the baseline of a split for ``baselines.json``.

    Of classes every sample gets the most frequent class of train as its prediction and the shares of the classes in
    train as its scores; of labels the most frequent set and the shares; of numbers the mean of train, which no constant
    beats in squares, and its median for the absolute errors, which no constant beats there; of sequences the most
    frequent one. For orders and vectors there is chance instead: a random order, neighbours at random; what it reaches
    on average follows from the sizes of the split's classes (`torchwork.metrics.chance`).

    Args:
        path: A ``predictions-<split>.csv``: of it the targets alone.
        data: The content of the run's ``data.json``, with ``train_targets``.
        metrics: The metrics that the split has: a baseline is given for these only.

    Returns:
        ``name``, what was predicted, and ``metrics``; None where the run does not know its training targets.
    """
    task = data.get("task")
    columns = read_columns(path)
    if not next(iter(columns.values()), ()):
        return None
    train = data.get("train_targets") or {}
    if task in ("ranking", "embedding"):
        found = _Baseline("a random order", Found(chance.ORDER, {})) if task == "ranking" else _of_vectors(path)
    elif not train:
        return None
    elif task == "multilabel":
        found = _of_labels(path, columns, data)
    elif task == "sequence":
        found = _of_sequences(columns, data, train["most_frequent"])
    elif task == "regression":
        found = _of_numbers(columns, data)
    else:
        found = _of_classes(columns, data)
    kept = {  # what is left of rounding is 0
        n: v if abs(v) > 1e-12 else 0.0
        for n, v in found.found.metrics.items()
        if n in metrics and not n.startswith("support/")
    }
    return {"name": found.name, "metrics": kept}


def _mode(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the row that occurs most often."""
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    return distinct[counts.argmax()]


def _of_classes(columns: Columns, data: Mapping[str, Any]) -> _Baseline:
    labels = final_classes.labels_of(columns, data.get("classes") or data["target_names"])
    counts = np.zeros(labels.num_classes)
    own = data["train_targets"]["counts"]
    counts[: len(own)] = own
    guess = int(counts.argmax())
    prediction = np.full_like(labels.target, guess)
    guessed = labels._replace(prediction=prediction, present=np.union1d(labels.target, prediction))
    scores = np.broadcast_to(counts / counts.sum(), (len(prediction), labels.num_classes))
    name = f"the most frequent class of train: {said([labels.names[guess]])}"
    return _Baseline(name, final_classes.of_classes(guessed, scores))


def _of_labels(path: Path, columns: Columns, data: Mapping[str, Any]) -> _Baseline:
    scores = read_scores(path, data, columns)
    train = data["train_targets"]
    if scores is None:
        return _Baseline("", Found({}, {}))
    guess = np.zeros(len(scores.classes), bool)
    guess[train["most_frequent"]] = True
    prediction = np.broadcast_to(guess, scores.target.shape)
    rates = np.broadcast_to(np.array(train["rates"], np.float64), scores.target.shape)
    ranks = data.get("loss") == "MultiLabelMarginLoss"
    found = final_labels.of_labels(scores.classes, scores.target > 0, None if ranks else prediction, rates)
    names = said([scores.classes[place] for place in train["most_frequent"]])
    if ranks:
        return _Baseline("the labels as often as train has them", found)
    return _Baseline(f"the most frequent labels of train: {names or 'none'}", found)


def _of_numbers(columns: Columns, data: Mapping[str, Any]) -> _Baseline:
    names, train = data.get("target_names") or (), data["train_targets"]
    target, _ = final_numbers.pairs_of(columns, names)
    counts = data.get("loss") == "PoissonNLLLoss"
    of_mean, of_median = (
        final_numbers.of_numbers(target, np.broadcast_to(train[kind], target.shape), names, counts=counts)
        for kind in ("mean", "median")
    )
    absolute = {n: v for n, v in of_median.metrics.items() if n.split("/")[0] in final_numbers.ERRORS}
    what = "mean rate" if counts else "mean"
    name = f"the {what} of train (for absolute errors its median)"
    if len(train["mean"]) == 1:
        name = f"the {what} of train, {train['mean'][0]:.4g} (for absolute errors its median, {train['median'][0]:.4g})"
    return _Baseline(name, Found(of_mean.metrics | absolute, {}))


def _of_sequences(columns: Columns, data: Mapping[str, Any], guess: str) -> _Baseline:
    target, read = (
        [edits.separated(cell, data["classes"]) for cell in cells]
        for cells in (columns["target"], [guess] * len(columns["target"]))
    )
    name = f"the most frequent sequence of train: {said([guess]) or 'an empty one'}"
    return _Baseline(name, Found(edits.rates(target, read), {}))


def _of_vectors(path: Path) -> _Baseline:
    return _Baseline("neighbours at random", Found(chance.of_vectors(path), {}))
