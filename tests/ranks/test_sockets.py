"""Processes of one host swap bytes, sums and objects directly; who waits for one that ended hears of it."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from torch.distributed import HashStore

from torchwork import dist, sockets

SIZES = (0, 1, 8, 4096, 3 * sockets.BUFFER + 5)


def swapped(sizes):
    """Send bytes of this process's own, as many as it has in ``sizes``, to all others."""
    group = dist.group()
    parts = [np.full(size, rank + 1, np.uint8) for rank, size in enumerate(sizes)]
    into = {rank: memoryview(np.zeros(size, np.uint8)) for rank, size in enumerate(sizes) if rank != group.rank}
    group.sockets.swap(memoryview(parts[group.rank]), into)
    return all(bytes(into[rank]) == parts[rank].tobytes() for rank in into)


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("size", SIZES)
def test_each_process_has_what_every_other_sent_whatever_the_sizes(together, world, size):
    for sizes in ([size] * world, [size + rank for rank in range(world)], [0, *[size] * (world - 1)]):
        assert all(together(world)(swapped, sizes))


def told(values):
    rank = dist.rank()
    return (
        dist.sums(values[rank]),
        dist.everyone({"rank": rank, "content": "x" * 10 ** (3 * rank)}),
        float(dist.summed(torch.tensor([[values[rank][0]]], dtype=torch.float64))),
    )


@pytest.mark.parametrize("world", [2, 3])
def test_sums_are_added_up_in_the_order_of_the_ranks_and_the_same_everywhere(together, world):
    values = [[0.1, 1e16], [0.2, 1.0], [0.3, -1e16]][:world]
    expected = [sum((one[place] for one in values[1:]), values[0][place]) for place in range(2)]
    for sums, everyone, summed in together(world)(told, values):
        assert sums == expected
        assert [(one["rank"], len(one["content"])) for one in everyone] == [(r, 10 ** (3 * r)) for r in range(world)]
        assert summed == expected[0]


def as_from(monkeypatch, name):
    monkeypatch.setattr(sockets.socket, "gethostname", lambda: name)


@pytest.mark.parametrize(("other", "expected"), [("here", True), ("there", False)])
def test_only_processes_of_one_host_are_connected(monkeypatch, other, expected):
    store = HashStore()
    as_from(monkeypatch, other)
    store.set("torchwork/host/1", sockets._host())
    as_from(monkeypatch, "here")
    assert sockets.possible(0, 2, store) is expected


def test_where_the_host_cannot_be_told_nothing_is_connected(monkeypatch):
    store = HashStore()
    monkeypatch.setattr(sockets.processes, "started", lambda pid: "")
    store.set("torchwork/host/1", sockets._host())
    assert not sockets.possible(0, 2, store)


@pytest.fixture
def pair():
    """Two ends in one process, which find each other as two would."""
    store, found = HashStore(), {}

    def connect(rank):
        found[rank] = sockets.Sockets(rank, 2, store, timeout=0.5)

    threads = [threading.Thread(target=connect, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield found[0], found[1]
    for one in found.values():
        one.close()


def test_one_that_does_not_call_is_not_waited_for_without_end():
    store = HashStore()
    with pytest.raises(sockets.LostError, match="the processes could not be connected: timed out"):
        sockets.Sockets(0, 2, store, timeout=0.2)


def test_one_that_is_gone_cannot_be_called(tmp_path):
    store = HashStore()
    store.set("torchwork/socket/0", str(tmp_path / "gone"))
    with pytest.raises(sockets.LostError, match="could not be connected"):
        sockets.Sockets(1, 2, store, timeout=0.2)


def into(size=8):
    return memoryview(bytearray(size))


def later(action, seconds):
    thread = threading.Timer(seconds, action)
    thread.start()
    return thread


@pytest.mark.parametrize("seconds", [0, 10 * sockets.SPIN])
def test_who_waits_for_one_that_ended_hears_of_it(pair, seconds):
    first, second = pair
    thread = later(second.close, seconds)
    with pytest.raises(sockets.LostError, match="rank 1"):
        first.swap(memoryview(b"x" * 8), {1: into()})
    thread.join()


@pytest.mark.parametrize("seconds", [0, 10 * sockets.SPIN])
def test_a_wait_can_be_cut_from_another_thread(pair, seconds):
    first, _ = pair
    thread = later(first.cut, seconds)
    with pytest.raises(sockets.LostError, match="rank 1"):
        first.swap(memoryview(b""), {1: into()})
    thread.join()


def test_one_that_stays_silent_is_waited_for_no_longer_than_was_asked(pair):
    first, _ = pair
    with pytest.raises(sockets.LostError, match=r"rank 1 was waited for longer than 0\.5 s"):
        first.swap(memoryview(b""), {1: into()})


def test_one_that_comes_late_is_waited_for_without_keeping_a_core_busy(pair):
    first, second = pair
    thread = later(lambda: second.swap(memoryview(b"y" * 8), {0: into()}), 0.3)
    found, before = into(), time.thread_time()
    first.swap(memoryview(b"x" * 8), {1: found})
    thread.join()
    assert bytes(found) == b"y" * 8
    assert time.thread_time() - before < 0.15
