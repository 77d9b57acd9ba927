"""The metrics of predicted numbers, as scikit-learn's, in numpy; tests hold each equal to scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from torchwork.metrics.found import Found, without
from torchwork.metrics.table import Columns, numbers

Floats = NDArray[np.float64]

ERRORS = ("mae", "median_absolute_error", "absolute_error_q90", "absolute_error_q95")
SQUARES = ("rmse",)
EXPLAINED = ("r2", "explained_variance")
NAMES = (*ERRORS, *SQUARES, *EXPLAINED)


def ends_of(columns: Columns, target_names: Sequence[str]) -> list[str]:
    """Return how the columns of each target end: in nothing where there is one, else in its name."""
    return [""] if "target" in columns else [f"_{name}" for name in target_names]


def pairs_of(columns: Columns, target_names: Sequence[str]) -> tuple[Floats, Floats]:
    """Return targets and predictions of a table, float64 [N, k] each."""
    ends = ends_of(columns, target_names)
    target, prediction = (numbers(columns, [f"{side}{end}" for end in ends]) for side in ("target", "prediction"))
    return target, prediction


def of_numbers(target: Floats, prediction: Floats, target_names: Sequence[str], *, counts: bool = False) -> Found:
    """Return the metrics of predictions [N, k] against targets [N, k].

    Of several targets the mean over them, and each as ``<metric>/<target>``; a mean is not defined where one of them is
    not.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is told as not defined
        each = [_known(_of_one(y, x, counts=counts)) for y, x in zip(target.T, prediction.T, strict=True)]
    if len(each) == 1:
        return each[0]
    found: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for name in dict.fromkeys(name for one in each for name in (*one.metrics, *one.undefined)):
        missing = [end for end, one in zip(target_names, each, strict=True) if name not in one.metrics]
        if missing:
            undefined[name] = f"not defined for {missing[0]}" + (f" and {len(missing) - 1} more" * (len(missing) > 1))
        else:
            found[name] = float(np.mean([one.metrics[name] for one in each]))
    for end, one in zip(target_names, each, strict=True):
        found |= {f"{name}/{end}": value for name, value in one.metrics.items()}
        undefined |= {f"{name}/{end}": reason for name, reason in one.undefined.items()}
    return Found(found, undefined)


def _of_one(target: Floats, prediction: Floats, *, counts: bool) -> Found:
    names = (*NAMES, "poisson_deviance") if counts else NAMES
    if not len(target):
        return without(names, "there are no samples")
    for side, values in (("target", target), ("prediction", prediction)):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            return without(names, f"the {side}s of {bad} of {len(values)} samples are NaN or infinite")
    error = np.abs(target - prediction)
    quantiles = np.quantile(error, (0.5, 0.9, 0.95))
    found = Found(
        {
            "mae": float(error.mean()),
            "rmse": float(np.sqrt((error**2).mean())),
            "median_absolute_error": float(quantiles[0]),
            "absolute_error_q90": float(quantiles[1]),
            "absolute_error_q95": float(quantiles[2]),
        },
        {},
    )
    found |= _explained(target, prediction)
    return found | _deviance(target, prediction) if counts else found


def _known(found: Found) -> Found:
    large = tuple(name for name, value in found.metrics.items() if not np.isfinite(value))
    kept = Found({name: value for name, value in found.metrics.items() if name not in large}, found.undefined)
    return kept | without(large, "the numbers are too large for it")


def _explained(target: Floats, prediction: Floats) -> Found:
    """Return R² = 1 - sum (y - x)² / sum (y - mean y)², and the same of the errors without their mean."""
    if (target == target[0]).all():
        return without(EXPLAINED, "the targets are all equal" if len(target) > 1 else "there is one sample only")
    below = ((target - target.mean()) ** 2).sum()
    if not below:
        return without(EXPLAINED, "the targets differ by less than the precision of numbers")
    r2 = 1 - ((target - prediction) ** 2).sum() / below
    residual = target - prediction
    explained = 1 - ((residual - residual.mean()) ** 2).sum() / below
    return Found({"r2": float(r2), "explained_variance": float(explained)}, {})


def _deviance(target: Floats, prediction: Floats) -> Found:
    """Return the mean Poisson deviance 2 (y log(y / x) - y + x), which a rate of 0 has not."""
    names = ("poisson_deviance",)
    if not (prediction > 0).all():
        return without(names, f"{int((prediction <= 0).sum())} predicted rates are 0")
    if (target < 0).any():
        return without(names, "counts below 0 occur")
    logarithm = np.log(np.where(target > 0, target, prediction)) - np.log(prediction)
    return Found({"poisson_deviance": float((2 * (target * logarithm - target + prediction)).mean())}, {})
