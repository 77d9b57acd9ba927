"""The lecture-hall table of classes: scikit-learn's ``classification_report`` of a table of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sklearn import metrics

from torchwork.metrics.final_classes import labels_of
from torchwork.metrics.table import read_columns


def classification_report(path: Path, classes: Sequence[str]) -> str:
    """Return scikit-learn's table of precision, recall, F1 and support by class, in the order of ``classes``.

    Classes that neither occur nor are predicted are left out.

    Args:
        path: A ``predictions-<split>.csv`` of a classification.
        classes: All the class names of the run.

    Returns:
        The table; an empty text where there are no samples.
    """
    labels = labels_of(read_columns(path), classes)
    if not len(labels.target):
        return ""
    return metrics.classification_report(
        labels.target,
        labels.prediction,
        labels=labels.present,
        target_names=[labels.names[index] for index in labels.present],
        digits=4,
        zero_division=0.0,
    )
