"""Columns that give the target away: one of them alone tells it nearly perfectly for rows that were held out.

Such a column is often made from the target, or after it: the amount of a claim that was paid, where the question is
whether it will be. For each column a decision tree of at most ``LEAVES`` leaves is fitted on four fifths of the rows,
with that column as its one input, and judged on the last fifth, five times over, so that every row is held out once.
Its skill is the part of the errors of the simplest answer (the commonest class, the mean) that it avoids: of classes
``1 - wrong / wrong of the commonest``, of numbers ``1 - squares / squares about the mean`` (R²). A column with a skill
below ``WORTH`` on the first fifth is judged by that alone.
"""

from __future__ import annotations

import numpy as np

from torchwork import rng

LEAVES = 256
NEARLY = 0.97  # not nearer to 1: each border between classes may cost a row, which is 2% of a table of 100
WORTH = 0.9
# More rows than this would take long and say nothing else.
MOST_ROWS = 5000
# With fewer rows a column may fit by chance.
FEWEST_ROWS = 30

_FOLDS = 5


def skills(codes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the skill of each column alone, float64 [n], at most 1; NaN where nothing can be said.

    Args:
        codes: float64 [N, n], the rank of each cell among the column's values, NaN where it is missing.
        targets: The classes [N] as whole numbers, or numbers float64 [N].

    >>> x = np.arange(100.0)
    >>> (skills(np.stack([x, x % 7], 1), (x > 50).astype(int)) > NEARLY).tolist()
    [True, False]
    """
    order = np.argsort(rng.keys(0, "giveaway", np.arange(len(targets))))[:MOST_ROWS]
    codes, targets = codes[order], targets[order]
    plain = _errors_of_plain(targets)
    if len(targets) < FEWEST_ROWS or plain == 0:
        return np.full(codes.shape[1], np.nan)
    places = range(codes.shape[1])
    return np.array([1 - _errors(codes[:, place : place + 1], targets, plain) / plain for place in places])


def _errors_of_plain(targets: np.ndarray) -> float:
    if targets.dtype.kind == "f":
        return float(np.square(targets - targets.mean()).sum())
    return float(len(targets) - np.unique(targets, return_counts=True)[1].max(initial=0))


def _errors(column: np.ndarray, targets: np.ndarray, plain: float) -> float:
    """Return the errors on held-out rows: how many classes are wrong, or the sum of squares."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor  # 1.7 s, for those who ask for it

    numbers = targets.dtype.kind == "f"
    kind = DecisionTreeRegressor if numbers else DecisionTreeClassifier
    fold = np.arange(len(targets)) % _FOLDS  # the rows are shuffled
    total = 0.0
    for held in range(_FOLDS):
        out = fold == held
        found = kind(max_leaf_nodes=LEAVES, random_state=0).fit(column[~out], targets[~out]).predict(column[out])
        total += float(np.square(found - targets[out]).sum() if numbers else (found != targets[out]).sum())
        if held == 0 and total * _FOLDS > (1 - WORTH) * plain:
            return total * _FOLDS
    return total
