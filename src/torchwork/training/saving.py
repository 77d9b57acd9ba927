"""Checkpoints written behind training: from a copy, one at a time, and again where the disk refuses."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from torchwork import durable
from torchwork.training import checkpoint
from torchwork.training.checkpoint import Snapshot
from torchwork.training.state import State
from torchwork.types import RunError

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # seconds before trying again; the last one repeats


class Saver:
    """Writes a run's checkpoints in a thread of its own, so that a step is delayed by no more than the copy.

    Where writing fails, training goes on, the checkpoints that are there stay, and it is tried again after growing
    pauses; a newer checkpoint takes the place of one that still waits, unless that one is the best so far. After
    ``patience`` failures in a row the next call raises.

    Args:
        directory: Where the checkpoints stand.
        monitor: The column by which epochs are judged.
        keep_best: How many of the best epochs' checkpoints are kept, beside the last.
        patience: How many failures in a row end the run.
        told: Called with a sentence, from the writing thread, where something went wrong or is well again.
        pauses: Seconds before trying again.
    """

    def __init__(
        self,
        directory: Path,
        *,
        monitor: str = "val_loss",
        keep_best: int = 1,
        patience: int = 10,
        told: Callable[[str], None] = lambda text: None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._directory, self._monitor, self._keep_best = directory, monitor, keep_best
        self._patience, self._told, self._pauses = patience, told, pauses
        self._changed = threading.Condition()
        self._waiting: list[Snapshot] = []
        self._failures = 0
        self._closing = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        if directory.is_dir():
            durable.remove_leftovers(directory)

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Wait until all is written; after an error that cannot be is no news, and Ctrl-C twice waits for nothing."""
        if error is None:
            self.close()
        elif isinstance(error, Exception):
            with contextlib.suppress(RunError):
                self.close()
        else:
            with self._changed:
                self._closing, self._waiting = True, []
                self._changed.notify_all()

    def save(self, state: State, *, needed: bool = True) -> bool:
        """Copy the state and have it written; say whether it was taken.

        One that is not ``needed`` is left out while another is still being written. One that is waits where two are
        still to be written, so that memory holds no more than that; not where the disk fails.

        Raises:
            RunError: writing failed too often.
        """
        self.check()
        with self._changed:
            if not needed and self._waiting:
                return False
            self._changed.wait_for(lambda: len(self._waiting) < 2 or self._failures or self._error)
        taken = checkpoint.snapshot(state)
        with self._changed:
            if self._failures:  # what fails now is tried again only if it is the best that there is
                self._waiting = [old for old in self._waiting if old.epoch_ended == taken.best_epoch]
            self._waiting.append(taken)
            self._start()
            self._changed.notify_all()
        return True

    def settle(self) -> None:
        """Wait until what was taken is written, or the disk refused it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._failures or self._error)

    def check(self) -> None:
        """Raise what ended the writing.

        Raises:
            RunError: writing failed too often.
        """
        error = self._error
        if isinstance(error, OSError):
            times = f"{self._failures} times in a row" if self._failures > 1 else "once"
            message = f"checkpoints could not be written, {times}: {error.strerror or error}"
            raise RunError(f"{message}. Training stopped, as train.checkpoint_patience is {self._patience}") from error
        if error is not None:
            raise error

    def close(self) -> None:
        """Wait until everything is written.

        Raises:
            RunError: it could not be.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self.check()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="checkpoints", daemon=True)
            self._thread.start()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                taken = self._waiting[0]
            try:
                checkpoint.write(taken, self._directory, monitor=self._monitor, keep_best=self._keep_best)
            except OSError as error:
                if not self._goes_on(error, taken.name):
                    return
            except BaseException as error:  # told where training is: here nobody would hear it
                self._end(error)
                return
            else:
                with self._changed:
                    again, self._failures = self._failures, 0
                    self._waiting = [other for other in self._waiting if other is not taken]
                    self._changed.notify_all()
                if again:
                    self._told(f"checkpoint {taken.name} is written: the disk takes them again")

    def _goes_on(self, error: OSError, name: str) -> bool:
        """Count a failure and wait; say whether to try again."""
        with self._changed:
            self._failures += 1
            failures = self._failures
        if failures >= self._patience:
            self._end(error)
            return False
        pause = self._pauses[min(failures, len(self._pauses)) - 1]
        self._told(
            f"warning: checkpoint {name} could not be written: {error.strerror or error}. The ones before it are kept; "
            f"training goes on, and it is tried again in {pause:g} s ({failures} of {self._patience} times)"
        )
        time.sleep(pause)
        return True

    def _end(self, error: BaseException) -> None:
        with self._changed:
            self._error = error
            self._waiting = []
            self._changed.notify_all()
