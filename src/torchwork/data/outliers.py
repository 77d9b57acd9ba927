"""Rows of a table that lie far from all others, by figures of the training split.

A row is an outlier where

- one of its numbers x is more than ``FAR`` robust deviations from the column's median: ``|x - median| / (1.4826 MAD)``,
  MAD being the median of |x - median|; the factor makes it the standard deviation of a normal distribution (Iglewicz
  and Hoaglin, "How to Detect and Handle Outliers", 1993, who look at everything above 3.5). A column of which more than
  half is one value has no MAD and is passed over;
- or its numbers together are easy to set apart by random cuts: scikit-learn's IsolationForest gives it a score
  (Liu, Ting and Zhou, "Isolation Forest", 2008; about 0.5 for usual rows, up to 1) above ``ISOLATED``.

The thresholds are far out on purpose: of wine, iris, diabetes and normal numbers they take no row, of 569 tumours 15.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from torchwork import rng
from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, InputError, Source

FAR = 10.0
ISOLATED = 0.7
# With fewer training rows nothing can be said to be unusual.
FEWEST = 20

_WIDEST = 1e6  # robust deviations beyond which the forest need not tell apart; its trees hold float32
_NORMAL = 1.4826
_LARGEST = 1e150  # beyond that sums of two may overflow


def outliers(source: Source, train: np.ndarray, indices: np.ndarray, seed: int = 0) -> list[Fault]:
    """Return a fault (code ``outlier``) for each of the rows ``indices`` that is one, in their order.

    Args:
        source: A table.
        train: The rows whose figures count.
        indices: The rows to judge.
        seed: Of the forest.

    >>> from torchwork.data.memory import Rows
    >>> from torchwork.types import Schema
    >>> numbers = np.append(np.arange(30.0), 1000.0)[:, None]
    >>> source = Rows(numbers, np.empty((31, 0), object), None, Schema("table", None, numbers=("size",)))
    >>> outliers(source, np.arange(30), np.arange(31))
    [Fault(index=30, code='outlier', reason="'size' is 88.6 robust deviations from the median")]
    """
    names = source.schema.numbers
    if not names or len(train) < FEWEST or len(indices) == 0:
        return []
    center, spread = _figures(_numbers(source, train))
    scaled, known = (_scaled(_numbers(source, ids), center, spread) for ids in (indices, train))
    far = np.abs(np.where(spread > 0, scaled, 0.0))
    scores = isolation(known, scaled, seed)
    found = []
    for row in np.flatnonzero((far > FAR).any(1) | (scores > ISOLATED)).tolist():
        columns = np.flatnonzero(far[row] > FAR).tolist()
        said = [f"{names[column]!r} is {far[row, column]:.3g} robust deviations from the median" for column in columns]
        if scores[row] > ISOLATED:
            said.append(f"the isolation forest gives the row {scores[row]:.2f}")
        found.append(Fault(int(indices[row]), "outlier", named(said, 3)))
    return found


def isolation(train: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Return the isolation score of each row, float64 [B], after a forest of 100 trees on ``train``; both finite."""
    from sklearn.ensemble import IsolationForest  # 1.7 s, for those who ask for outliers

    forest = IsolationForest(n_estimators=100, random_state=int(rng.keys(seed, "outliers")) >> 32)
    return -forest.fit(train).score_samples(rows)


def set_aside(
    source: Source, splits: Mapping[str, np.ndarray], policy: str, seed: int = 0, where: str = "data.clean.outliers"
) -> tuple[dict[str, np.ndarray], list[Fault], list[Finding]]:
    """Judge the rows of all splits by the policy: error, drop or ignore.

    Returns:
        The splits without outliers where they are dropped, the faults of those, and a warning that tells how many each
        split lost.

    Raises:
        InputError: the policy is error and there are some; or the samples are no rows of a table.
    """
    if policy == "ignore":
        return dict(splits), [], []
    if source.schema.inputs != "table":
        message = f"outliers: {policy} is for tables, the samples are of the kind {source.schema.inputs}"
        raise InputError(Finding("misfit", "error", where, message, "take outliers: ignore"))
    found = {part: outliers(source, splits["train"], ids, seed) for part, ids in splits.items()}
    everything = [fault for faults in found.values() for fault in faults]
    if not everything:
        return dict(splits), [], []
    shown = named(f"{source.name(fault.index)} ({fault.reason})" for fault in everything)
    lost = ", ".join(f"{len(faults)} of {part}'s {len(splits[part])}" for part, faults in found.items() if faults)
    said = f"{counted(len(everything), 'row lies', 'rows lie')} far from all others"
    if policy == "error":
        fix = "correct them, or set data.clean.outliers to drop or ignore"
        raise InputError(Finding("outliers", "error", where, f"{said} ({lost}): {shown}", fix))
    left = {part: np.setdiff1d(ids, [fault.index for fault in found[part]]) for part, ids in splits.items()}
    empty = [part for part, ids in left.items() if len(ids) == 0]
    if empty:
        message = f"{said}, and nothing is left of {' and '.join(empty)}"
        raise InputError(Finding("empty-split", "error", where, message, "take outliers: ignore"))
    return left, everything, [Finding("outliers-dropped", "warning", where, f"{said} and are set aside: {lost}")]


def _numbers(source: Source, ids: np.ndarray) -> np.ndarray:
    return np.asarray(source.read(ids, epoch=0)[0]["numbers"], np.float64)


def _figures(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the medians and the robust deviations of columns [N, n], of their finite cells; 0 where there are none."""
    cells = np.where(np.isfinite(train), train.clip(-_LARGEST, _LARGEST), np.nan)
    bare = np.isnan(cells).all(0)
    cells[:, bare] = 0.0
    center = np.nanmedian(cells, 0)
    return center, np.nanmedian(np.abs(cells - center), 0) * _NORMAL


def _scaled(numbers: np.ndarray, center: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return deviations from the medians; cells that are missing or infinite have none."""
    known = np.where(np.isfinite(numbers), numbers.clip(-_LARGEST, _LARGEST), center)
    return ((known - center) / np.where(spread > 0, spread, 1.0)).clip(-_WIDEST, _WIDEST)
