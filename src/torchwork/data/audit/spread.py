"""Values that lie far from the others."""

from __future__ import annotations

import numpy as np

_SPREADS = 5.0


def far(values: np.ndarray, times: float) -> np.ndarray:
    """Tell of each of some positive values [N] whether it lies far from the others, bool [N].

    Far is what differs from the median by more than ``times`` and, in its logarithm, by more than 5 robust standard
    deviations, 1.4826 · median(\\|x - median(x)\\|) (Rousseeuw and Croux, 1993).

    >>> far(np.array([10, 11, 9, 10, 100]), times=4).tolist()
    [False, False, False, False, True]
    """
    if not len(values):
        return np.zeros(0, bool)
    levels = np.log(np.maximum(values, np.finfo(np.float64).tiny))
    distance = np.abs(levels - np.median(levels))
    deviation = 1.4826 * np.median(distance)
    return distance > max(np.log(times), _SPREADS * deviation)
