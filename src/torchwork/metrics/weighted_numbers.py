"""The metrics of numbers as functions of weights, for resampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from torchwork.metrics.resampling import Floats, Weighted


def of_numbers(target: Floats, prediction: Floats) -> Weighted:
    """Return MAE, RMSE, R² and explained variance of numbers [N], NaN where a resample's targets are constant."""
    error, centred = prediction - target, target - target.mean()
    shifted = error - error.mean()
    terms = np.stack([np.abs(error), error**2, centred, centred**2, shifted, shifted**2])

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        absolute, square, first, second, mean, spread = terms @ weights / weights.sum(0)
        variance = second - first**2
        variance = np.where(variance > 1e-12 * second, variance, np.nan)
        return {
            "mae": absolute,
            "rmse": np.sqrt(square),
            "r2": 1 - square / variance,
            "explained_variance": 1 - (spread - mean**2) / variance,
        }

    return weighted


def of_quantiles(values: Floats, levels: Mapping[str, float]) -> Weighted:
    """Return quantiles of values [N] as ``numpy.quantile`` has them, for weights that are whole numbers."""
    order = np.argsort(values, kind="stable")
    ordered = np.append(values[order], np.nan)

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        risen = weights[order].cumsum(0)
        found = {}
        for name, level in levels.items():
            place = (risen[-1] - 1) * level
            below = np.floor(place)
            low, high = (ordered[(risen <= np.minimum(at, risen[-1] - 1)).sum(0)] for at in (below, below + 1))
            found[name] = low + (place - below) * (high - low)
        return found

    return weighted


def deviances(target: Floats, rate: Floats) -> Floats:
    """Return the Poisson deviance of each sample: 2 (y log(y / x) - y + x)."""
    ratio = np.where(target > 0, target, 1.0) / np.where(target > 0, rate, 1.0)
    return 2 * (target * np.log(ratio) - target + rate)


def over_targets(each: Sequence[Weighted], ends: Sequence[str]) -> Weighted:
    """Return the metrics of several targets: the mean over them, and each with its end, as ``mae/height``."""

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        found = [one(weights) for one in each]
        means = {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}
        if len(each) == 1:
            return means
        return means | {f"{n}{end}": v for end, one in zip(ends, found, strict=True) for n, v in one.items()}

    return weighted
