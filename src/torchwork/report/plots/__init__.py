"""Plots as functions from plain arrays to a matplotlib Figure: ``torchwork.report.plots.curves(history)``."""

from __future__ import annotations

import importlib
from typing import Any

# No module here may be named as one of these functions: importing it would put the module in the function's place.
PLOTS = {
    "activations": "torchwork.report.plots.activity:activations",
    "calibration": "torchwork.report.plots.reliability:calibration",
    "confusion_matrix": "torchwork.report.plots.confusion:confusion_matrix",
    "contact_sheet": "torchwork.report.plots.samples:contact_sheet",
    "contributions": "torchwork.report.plots.columns:contributions",
    "ctc_alignment": "torchwork.report.plots.alignment:ctc_alignment",
    "curves": "torchwork.report.plots.history:curves",
    "curves_of_runs": "torchwork.report.plots.compared:curves_of_runs",
    "embedding": "torchwork.report.plots.plane:embedding",
    "error_by_length": "torchwork.report.plots.lengths:error_by_length",
    "error_quantiles": "torchwork.report.plots.errors:error_quantiles",
    "explanation": "torchwork.report.plots.explained:explanation",
    "feature_maps": "torchwork.report.plots.channels:feature_maps",
    "importance": "torchwork.report.plots.columns:importance",
    "kernels": "torchwork.report.plots.convolutions:kernels",
    "layers": "torchwork.report.plots.by_layer:layers",
    "learning_rate": "torchwork.report.plots.schedule:learning_rate",
    "maps": "torchwork.report.plots.saliency:maps",
    "precision_recall": "torchwork.report.plots.precision_recall_curve:precision_recall",
    "predicted_against_true": "torchwork.report.plots.residuals:predicted_against_true",
    "roc": "torchwork.report.plots.roc_curve:roc",
    "score_against_true": "torchwork.report.plots.residuals:score_against_true",
    "score_histograms": "torchwork.report.plots.scores:score_histograms",
    "signal_maps": "torchwork.report.plots.signals:signal_maps",
    "verification": "torchwork.report.plots.same_different:verification",
    "word_weights": "torchwork.report.plots.words:word_weights",
    "worst_samples": "torchwork.report.plots.samples:worst_samples",
}


def __getattr__(name: str) -> Any:
    if name not in PLOTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = PLOTS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return [*globals(), *PLOTS]
