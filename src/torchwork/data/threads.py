"""Work on many samples by threads: decoders and resizers release the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from torch.utils.data import get_worker_info

from torchwork import processes

Item = TypeVar("Item")
Result = TypeVar("Result")

# Below this many items the start of the threads costs more than they bring.
FEW = 8


def num_cores() -> int:
    """Return how many cores this process may use; 1 in a data worker, whose siblings use the others."""
    return processes.cores() if get_worker_info() is None else 1


def beside(computing: int) -> int:
    """Return how many threads read while ``computing`` others compute: the cores they leave, and one that often waits.

    >>> beside(10_000)
    1
    """
    return max(1, num_cores() - computing + 1)


def over(function: Callable[[Item], Result], items: Sequence[Item], count: int | None = None) -> list[Result]:
    """Return the function's results in the order of the items, computed by ``count`` threads, one for each core.

    The threads end with the call, so that a later fork copies none of their locks.

    >>> over(len, ["a", "bc"])
    [1, 2]
    """
    threads = min(num_cores() if count is None else count, len(items))
    if threads < 2 or len(items) < FEW:
        return [function(item) for item in items]
    # A thread takes a run of items at a time: an item may cost no more than handing it over. The runs grow shorter, so
    # that no thread is left with a long one when the others are done.
    runs, start = [], 0
    while start < len(items):
        length = max(1, min(64, (len(items) - start) // (threads * 2)))
        runs.append(items[start : start + length])
        start += length
    with ThreadPoolExecutor(threads) as pool:
        done: Iterable[list[Result]] = pool.map(lambda run: [function(item) for item in run], runs)
        return [result for run in done for result in run]
