"""Several processes that train one model: which one this is, sums over all, and waiting for each other.

`torchrun` starts the processes and tells each its rank; `joined` connects them by ``torch.distributed``. On one
process every function here returns what it was given, at once. All processes must call the collective ones
(`sums`, `summing`, `summed`, `everyone`, `to_first`, `from_first`, `wait_for_all`, `first_on_host`) in the same order.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from torchwork.sockets import LostError, Sockets, possible

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import Store

T = TypeVar("T")


@dataclass
class Group:
    """The processes that train together, as one of them sees them.

    ``sockets`` connect them where all are on one host.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int
    store: Store
    turns: int = 0
    sockets: Sockets | None = None

    def connect(self, timeout: timedelta) -> None:
        """Connect the processes of one host; all must call it.

        Raises:
            LostError: another process ended meanwhile.
        """
        if self.local_world == self.world and possible(self.rank, self.world, self.store):
            self.sockets = Sockets(self.rank, self.world, self.store, timeout.total_seconds())

    def close(self) -> None:
        """Be connected no more."""
        if self.sockets is not None:
            self.sockets.close()


_group: Group | None = None


def _said(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default


def launched() -> bool:
    """Whether `torchrun`, or what does the same, started this process as one of several or as the only one."""
    return all(os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))


def rank() -> int:
    """Return this process's number, from 0.

    >>> rank(), world()
    (0, 1)
    """
    return _group.rank if _group is not None else _said("RANK", 0) if launched() else 0


def world() -> int:
    """Return how many processes train together."""
    return _group.world if _group is not None else _said("WORLD_SIZE", 1) if launched() else 1


def local_rank() -> int:
    """Return this process's number on its host, from 0."""
    return _group.local_rank if _group is not None else _said("LOCAL_RANK", rank()) if launched() else 0


def local_world() -> int:
    """Return how many of the processes are on this host."""
    return _group.local_world if _group is not None else _said("LOCAL_WORLD_SIZE", world()) if launched() else 1


def is_first() -> bool:
    """Whether this process is the one that writes and shows."""
    return rank() == 0


def group() -> Group | None:
    """Return the group that this process has joined, None where it is alone."""
    return _group


@contextmanager
def joined(timeout: timedelta = timedelta(minutes=30)) -> Iterator[Group | None]:
    """Be connected with the other processes that were launched, while inside; with a group that is there already, stay.

    Gloo carries what is on the CPU, NCCL what is on a CUDA device, where there are any.

    Args:
        timeout: How long a step of another process is waited for.
    """
    global _group
    if _group is not None or world() == 1:
        yield _group
        return
    import torch
    import torch.distributed as c10d

    _choose_interface()
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and c10d.is_nccl_available() else "gloo"
    c10d.init_process_group(backend, timeout=timeout)
    own = _group = Group(rank(), world(), local_rank(), local_world(), c10d.distributed_c10d._get_default_store())
    try:
        yield own
    finally:
        _group = None
        own.close()
        c10d.destroy_process_group()


@contextmanager
def joining(own: Group) -> Iterator[Group]:
    """Take a group of ``torch.distributed`` that was made elsewhere as the one to train with, while inside."""
    global _group
    before, _group = _group, own
    try:
        yield own
    finally:
        _group = before


def _choose_interface() -> None:
    """Tell gloo the network by which the first host is reached, where there is more than one host.

    By itself it takes the one that the host's own name stands for, which is often none that others reach.
    """
    if local_world() == world() or os.environ.get("GLOO_SOCKET_IFNAME"):
        return
    address = own_address(os.environ["MASTER_ADDR"])
    name = next((name for name, found in _interfaces() if found == address), None)
    if name is not None:
        os.environ["GLOO_SOCKET_IFNAME"] = name


def own_address(to: str) -> str:
    """Return this host's address as another host, or itself, sees it.

    >>> own_address("127.0.0.1")
    '127.0.0.1'
    """
    kind, _, _, _, place = socket.getaddrinfo(to, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(kind, socket.SOCK_DGRAM) as probe:
        probe.connect(place)  # sends nothing: it only chooses the way
        return str(probe.getsockname()[0])


def _interfaces() -> Iterator[tuple[str, str]]:
    import fcntl
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            try:  # 0x8915 is SIOCGIFADDR; only Linux answers
                found = fcntl.ioctl(asked.fileno(), 0x8915, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue
            yield name, socket.inet_ntoa(found[20:24])


def sums(values: Sequence[float]) -> list[float]:
    """Return the sums over all processes, in float64: the very same numbers everywhere.

    >>> sums([1.5, 2.0])
    [1.5, 2.0]
    """
    if _group is not None and _group.sockets is not None:
        import numpy as np

        return _group.sockets.sums(np.array(values, np.float64)).tolist()
    return summing(values)()


def summing(values: Sequence[float]) -> Callable[[], list[float]]:
    """Begin to sum as `sums` does, and return what waits for the sums: meanwhile there is time for something else.

    >>> summing([1.5, 2.0])()
    [1.5, 2.0]
    """
    if _group is None:
        return lambda: list(values)
    import torch
    import torch.distributed as c10d

    total = torch.tensor(values, dtype=torch.float64)
    work = c10d.all_reduce(total, async_op=True)

    def ended() -> list[float]:
        work.wait()
        return total.tolist()

    return ended


def summed(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, in its format.

    >>> import torch
    >>> summed(torch.ones(2))
    tensor([1., 1.])
    """
    import torch
    import torch.distributed as c10d

    if _group is not None and _group.sockets is not None and tensor.device.type == "cpu":
        own = tensor.contiguous()
        return torch.from_numpy(_group.sockets.sums(own.numpy().ravel())).view(own.shape)
    total = tensor.contiguous().clone()
    if _group is not None:
        c10d.all_reduce(total)
    return total


def everyone(value: T) -> list[T]:
    """Return what each process gave, by rank, on all of them.

    >>> everyone("a")
    ['a']
    """
    if _group is None:
        return [value]
    if _group.sockets is not None:
        return _group.sockets.everyone(value)
    import torch.distributed as c10d

    found: list[Any] = [None] * _group.world
    c10d.all_gather_object(found, value)
    return found


def to_first(value: T) -> list[T] | None:
    """Return what each process gave, by rank, on the first; None on the others."""
    if _group is None:
        return [value]
    import torch.distributed as c10d

    found: list[Any] | None = [None] * _group.world if _group.rank == 0 else None
    c10d.gather_object(value, found)
    return found


def from_first(value: T) -> T:
    """Return what the first process gave, on all of them.

    >>> from_first("a")
    'a'
    """
    if _group is None:
        return value
    import torch.distributed as c10d

    found: list[Any] = [value]
    c10d.broadcast_object_list(found)
    return found[0]


def wait_for_all() -> None:
    """Come back when all processes have come here, however long that takes."""
    if _group is None:
        return
    _group.turns += 1
    _group.store.set(f"torchwork/here/{_group.turns}/{_group.rank}", "here")
    for other in range(_group.world):
        _wait(_group, f"torchwork/here/{_group.turns}/{other}", other)


@contextmanager
def first_on_host() -> Iterator[None]:
    """Let one process of each host go through before its others, which then find ready what it left on the disk."""
    if _group is None or _group.local_world == 1:
        yield
        return
    _group.turns += 1
    first = _group.rank - _group.local_rank
    key = f"torchwork/ready/{_group.turns}/{first}"
    if _group.local_rank:
        _wait(_group, key, first)
    try:
        yield
    finally:
        if not _group.local_rank:
            _group.store.set(key, "ready")


def _wait(own: Group, key: str, other: int) -> None:
    """Wait until another process sets a key, or ends: it may read or download for hours."""
    pause = 0.001
    while not own.store.check([key]):
        if own.store.check([f"torchwork/end/{other}"]) and not own.store.check([key]):
            raise LostError(f"rank {other} ended while it was waited for")
        time.sleep(pause)
        pause = min(0.2, 2 * pause)
