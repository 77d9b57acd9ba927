"""How fast samples go by, and when it is time to draw."""

from __future__ import annotations

from time import monotonic


class Pace:
    """Counts samples between two drawings, which are at least ``every`` seconds apart.

    To draw is what costs: the loss is read from the device for it. At all other steps a number is added and the clock
    is looked at.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self.restart()

    def restart(self) -> None:
        """Begin to count anew, after something that was no training."""
        self._samples, self._since = 0, monotonic()

    def due(self, samples: int) -> float | None:
        """Count the samples of a step; return samples a second since the last drawing where it is time for one."""
        self._samples += samples
        passed = monotonic() - self._since
        if passed < self._every:
            return None
        speed = self._samples / passed
        self.restart()
        return speed
