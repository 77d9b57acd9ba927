"""Reading batches, in this process or in workers: one function of (epoch, ids), so that both give the same bytes."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info
from torch.utils.data._utils import signal_handling

from torchwork.data import orphans
from torchwork.data.marks import Mark, Marks
from torchwork.types import InputError, RunError

Key = tuple[Any, np.ndarray]

TIMEOUT = 600.0  # seconds at one sample: nothing that a data set reads takes so long, and nobody waits longer for it
_LOOK = 1.0  # seconds between two looks at workers that give nothing
_SHOWN = 10  # samples of a batch in an error


class _Batches(Dataset[Any]):
    """What a worker runs: an item is a whole batch, or the error that reading it gave."""

    def __init__(self, reading: Callable[[Key], Any], marks: Marks) -> None:
        self._reading, self._marks = reading, marks

    def __getitem__(self, at: tuple[int, Key]) -> Any:
        place, key = at
        info = get_worker_info()
        assert info is not None
        self._marks.begin(info.id, place)
        try:
            return self._reading(key)
        except (InputError, RunError) as error:  # raised here, torch would make it anew from a text, without findings
            return error
        finally:
            self._marks.end(info.id)


class _Keys(Sampler[tuple[int, Key]]):
    """Yields the keys of the pass that is being read, with their places."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def __iter__(self) -> Iterator[tuple[int, Key]]:
        return enumerate(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


def _as_it_is(batch: Any) -> Any:
    return batch


class _Begin:
    """Makes a new process a worker.

    Ctrl-C, which a terminal sends to every process, is answered by the program that needs the worker's batches.
    SIGTERM, by which torch ends a worker that hangs, does what it does to any process, whatever was inherited. A worker
    ends with the program.
    """

    def __init__(self) -> None:
        self.parent, self.by_main_thread = 0, False

    def started_here(self) -> None:
        self.parent = os.getpid()
        self.by_main_thread = threading.current_thread() is threading.main_thread()

    def __call__(self, worker: int) -> None:
        orphans.end_with(self.parent, its_main_thread=self.by_main_thread)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _no_advice() -> Iterator[None]:
    """Keep quiet what is no news: more workers than cores (the number is the user's), a fork beside torch's threads.

    The threads that Torchwork starts itself end before (see ``threads.over``): a fork copies none of their locks.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
        yield


def _tells_of_death(error: Exception) -> bool:
    """Tell torch's word of a worker's end from an error raised inside a worker, which it introduces by "Caught"."""
    said = str(error)
    ended = "exited unexpectedly" in said or "killed by signal" in said
    return isinstance(error, RuntimeError) and said.startswith("DataLoader worker") and ended


def _death(error: Exception) -> RunError:
    died = [found for workers in _ACTIVE for found in workers.dead()]
    told = " and ".join(died) or f"({error})"
    more = "; it may have run out of memory: try fewer data.num_workers" if "SIGKILL" in told or not died else ""
    return RunError(f"a data worker died {told}{more}")


_ACTIVE: weakref.WeakSet[Workers] = weakref.WeakSet()  # those whose deaths a signal may tell of


@contextmanager
def deaths_told() -> Iterator[None]:
    """Make a RunError of torch's word that a data worker died, which a signal may bring at any line of the program.

    >>> with deaths_told():
    ...     print("nothing else changes")
    nothing else changes
    """
    try:
        yield
    except RuntimeError as error:
        if not _tells_of_death(error):
            raise
        raise _death(error) from error


class Workers:
    """Processes that read batches ahead, started at the first pass and kept for the next ones.

    Args:
        reading: Reads the batch of a key; runs in the workers.
        num_workers: How many processes.
        device: Where the batches go.
        timeout: A worker that has been at one and the same sample (or batch, where one is read at once) for so many
            seconds counts as hung, however long a batch takes; None: none ever does.
        name: What to call a sample in errors.
    """

    def __init__(
        self,
        reading: Callable[[Key], Any],
        num_workers: int,
        device: torch.device,
        *,
        timeout: float | None = TIMEOUT,
        name: Callable[[int], str] = "sample {}".format,
    ) -> None:
        self._keys, self._begin, self._marks = _Keys(), _Begin(), Marks(num_workers)
        self._timeout, self._name = timeout, name
        with _no_advice():
            self._loader: DataLoader[Any] | None = DataLoader(
                _Batches(reading, self._marks),
                batch_size=None,
                sampler=self._keys,
                num_workers=num_workers,
                persistent_workers=True,
                collate_fn=_as_it_is,
                worker_init_fn=self._begin,
                pin_memory=device.type == "cuda",
                generator=torch.Generator(),  # else it draws from the global one
                timeout=_LOOK,
            )
        self._pass = 0
        _ACTIVE.add(self)

    def read(self, keys: list[Key]) -> Iterator[tuple[Any, Tensor]]:
        """Yield a batch for each key, in their order.

        Raises:
            InputError: what a worker found wrong with the data.
            RunError: a worker died or hangs, or a user's data set raised.
            RuntimeError: another pass began before this one had ended.
        """
        if not keys:
            return
        if self._loader is None:
            raise RuntimeError("the loader was closed")
        self._pass += 1
        mine = self._pass
        self._keys.keys = keys
        self._begin.started_here()
        with deaths_told(), self._closed_on_error(), _no_advice():
            batches = iter(self._loader)
        for _ in keys:
            if mine != self._pass:
                raise RuntimeError("another pass over this loader began; make a loader for each")
            with deaths_told(), self._closed_on_error():
                batch = self._next(batches)
                if isinstance(batch, InputError | RunError):
                    raise batch
            yield batch

    def _next(self, batches: Iterator[Any]) -> Any:
        """Return the next batch; look at the workers once in a while as long as there is none."""
        started = time.monotonic()
        while True:
            try:
                return next(batches)
            except RuntimeError as error:
                if not str(error).startswith("DataLoader timed out"):
                    raise
            self._check_hung(time.monotonic() - started)

    def _check_hung(self, waited: float) -> None:
        if self._timeout is None or waited < self._timeout:
            return
        at = [mark for worker in range(self._marks.count) if (mark := self._marks.of(worker)) is not None]
        hung = [mark for mark in at if mark.seconds >= self._timeout]
        if at and not hung:
            return  # they go on from sample to sample
        what = " and ".join(map(self._told, hung)) if hung else "nothing that it tells of"
        message = f"a data worker hangs: it has been at {what} for {self._timeout:g} s (data.timeout)"
        raise RunError(f"{message}. Where a sample takes that long, give data.timeout more seconds")

    def _told(self, mark: Mark) -> str:
        if mark.sample is not None:
            return self._name(mark.sample)
        ids = self._keys.keys[mark.place][1].tolist() if mark.place < len(self._keys.keys) else []
        return ", ".join(map(self._name, ids[:_SHOWN])) + (f", ... ({len(ids)} in all)" if len(ids) > _SHOWN else "")

    def dead(self) -> list[str]:
        """Return of each worker that has died what it was reading, and how it ended."""
        found = []
        for worker, process in enumerate(self._processes()):
            if process.is_alive():
                continue
            mark, code = self._marks.of(worker), process.exitcode or 0
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            found.append(f"while it read {self._told(mark)} ({how})" if mark is not None else f"({how})")
        return found

    def _processes(self) -> list[Any]:
        iterator = self._loader._iterator if self._loader is not None else None
        return list(getattr(iterator, "_workers", ()))

    def close(self) -> None:
        """End the processes now; torch's own way waits for the garbage collector, which may find them in any order."""
        _ACTIVE.discard(self)
        loader, self._loader = self._loader, None
        if loader is None or loader._iterator is None:
            return
        try:
            loader._iterator._shutdown_workers()  # type: ignore[attr-defined]
        except RuntimeError as error:
            if not _tells_of_death(error):
                raise

    def kill(self) -> None:
        """End the processes at once, in whatever they are: one that hangs is waited for by nobody."""
        processes = self._processes()
        iterator = self._loader._iterator if self._loader is not None else None
        if iterator is not None and iterator._worker_pids_set:  # type: ignore[attr-defined]
            signal_handling._remove_worker_pids(id(iterator))  # what dies now is no news
            iterator._worker_pids_set = False  # type: ignore[attr-defined]
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        self.close()
        orphans.remove_shared_memory([process.pid for process in processes])

    def _wait_for_a_death(self) -> None:
        """Wait for a process that has let go of what it shared, which the system does before it says how it ended."""
        by_sentinel = {process.sentinel: process for process in self._processes()}
        with suppress(RuntimeError):  # by which torch tells of the same death, at any line
            for sentinel in wait(list(by_sentinel), timeout=5):
                by_sentinel[sentinel].join(5)

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except (ConnectionError, EOFError) as error:  # the worker went while it handed over a batch
            if str(error).startswith("Caught "):
                self.kill()
                raise
            self._wait_for_a_death()
            found = _death(error)
            self.kill()
            raise found from error
        except Exception as error:
            died = _death(error) if _tells_of_death(error) else None
            self.kill()
            if died is None:
                raise
            raise died from error
