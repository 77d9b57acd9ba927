"""Which way a metric is good."""

from __future__ import annotations

import re
from typing import Literal

HIGHER = frozenset(
    {
        "accuracy",
        "average_precision",
        "balanced_accuracy",
        "exact_match",
        "explained_variance",
        "f1",
        "kendall_tau",
        "lrap",
        "map_at_r",
        "mean_average_precision",
        "pairs_in_order",
        "precision",
        "r2",
        "recall",
        "roc_auc",
        "triplets_in_order",
    }
)
LOWER = frozenset(
    {
        "absolute_error_q90",
        "absolute_error_q95",
        "brier",
        "calibration_error",
        "character_error_rate",
        "equal_error_rate",
        "log_loss",
        "loss",
        "mae",
        "median_absolute_error",
        "poisson_deviance",
        "rmse",
    }
)
# what makes several metrics of one: the mean over classes, the number of nearest or best ones
_VARIANT = re.compile(r"_(macro|micro|weighted)$|_at_[0-9]+$|^top_[0-9]+_")


def direction(metric: str) -> Literal["higher", "lower"] | None:
    """Return which way a metric is better, by its name in metrics.json or, with its split, in history.csv.

    None of what is neither good nor bad (support) and of the user's own metrics, about which nothing is known.

    >>> direction("f1/dog"), direction("val_loss"), direction("support/loss"), direction("top_5_accuracy")
    ('higher', 'lower', None, 'higher')
    """
    name = metric.split("/")[0]
    for part in (name, name.removeprefix("val_").removeprefix("train_")):
        base = _VARIANT.sub("", part)
        for known in (part, base):
            if known in HIGHER:
                return "higher"
            if known in LOWER:
                return "lower"
    return None


def higher_is_better(column: str) -> bool:
    """Tell whether a larger value of a metric or column of history.csv is the better one.

    >>> higher_is_better("val_accuracy"), higher_is_better("val_loss")
    (True, False)
    """
    return direction(column) == "higher"
