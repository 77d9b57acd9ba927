"""How good probabilities of classes are: log loss, Brier score, calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NUM_BINS = 15
_EPSILON = float(np.finfo(np.float64).eps)


def log_loss(probabilities: Floats, target: Integers) -> float:
    """Return the mean of -log p[y] of probabilities [N, K] and classes int64 [N]; 0 and 1 count as 2e-16 from there.

    >>> round(log_loss(np.array([[0.5, 0.5], [0.9, 0.1]]), np.array([1, 0])), 4)
    0.3993
    """
    return float(-np.log(_of_target(probabilities, target).clip(_EPSILON, 1 - _EPSILON)).mean())


def brier(probabilities: Floats, target: Integers) -> float:
    """Return the mean squared distance of probabilities [N, K] to the truth [N]: 0 is best.

    Of three classes or more the mean over samples of sum over k of (p[k] - [k = y])², 2 at worst; of two classes half
    of it, (p - y)², which is 1 at worst. Both are scikit-learn's ``brier_score_loss``.

    Source: Brier: "Verification of forecasts expressed in terms of probability", 1950.

    >>> brier(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([1, 0]))
    0.125
    """
    squares = probabilities**2
    squares[np.arange(len(target)), target] = (1 - _of_target(probabilities, target)) ** 2
    return float(squares.sum(1).mean()) / (2 if probabilities.shape[1] == 2 else 1)


def calibration_error(confidence: Floats, correct: NDArray[Any]) -> float:
    """Return the expected calibration error: how far the share of right answers is from the probability that was named.

    ECE = sum over bins of (n_b / N) |share right_b - mean confidence_b|, over 15 bins of equal width, each open below
    and closed above. A perfect model of few samples is not at 0, as the shares in its bins are random.

    Source: Guo et al.: "On calibration of modern neural networks", 2017, after Naeini et al., 2015.

    Args:
        confidence: The probability of each prediction, float64 [N] from 0 to 1.
        correct: Whether each is right, bool [N].

    >>> calibration_error(np.array([0.8, 0.8, 0.8, 0.8]), np.array([True, True, False, False]))
    0.30000000000000004
    """
    place = (np.ceil(confidence * NUM_BINS) - 1).clip(0, NUM_BINS - 1).astype(np.int64)
    gaps = np.bincount(place, correct, NUM_BINS) - np.bincount(place, confidence, NUM_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _of_target(probabilities: Floats, target: Integers) -> Floats:
    return probabilities[np.arange(len(target)), target]
