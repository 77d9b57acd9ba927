"""How often values occur: of each class, or of the targets."""

from __future__ import annotations

import numpy as np

from torchwork.data.audit.records import Histogram
from torchwork.types import Source

_BINS = 24
_REACH = 0.995  # the part of the values that the bins span; those beyond are in the last


def by_class(values: np.ndarray, labels: np.ndarray | None, what: str, unit: str) -> list[Histogram]:
    """Return a histogram of values [N] for each class, all with the same bins, from 0 to nearly the largest value."""
    if not len(values):
        return []
    high = float(np.quantile(values, _REACH)) or 1.0
    names = np.full(len(values), what, object) if labels is None else labels.astype(str).astype(object)
    return [_histogram(name, values[names == name], 0.0, high, unit) for name in sorted(set(names.tolist()))]


def of_numbers(source: Source) -> list[Histogram]:
    """Return a histogram of each target that is a number."""
    if source.targets is None or source.schema.target != "number":
        return []
    columns = np.asarray(source.targets, np.float64).reshape(len(source), -1).T
    found = []
    for name, column in zip(source.schema.target_names, columns, strict=True):
        finite = column[np.isfinite(column)]
        if len(finite):
            found.append(_histogram(name, finite, float(finite.min()), float(finite.max()), ""))
    return found


def _histogram(name: str, values: np.ndarray, low: float, high: float, unit: str) -> Histogram:
    counts, _ = np.histogram(values.clip(low, high), bins=_BINS, range=(low, high))
    return Histogram(name, tuple(counts.tolist()), low, high, unit)
