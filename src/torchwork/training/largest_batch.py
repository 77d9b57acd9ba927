"""The largest batch that fits into memory, found by taking steps with larger and larger ones."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import gc
import os
import resource
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Protocol

import torch

from torchwork.training.loop import updates, windows
from torchwork.training.micro_batches import ran_out
from torchwork.training.nonfinite import NonFiniteError
from torchwork.training.state import State
from torchwork.types import Batch, Finding, Task

_SHARE = 0.5  # of the memory that is free: the rest is for evaluation, checkpoints and other programs
_REFINED = 8  # the size is found to an eighth of a power of two


class Largest(NamedTuple):
    """The size that was found, why no larger one, and the sizes that were tried."""

    size: int
    why: str
    tried: list[int]


def largest(fits: Callable[[int], bool], most: int, device: torch.device) -> Largest:
    """Return the largest size of up to ``most`` for which steps fit.

    Sizes double until one does not fit, and then come closer by halves to an eighth of the last that did. On a CPU,
    where a process that takes too much is killed rather than told, a size does not fit where its steps need more than
    half of the memory that was free before, or would, by how the need grew from size to size; nothing is tried then.

    Args:
        fits: Takes steps of a size, and says whether memory sufficed.
        most: The number of training samples.
        device: Where the steps are taken.

    >>> largest(lambda size: size <= 100, 1000, torch.device("meta"))[:2]
    (96, 'memory ran out at 104')
    """
    memory = _Memory(fits, _SHARE * available()) if device.type == "cpu" else None
    tried: list[int] = []

    def holds(size: int) -> bool:
        if memory is not None and memory.foreseen(size) > memory.limit:
            return False
        tried.append(size)
        return fits(size) if memory is None else memory.holds(size)

    size, failed = 0, 0
    while size < most and not failed:
        wanted = min(max(1, 2 * size), most)
        size, failed = (wanted, 0) if holds(wanted) else (size, wanted)
    step = max(1, 2 ** max(0, size.bit_length() - 1) // _REFINED)
    while failed and failed - size > step:
        middle = size + max(1, (failed - size) // (2 * step)) * step
        size, failed = (middle, failed) if holds(middle) else (size, middle)
    return Largest(size, _why(size, failed, memory), tried)


def _why(size: int, failed: int, memory: _Memory | None) -> str:
    if not failed:
        return "it is the whole training split"
    if not size:
        return "not even one sample fits"
    if memory is None:
        return f"memory ran out at {failed}"
    need, limit = memory.foreseen(failed) / 1e6, memory.limit / 1e6
    return f"{failed} would need {need:,.0f} MB, and half of what is free are {limit:,.0f}"


class _Sized(Protocol):
    device: torch.device

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]: ...


def steps_fit(
    state: State, task: Task, loader: _Sized, *, seed: int = 0, clip_norm: float | None = None, steps: int = 2
) -> bool:
    """Take steps with a copy of a state, and say whether memory sufficed without cutting the batches.

    The second step is the first that has the optimizer's own tensors beside the activations.
    """
    copied, cuts = copy.deepcopy(state), list[Finding]()
    copied.model.train()
    batches = islice(chain.from_iterable(loader.batches(epoch) for epoch in range(steps)), steps)
    try:
        for _ in updates(copied, windows(batches, 1), task, seed=seed, clip_norm=clip_norm, on_cut=cuts.append):
            if cuts:
                break
    except NonFiniteError:
        return True  # training will tell; memory sufficed
    except (RuntimeError, MemoryError) as error:
        if not any(ran_out(cause) for cause in (error, error.__cause__, error.__context__) if cause is not None):
            raise
        return False
    finally:
        del copied
        if loader.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
    return not cuts


class _Memory:
    """What steps on a CPU need, by the highest size of this process while they are taken."""

    def __init__(self, fits: Callable[[int], bool], limit: float) -> None:
        self._fits, self.limit = fits, limit
        self._needs: dict[int, float] = {}
        _give_back()
        self._before = _resident()

    def holds(self, size: int) -> bool:
        _give_back()
        if not self._fits(size):
            self._needs[size] = float("inf")
            return False
        self._needs[size] = max(0.0, _peak() - self._before, self._needs.get(size // 2, 0.0))
        return self._needs[size] <= self.limit

    def foreseen(self, size: int) -> float:
        """Return what a size needs, or would by the two largest that were measured below it."""
        if size in self._needs:
            return self._needs[size]
        below = sorted(own for own in self._needs if own < size)[-2:]
        if len(below) < 2:
            return 0.0
        small, large = below
        slope = (self._needs[large] - self._needs[small]) / (large - small)
        return self._needs[large] + slope * (size - large)


def available() -> float:
    """Return how many bytes of memory are free for this process: of the machine, and of its container."""
    found = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        found.append(1024.0 * int(lines["MemAvailable"].split()[0]))
    for most, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number: there is no limit
            found.append(float(int(Path(most).read_text()) - int(Path(used).read_text())))
    return max(0.0, min(found))


def _resident() -> float:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return float(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    return _peak()


def _peak() -> float:
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return 1024.0 * int(lines["VmHWM"].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def _give_back() -> None:
    """Give the system back what was freed, which allocators keep, and forget the highest size so far."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # of glibc
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
