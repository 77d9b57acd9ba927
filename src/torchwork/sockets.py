"""Connections between the processes of one host that train together: a message is there within microseconds.

``torch.distributed`` carries tensors between hosts, and large ones, by threads of its own that have to be woken on both
sides. Where a step takes milliseconds, waking them takes a good part of it.
"""

from __future__ import annotations

import pickle
import select
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchwork import processes

if TYPE_CHECKING:
    import numpy as np
    from torch.distributed import Store

BUFFER = 2**20  # bytes on their way before who sends has to wait
SPIN = 0.002  # seconds in which to ask again and again, which is sooner than to be woken
_LONGEST = 60  # characters of a folder in which a socket can be bound, by a name of some 100


class LostError(RuntimeError):
    """Another process ended while it was waited for."""


def possible(rank: int, world: int, store: Store) -> bool:
    """Tell whether all processes are on one host that has such connections; all must ask."""
    store.set(f"torchwork/host/{rank}", _host())
    hosts = {store.get(f"torchwork/host/{other}") for other in range(world)}
    return len(hosts) == 1 and hosts != {b""}


def _host() -> str:
    """Return what only processes of one host or container have in common; nothing where that cannot be told."""
    system = processes.started(1)
    if not (system and hasattr(socket, "AF_UNIX") and hasattr(select, "poll")):
        return ""
    folder = Path(_folder() or tempfile.gettempdir()).stat()
    return f"{socket.gethostname()} {system} {folder.st_dev} {folder.st_ino}"


class Sockets:
    """A connection to every other process of this host; all processes must swap in the same order.

    Args:
        rank: This process's number.
        world: How many there are.
        store: Where they find each other.
        timeout: Seconds for which another process is waited for.

    Raises:
        LostError: another process ended, or `cut` was called, while it was waited for.
    """

    def __init__(self, rank: int, world: int, store: Store, timeout: float) -> None:
        self._rank, self._world, self._timeout = rank, world, timeout
        self._spin = SPIN if world <= processes.cores() else 0.0  # else another one waits for this core
        self._sockets: dict[int, socket.socket] = {}
        try:
            self._connect(store)
        except OSError as error:
            self.close()
            raise LostError(f"the processes could not be connected: {error}") from error
        for one in self._sockets.values():
            one.setblocking(False)
            for way in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                one.setsockopt(socket.SOL_SOCKET, way, BUFFER)

    def _connect(self, store: Store) -> None:
        """Call those that come before, and wait for the calls of those behind."""
        with tempfile.TemporaryDirectory(dir=_folder(), prefix="torchwork-") as folder:
            place = str(Path(folder) / "socket")
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(place)
                listening.listen(self._world)
                listening.settimeout(self._timeout)
                store.set(f"torchwork/socket/{self._rank}", place)
                for rank in range(self._rank):
                    other = self._sockets[rank] = socket.socket(socket.AF_UNIX)
                    other.settimeout(self._timeout)
                    other.connect(store.get(f"torchwork/socket/{rank}").decode())
                    other.sendall(self._rank.to_bytes(2, "little"))
                for _ in range(self._rank + 1, self._world):
                    other, _ = listening.accept()
                    other.settimeout(self._timeout)
                    self._sockets[int.from_bytes(other.recv(2), "little")] = other

    def swap(self, own: memoryview, theirs: Mapping[int, memoryview]) -> None:
        """Send bytes to every other process, and receive those of each of them, of which the sizes are known."""
        to_send = {rank: own for rank in self._sockets if len(own)}
        to_come = {rank: part for rank, part in theirs.items() if len(part)}
        since = time.perf_counter()
        while to_send or to_come:
            moved = self._move(to_send, socket.socket.send)
            if self._move(to_come, socket.socket.recv_into) or moved:
                since = time.perf_counter()
            elif time.perf_counter() - since > self._spin:
                self._wait(to_send, to_come)

    def _move(self, parts: dict[int, memoryview], how: Callable[[socket.socket, memoryview], int]) -> bool:
        """Send or receive as much as goes at once; tell whether it was anything."""
        moved = False
        for rank, part in list(parts.items()):
            try:
                size = how(self._sockets[rank], part)
            except BlockingIOError:
                continue
            except OSError as error:
                raise LostError(f"the connection to rank {rank} broke: {error}") from error
            if not size:
                raise LostError(f"rank {rank} ended while it was waited for")
            moved = True
            if size < len(part):
                parts[rank] = part[size:]
            else:
                del parts[rank]
        return moved

    def _wait(self, to_send: Mapping[int, memoryview], to_come: Mapping[int, memoryview]) -> None:
        """Sleep until there is something to be done."""
        poll = select.poll()
        for rank in to_send.keys() | to_come.keys():
            ways = (select.POLLOUT if rank in to_send else 0) | (select.POLLIN if rank in to_come else 0)
            poll.register(self._sockets[rank], ways)
        if not poll.poll(1000 * self._timeout):
            waited = ", ".join(map(str, sorted(to_send.keys() | to_come.keys())))
            raise LostError(f"rank {waited} was waited for longer than {self._timeout:g} s")

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sums over all processes, added up in the order of the ranks."""
        import numpy as np

        return np.add.accumulate(self._gathered(values))[-1]

    def everyone(self, value: Any) -> list[Any]:
        """Return what each process gave, by rank."""
        import numpy as np

        content = pickle.dumps(value)
        sizes = self._gathered(np.array([len(content)])).ravel().tolist()
        contents = [bytearray(size) for size in sizes]
        self.swap(memoryview(content), {rank: memoryview(contents[rank]) for rank in self._sockets})
        contents[self._rank][:] = content
        return [pickle.loads(content) for content in contents]

    def _gathered(self, row: np.ndarray) -> np.ndarray:
        """Return the rows of all processes, [world, N]."""
        import numpy as np

        rows = np.empty((self._world, len(row)), row.dtype)
        rows[self._rank] = row
        parts = [memoryview(part).cast("B") for part in rows]
        self.swap(parts[self._rank], {rank: parts[rank] for rank in self._sockets})
        return rows

    def cut(self) -> None:
        """End what this process, or another one, waits for the other at; from any thread."""
        for one in self._sockets.values():
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed, or the other end is
                continue

    def close(self) -> None:
        """Be connected no more."""
        for one in self._sockets.values():
            one.close()


def _folder() -> str | None:
    return "/tmp" if len(tempfile.gettempdir()) > _LONGEST and Path("/tmp").is_dir() else None
