"""How the samples of a split came out: read from its table of predictions, the worst and the least certain first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from torchwork import rundir
from torchwork.inspection.guard import UnavailableError
from torchwork.metrics.scores import Scores, read_scores

_RIGHT_OR_WRONG = ("binary", "classification", "embedding", "multilabel", "sequence")
_NAMES_AT_MOST = 4  # of several targets


class Judged(NamedTuple):
    """N samples of a split, each once, in the order of the table.

    ``loss`` is float64 [N]. ``certainty`` is that of the prediction, float64 [N]: the probability of the predicted
    class, of labels the mean probability of what is said about each; None where the outputs say nothing of it.
    ``wrong`` is bool [N], where the prediction is another than the target or its loss is NaN; None of numbers, which
    are more or less off.
    ``rows`` are their places in the table, which are those in ``arrays/outputs-<split>.npz`` too.
    """

    split: str
    ids: np.ndarray
    rows: np.ndarray
    target: list[str]
    prediction: list[str]
    loss: np.ndarray
    certainty: np.ndarray | None
    is_class: bool
    wrong: np.ndarray | None

    def worst(self, most: int) -> np.ndarray:
        """Return the places of the samples with the greatest losses, the greatest first; those that are NaN first.

        Where predictions are right or wrong, all wrong ones stand before the right ones.
        """
        loss = -np.where(np.isnan(self.loss), np.inf, self.loss)
        return np.lexsort((loss,) if self.wrong is None else (loss, ~self.wrong))[:most]

    def best(self, most: int) -> np.ndarray:
        """Return the places of the samples with the smallest losses, the smallest first; those of an empty text last.

        Of an empty target and an empty prediction there is nothing to see.
        """
        empty = [not target and not prediction for target, prediction in zip(self.target, self.prediction, strict=True)]
        return np.lexsort((self.loss, np.array(empty, bool)))[:most]

    def least_certain(self, most: int) -> np.ndarray:
        """Return the places of the samples with the lowest certainty, the lowest first; none where nobody knows."""
        if self.certainty is None:
            return np.empty(0, np.int64)
        order = np.argsort(self.certainty, kind="stable")
        return order[np.isfinite(self.certainty[order])][:most]


def judged(directory: Path, split: str, data: Mapping[str, Any]) -> Judged:
    """Read how a split came out.

    Args:
        directory: A run's.
        split: One whose predictions are there.
        data: The content of the run's data.json.

    Raises:
        UnavailableError: the table is empty, or its rows are pairs and no samples.
    """
    path = directory / rundir.predictions(split)
    table = rundir.read_csv(path)
    if not table:
        raise UnavailableError(f"{split} holds no samples")
    columns = {name: [row[name] for row in table] for name in table[0]}
    if data.get("task") in ("embedding", "ranking") and _are_pairs(directory, split):
        raise UnavailableError("the rows of the predictions are pairs, no single samples")
    ids, rows = np.unique(np.array(columns["id"], np.int64), return_index=True)
    order = np.argsort(rows)
    ids, rows = ids[order], rows[order]
    loss = np.array(columns["loss"], np.float64)[rows]
    if data.get("target") == "number":
        columns = {name: [_shortened(value) for value in column] for name, column in columns.items()}
    target, prediction = (_texts(columns, kind, rows) for kind in ("target", "prediction"))
    scores = read_scores(path, data)
    certainty = None if scores is None or not scores.probabilities else _certainty(scores)[rows]
    is_class = data.get("target") == "class" and scores is not None and not scores.multilabel
    wrong = None
    if data.get("task") in _RIGHT_OR_WRONG:
        wrong = np.isnan(loss) | np.array([one != other for one, other in zip(target, prediction, strict=True)], bool)
    return Judged(split, ids, rows, target, prediction, loss, certainty, is_class, wrong)


def _shortened(text: str) -> str:
    """Return a number with five significant digits; what is none as it is."""
    try:
        return format(float(text), ".5g")
    except ValueError:
        return text


def _are_pairs(directory: Path, split: str) -> bool:
    path = directory / rundir.ARRAYS / f"outputs-{split}.npz"
    if not path.is_file():
        return False
    with np.load(path) as arrays:
        return bool(arrays["output"].ndim == 3)


def _certainty(scores: Scores) -> np.ndarray:
    if scores.multilabel:
        return np.maximum(scores.scores, 1 - scores.scores).mean(1)
    return scores.scores.max(1)


def _texts(columns: Mapping[str, list[str]], kind: str, rows: np.ndarray) -> list[str]:
    """Return what stands in the column of the target or the prediction; of several columns each with its name."""
    if kind in columns:
        return [columns[kind][row] for row in rows.tolist()]
    names = [name for name in columns if name.startswith(f"{kind}_")]
    shown = names[:_NAMES_AT_MOST]
    more = " …" if len(names) > len(shown) else ""
    return [
        ", ".join(f"{name.removeprefix(f'{kind}_')} {columns[name][row]}" for name in shown) + more
        for row in rows.tolist()
    ]
