"""Reading batches, in this process or in workers: one function of (epoch, ids), so that both give the same bytes."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from torchwork.types import InputError, RunError

Key = tuple[Any, np.ndarray]


class _Batches(Dataset[Any]):
    """What a worker runs: an item is a whole batch, or the error that reading it gave."""

    def __init__(self, reading: Callable[[Key], Any]) -> None:
        self._reading = reading

    def __getitem__(self, key: Key) -> Any:
        try:
            return self._reading(key)
        except InputError as error:  # raised here, torch would make it anew from a text and lose its findings
            return error


class _Keys(Sampler[Key]):
    """Yields the keys of the pass that is being read."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_signals_to_the_program(worker: int) -> None:
    """Let Ctrl-C, which a terminal sends to every process, be answered by the program that needs the worker's batches.

    SIGTERM, by which torch ends a worker that hangs, does what it does to any process, whatever was inherited.
    """
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
    return RunError(f"a data worker died ({error}); it may have run out of memory: try fewer data.num_workers")


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
    """Processes that read batches ahead, started at the first pass and kept for the next ones."""

    def __init__(self, reading: Callable[[Key], Any], num_workers: int, device: torch.device) -> None:
        self._keys = _Keys()
        with _no_advice():
            self._loader: DataLoader[Any] | None = DataLoader(
                _Batches(reading),
                batch_size=None,
                sampler=self._keys,
                num_workers=num_workers,
                persistent_workers=True,
                collate_fn=_as_it_is,
                worker_init_fn=_leave_signals_to_the_program,
                pin_memory=device.type == "cuda",
                generator=torch.Generator(),  # else it draws from the global one
            )
        self._pass = 0

    def read(self, keys: list[Key]) -> Iterator[tuple[Any, Tensor]]:
        """Yield a batch for each key, in their order.

        Raises:
            InputError: what a worker found wrong with the data.
            RunError: a worker died.
            RuntimeError: another pass began before this one had ended.
        """
        if not keys:
            return
        if self._loader is None:
            raise RuntimeError("the loader was closed")
        self._pass += 1
        mine = self._pass
        self._keys.keys = keys
        with deaths_told(), self._closed_on_error(), _no_advice():
            batches = iter(self._loader)
        for _ in keys:
            if mine != self._pass:
                raise RuntimeError("another pass over this loader began; make a loader for each")
            with deaths_told(), self._closed_on_error():
                batch = next(batches)
                if isinstance(batch, InputError):
                    raise batch
            yield batch

    def close(self) -> None:
        """End the processes now; torch's own way waits for the garbage collector, which may find them in any order."""
        loader, self._loader = self._loader, None
        if loader is None or loader._iterator is None:
            return
        try:
            loader._iterator._shutdown_workers()  # type: ignore[attr-defined]
        except RuntimeError as error:
            if not _tells_of_death(error):
                raise

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except (ConnectionError, EOFError) as error:  # the worker went while it handed over a batch
            self.close()
            if str(error).startswith("Caught "):
                raise
            raise _death(error) from error
        except Exception:
            self.close()
            raise
