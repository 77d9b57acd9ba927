"""Figures of the training split that stand in for the missing cells of a table."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np

# The category that a missing one becomes, so that a model can learn what it means that nothing is there.
MISSING = "missing"


class Impute:
    """Fill missing and infinite cells of a table by figures of the training split, as scikit-learn's SimpleImputer.

    A cell of a number column becomes the column's mean, median or most frequent number (the smallest of several) over
    the training rows that have one, or ``fill``. A missing category becomes a category of its own, ``missing``; with
    ``most_frequent`` the most frequent one (the first by alphabet of several), with a text as ``fill`` that text.
    It stands before all other steps. ``data.clean.missing`` puts one there.

    Args:
        strategy: mean, median, most_frequent or constant.
        fill: What constant fills in: a number (for number columns) or a text (for categories).
        columns: The columns to fill; by default all that no other Impute names.

    Raises:
        ValueError: constant without ``fill``, or ``fill`` without constant.

    >>> step = Impute("median")
    >>> step.number(np.array([1.0, np.nan, 3.0, 10.0])), step.category(np.array(["a", None], dtype=object))
    (3.0, 'missing')
    """

    def __init__(
        self,
        strategy: Literal["mean", "median", "most_frequent", "constant"] = "mean",
        fill: float | str | None = None,
        columns: list[str] | None = None,
    ) -> None:
        if (strategy == "constant") != (fill is not None):
            raise ValueError("fill goes with strategy: constant, and constant needs one (a number or a text)")
        self.strategy = strategy
        self.fill = fill
        self.columns = columns

    @property
    def fills_numbers(self) -> bool:
        """Whether number columns can be filled: a text as ``fill`` is for categories only."""
        return not isinstance(self.fill, str)

    def number(self, values: np.ndarray) -> float | None:
        """Return what stands in for a missing number, from the training rows' cells [N]; None where none has one."""
        if self.fill is not None:
            return float(self.fill)
        there = values[np.isfinite(values)]
        if not len(there):
            return None
        if self.strategy == "most_frequent":
            distinct, counts = np.unique(there, return_counts=True)
            return float(distinct[counts.argmax()])
        return float(np.mean(there) if self.strategy == "mean" else np.median(there))

    def category(self, texts: np.ndarray) -> str:
        """Return what stands in for a missing category, from the training rows' texts [N], None where missing."""
        if isinstance(self.fill, str):
            return self.fill
        counts = Counter(text for text in texts.tolist() if text is not None)
        if self.strategy != "most_frequent" or not counts:
            return MISSING
        return min(counts, key=lambda text: (-counts[text], text))

    def __repr__(self) -> str:
        return f"Impute({self.strategy}{'' if self.fill is None else f' {self.fill!r}'})"
