"""Plots as functions from plain arrays to a matplotlib Figure: ``torchwork.report.plots.curves(history)``."""

from __future__ import annotations

import importlib
from typing import Any

PLOTS = {
    "confusion_matrix": "torchwork.report.plots.confusion:confusion_matrix",
    "curves": "torchwork.report.plots.history:curves",
    "predicted_against_true": "torchwork.report.plots.residuals:predicted_against_true",
}


def __getattr__(name: str) -> Any:
    if name not in PLOTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = PLOTS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return [*globals(), *PLOTS]
