"""What is chosen after training, on val and never on test: a threshold for one label, a temperature for probabilities.

Choosing sees the scores of val alone; what was chosen is then applied to the other splits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from torchwork import rundir
from torchwork.metrics import probabilities
from torchwork.metrics.scores import Scores, read_scores

Floats = NDArray[np.float64]

LEAST_SAMPLES = 50
LEAST_OF_EACH = 10
_RANGE = (0.05, 20.0)
_EPSILON = float(np.finfo(np.float64).eps)


class Choice(NamedTuple):
    """A temperature for all probabilities and a threshold for one label; None where val does not tell."""

    temperature: float | None
    threshold: float | None


def of_run(directory: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``chosen-on-val.json`` from a run's tables of predictions.

    Args:
        directory: The run directory.
        data: The content of its ``data.json``.

    Returns:
        ``temperature`` (``value``, and for each evaluated split ``log_loss`` and ``calibration_error`` before and
        after) and ``threshold`` (``value``, ``by``, and for each ``f1`` at 0.5 and at the value), as far as they apply.
        Empty where there is no val, or where `choose` finds nothing.
    """
    val = read_scores(directory / rundir.predictions("val"), data)
    if val is None:
        return {}
    choice = choose(val)
    test = read_scores(directory / rundir.predictions("test"), data)
    splits = {"val": val} | ({"test": test} if test is not None else {})
    found: dict[str, Any] = {}
    if choice.temperature is not None:
        found["temperature"] = {"value": choice.temperature} | {
            split: _tempered_figures(scores, choice.temperature) for split, scores in splits.items() if _usable(scores)
        }
    if choice.threshold is not None:
        found["threshold"] = {"value": choice.threshold, "by": "f1"} | {
            split: {"f1": [f1_at(scores, 0.5), f1_at(scores, choice.threshold)]}
            for split, scores in splits.items()
            if _usable(scores)
        }
    return found


def choose(val: Scores) -> Choice:
    """Return the temperature and the threshold that suit the scores of val best.

    The temperature T > 0 divides the logits of all samples; it makes probabilities more or less sure and changes no
    prediction. It is the one of the least log loss on val, between 0.05 and 20.

    The threshold is for one label, or the second of two classes: from which probability on it is predicted. It is the
    one of the greatest F1 on val, half-way to the next lower score, of several the one closest to 0.5. F1, because
    nobody has said what a miss and a false alarm cost: accuracy would forget a rare label, and F1 of the label counts
    both errors against its hits.

    There is neither where the scores are no probabilities, or val has fewer than 50 samples; no threshold where val has
    fewer than 10 samples with the label or fewer than 10 without; no temperature for several labels a sample, or where
    every sample of val is right, as less is always better then, or the best one lies outside its range.

    Source: Guo et al.: "On calibration of modern neural networks", 2017, section 4.2.
    """
    if len(val.target) < LEAST_SAMPLES or not _usable(val):
        return Choice(None, None)
    return Choice(_temperature(val), _threshold(val))


def tempered(scores: Floats, temperature: float) -> Floats:
    """Return probabilities [N, K] as they are with all logits divided by a temperature: p^(1/T), scaled to add up to 1.

    >>> tempered(np.array([[0.2, 0.8]]), 2.0).round(4).tolist()
    [[0.3333, 0.6667]]
    """
    logarithms = np.log(scores.clip(_EPSILON)) / temperature
    powers = np.exp(logarithms - logarithms.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def f1_at(scores: Scores, threshold: float) -> float:
    """Return F1 of the one label, or of the second of two classes, predicted from a probability on; 0 over 0 is 0."""
    score, there = _one_label(scores)
    chosen = score >= threshold
    below = int(chosen.sum()) + int(there.sum())
    return 2 * int((chosen & there).sum()) / below if below else 0.0


def _usable(scores: Scores) -> bool:
    known = scores.multilabel or (len(scores.classes) > 1 and bool((scores.target >= 0).all()))
    return bool(len(scores.target)) and known and scores.probabilities


def _one_label(scores: Scores) -> tuple[Floats, NDArray[np.bool_]]:
    there = scores.target[:, 0] if scores.multilabel else scores.target
    return scores.scores[:, -1], there == 1


def _as_classes(scores: Scores) -> tuple[Floats, NDArray[np.int64]]:
    """Return probabilities [N, K] and classes [N]; of one label those of its absence and presence."""
    if not scores.multilabel:
        return scores.scores / scores.scores.sum(1, keepdims=True), scores.target
    present = scores.scores[:, 0]
    return np.stack([1 - present, present], axis=1), scores.target[:, 0]


def _temperature(val: Scores) -> float | None:
    if val.multilabel and len(val.classes) > 1:
        return None
    from scipy import optimize  # a tenth of a second, for the end of a run alone

    scores, target = _as_classes(val)
    if (scores.argmax(1) == target).all():
        return None

    logits = np.log(scores.clip(_EPSILON))
    logits -= logits.max(1, keepdims=True)
    own = logits[np.arange(len(target)), target]

    def loss(logarithm: float) -> float:
        colder = np.exp(-logarithm)
        return float((np.log(np.exp(logits * colder).sum(1)) - own * colder).mean())

    low, high = np.log(_RANGE)
    best = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    inside = low + 0.01 < best.x < high - 0.01
    return float(np.exp(best.x)) if inside and best.fun <= loss(0.0) else None


def _threshold(val: Scores) -> float | None:
    if len(val.classes) != (1 if val.multilabel else 2):
        return None
    score, there = _one_label(val)
    if min(there.sum(), (~there).sum()) < LEAST_OF_EACH:
        return None
    values, first = np.unique(-score, return_index=True)  # the highest first
    counts = np.bincount(np.searchsorted(values, -score), minlength=len(values)).cumsum()
    hits = np.bincount(np.searchsorted(values, -score), there, len(values)).cumsum()
    f1 = 2 * hits / (counts + there.sum())
    thresholds = (score[first] + np.append(score[first][1:], 0.0)) / 2
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(thresholds[best[np.abs(thresholds[best] - 0.5).argmin()]])


def _tempered_figures(scores: Scores, temperature: float) -> dict[str, list[float]]:
    before, target = _as_classes(scores)
    both = (before, tempered(before, temperature))
    right = before.argmax(1) == target
    return {
        "log_loss": [probabilities.log_loss(found, target) for found in both],
        "calibration_error": [probabilities.calibration_error(found.max(1), right) for found in both],
    }
