"""What each worker is reading at this moment, written where the program sees it even when the worker is gone."""

from __future__ import annotations

import mmap
import time
from typing import NamedTuple

import numpy as np

_FIELDS = 3  # nanoseconds of the system's clock, 0 where nothing is being read; the batch's place; the sample or -1

_own: np.ndarray | None = None  # a worker's row


class Mark(NamedTuple):
    """Which batch of the pass a worker is reading, which sample of it (None: all of them at once), and since when."""

    place: int
    sample: int | None
    seconds: float


class Marks:
    """A row for each worker, in memory that a fork shares; it has no name in the file system and goes with the last.

    A worker that was not forked has rows of its own, and the program sees nothing.
    """

    def __init__(self, num_workers: int) -> None:
        self._rows = np.frombuffer(mmap.mmap(-1, 8 * _FIELDS * num_workers), np.int64).reshape(num_workers, _FIELDS)

    def __reduce__(self) -> tuple[type[Marks], tuple[int]]:
        return Marks, (len(self._rows),)

    @property
    def count(self) -> int:
        """How many workers there are."""
        return len(self._rows)

    def begin(self, worker: int, place: int) -> None:
        """Say, in a worker, that it reads a batch."""
        global _own
        _own = self._rows[worker]
        _own[1], _own[2] = place, -1
        _own[0] = time.monotonic_ns()

    def end(self, worker: int) -> None:
        """Say, in a worker, that it reads nothing."""
        self._rows[worker][0] = 0

    def of(self, worker: int) -> Mark | None:
        """Return what a worker reads, or None."""
        since, place, sample = self._rows[worker].tolist()
        if not since:
            return None
        return Mark(place, None if sample < 0 else sample, (time.monotonic_ns() - since) / 1e9)


def sample(index: int) -> None:
    """Say that this sample is read now; nothing where there is no worker.

    >>> sample(3)
    """
    if _own is not None:
        _own[2] = index
        _own[0] = time.monotonic_ns()
