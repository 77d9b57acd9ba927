"""The lecture-hall table of classes: scikit-learn's ``classification_report`` of a table of predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sklearn import metrics

from torchwork.metrics.final_classes import labels_of
from torchwork.metrics.table import read_columns


def classification_report(path: Path, classes: Sequence[str], called: Callable[[str], str] = str) -> str:
    """Return scikit-learn's table of precision, recall, F1 and support by class, in the order of ``classes``.

    Classes that neither occur nor are predicted are left out.

    Args:
        path: A ``predictions-<split>.csv`` of a classification.
        classes: All the class names of the run.
        called: Gives what a class is called in the table, which is as wide as the longest of these names.

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
        target_names=[called(labels.names[index]) for index in labels.present],
        digits=4,
        zero_division=0.0,
    )
