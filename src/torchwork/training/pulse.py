"""How processes that train together learn that one of them has ended: by what it said last, or by its silence.

A process that fails in a step leaves the others waiting for it. Each tells the others, in the store that connected
them, that it is alive, once a second, and what it ended with. Of one that is silent for `SILENCE` seconds nothing can
come any more: it was killed, its machine was lost, or the network was.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as c10d

from torchwork import dist
from torchwork.dist import Group, LostError
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError, RunError

EVERY = 1.0  # seconds between two signs of life
SILENCE = 15.0  # seconds without any, after which a process is given up
SUSPICION = 4.0  # the same, where a connection to some process has broken
LAST_WORDS = 8.0  # seconds for which they are waited for, where a connection has broken

_OF_CONNECTIONS = (
    *("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo", "Timed out waiting"),
    *("Socket Timeout", "Connection refused", "Aborted", "NCCL", "wait timeout"),
)


class Ending(NamedTuple):
    """What a process ended with: ``done``, ``stopped``, ``input``, ``failed``; the message, and the signal if any."""

    kind: str
    message: str
    signal: int = 0


class Pulse(threading.Thread):
    """Signs of life, this process's and the others'."""

    def __init__(self, group: Group) -> None:
        super().__init__(name="pulse", daemon=True)
        self._group = group
        # a connection of its own: a wait in the other would hold this up
        self._store = group.store.clone()  # type: ignore[attr-defined]
        self._store.set_timeout(timedelta(seconds=SILENCE))
        self._over = threading.Event()
        self._beats = [f"torchwork/alive/{rank}" for rank in range(group.world)]
        self._seen = dict.fromkeys(range(group.world), (b"", time.monotonic()))
        self.lost: str | None = None
        host = f"rank {group.rank} (process {os.getpid()} on {socket.gethostname()})"
        self._store.set(f"torchwork/who/{group.rank}", host)
        self._store.set(self._beats[group.rank], "0")

    def run(self) -> None:
        """Tell and look, until it is over or somebody is lost; then cut the connections that others wait at."""
        self._heard = time.monotonic()
        threading.Thread(target=self._listen, name="pulse of the store", daemon=True).start()
        number = 0
        while not self._over.wait(EVERY):
            number += 1
            try:
                self._store.set(self._beats[self._group.rank], str(number))
                silent = self.silent(SILENCE)
            except RuntimeError:
                continue
            self._heard = time.monotonic()
            if silent:
                self._lose(" and ".join(silent))
                return

    def _listen(self) -> None:
        """Notice that the store gives no answer: a question to a machine that is lost may wait for minutes."""
        while not self._over.wait(EVERY) and self.lost is None:
            if time.monotonic() - self._heard > SILENCE + SUSPICION:
                self._lose("the machine that connects the processes")

    def _lose(self, whom: str) -> None:
        self.lost = f"{whom} is gone: killed, or its machine or the network was lost"
        self._give_up()

    def silent(self, seconds: float) -> list[str]:
        """Return who gave no sign of life for so long and said nothing of an end."""
        now, gone = time.monotonic(), []
        for rank, beat in enumerate(self._beats):
            if rank == self._group.rank or not self._store.check([beat]):
                continue
            found, (before, since) = self._store.get(beat), self._seen[rank]
            if found != before:
                self._seen[rank] = (found, now)
            elif now - since > seconds and not self._store.check([f"torchwork/end/{rank}"]):
                gone.append(self._store.get(f"torchwork/who/{rank}").decode())
        return gone

    def end(self, ending: Ending) -> None:
        """Tell the others what this process ends with."""
        self._store.set(f"torchwork/end/{self._group.rank}", json.dumps(ending))

    def ending(self, rank: int) -> Ending | None:
        """Return what a process ended with, None where it has not."""
        key = f"torchwork/end/{rank}"
        return Ending(*json.loads(self._store.get(key))) if self._store.check([key]) else None

    def close(self) -> None:
        """Tell no more."""
        self._over.set()
        self.join(1.0 if self.lost else SILENCE)

    def stay(self) -> None:
        """Wait until the others have heard why it is over: what connects them may end with this process."""
        _cut_connections()
        end = time.monotonic() + LAST_WORDS
        while time.monotonic() < end:
            waiting = [rank for rank in range(self._group.world) if self.ending(rank) is None]
            if len(waiting) <= len(self.silent(SUSPICION)):
                return
            time.sleep(0.05)

    def _give_up(self) -> None:
        """Break the wait of the main thread for a process that will not come."""
        _cut_connections()
        if not self._over.wait(10):
            print(f"error: {self.lost}", file=sys.stderr, flush=True)
            os._exit(1)


def _cut_connections() -> None:
    """End what this process, or another one, waits for the other at."""
    for device in ("cpu", "cuda"):
        with contextlib.suppress(RuntimeError):  # nothing of the run is there
            c10d.distributed_c10d._get_default_group()._get_backend(torch.device(device)).abort()
    group = dist.group()
    if group is not None and group.sockets is not None:
        group.sockets.cut()


@contextmanager
def beating(group: Group | None) -> Iterator[None]:
    """Tell the others that this process is alive, while inside; and on an error, what it was, or whose it was.

    Raises:
        RunError: another process failed or is gone; it is named.
        Interrupted: it was stopped by a signal.
    """
    if group is None:
        yield
        return
    pulse = Pulse(group)
    pulse.start()
    try:
        yield
        pulse.end(Ending("done", ""))
    except BaseException as error:
        raise _explained(error, pulse, group) from error
    finally:
        pulse.close()


def _explained(error: BaseException, pulse: Pulse, group: Group) -> BaseException:
    """Return what to raise for an error: itself, or what the process ended with that it was waiting for."""
    found = error
    try:
        if _of_a_connection(error):
            found = RunError(pulse.lost or "the connection to the other processes is lost")
            if pulse.lost and pulse.lost.startswith("the machine"):  # the store gives no answer any more
                return found
            found = _others(error, pulse, group)
        pulse.end(_of(found))
        if group.rank:
            found.told = _first_tells(found, pulse)  # type: ignore[attr-defined]
        elif found is not error:
            pulse.stay()
    except RuntimeError:  # what connected the processes is gone as well
        return found
    return found


def _of_a_connection(error: BaseException) -> bool:
    if isinstance(error, c10d.DistError | LostError):
        return True
    return type(error) is RuntimeError and any(said in str(error) for said in _OF_CONNECTIONS)


def _others(error: BaseException, pulse: Pulse, group: Group) -> BaseException:
    """Wait for the last words of the process that a connection broke to; or else find who is silent."""
    end = time.monotonic() + LAST_WORDS
    while time.monotonic() < end and pulse.lost is None:
        for rank in range(group.world):
            ending = pulse.ending(rank) if rank != group.rank else None
            if ending is not None and ending.kind != "done":
                return _raised(ending, rank)
        silent = pulse.silent(SUSPICION)
        if silent:
            return RunError(f"{' and '.join(silent)} is gone: killed, or its machine or the network was lost")
        time.sleep(0.2)
    said = str(error).strip().splitlines()
    return RunError(pulse.lost or f"the connection to another process broke: {said[0] if said else 'no reason given'}")


def _of(error: BaseException) -> Ending:
    number = getattr(error, "signal", 0) or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0)
    if isinstance(error, SystemExit):  # how a command ends on SIGTERM where nothing was begun
        number = signal.SIGTERM
    if number:
        return Ending("stopped", "" if isinstance(error, SystemExit) else str(error), int(number))
    if isinstance(error, InputError):
        return Ending("input", str(error))
    return Ending("failed", str(error) or type(error).__name__)


def _raised(ending: Ending, rank: int) -> BaseException:
    if ending.kind == "stopped":
        return Interrupted(ending.message, ending.signal)
    # one that only passes on what it heard of a third says so already
    said = ending.message if ending.message.startswith("rank ") else f"rank {rank} failed: {ending.message}"
    return RunError(said)


def _first_tells(error: BaseException, pulse: Pulse) -> bool:
    """Wait a little for the first process to end with the same, which then shows it alone."""
    end = time.monotonic() + LAST_WORDS / 2
    while time.monotonic() < end:
        ending = pulse.ending(0)
        if ending is not None:
            own = _of(error)
            return own.kind == ending.kind and (own.kind == "stopped" or own.message in ending.message)
        time.sleep(0.05)
    return False
