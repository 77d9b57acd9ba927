"""Reading ahead changes when things happen, never what: order, errors and the end are those of the plain iterator."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from torchwork.data.prefetch import SideStream, ahead


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "torchwork-prefetch"]


def test_items_come_in_their_order():
    assert list(ahead(iter(range(100)))) == list(range(100))


def test_the_next_items_are_made_while_one_is_in_use():
    made = []

    def items() -> Iterator[int]:
        for item in range(10):
            made.append(item)
            yield item

    reader = ahead(items())
    next(reader)
    for _ in range(200):
        if len(made) == 2:
            break
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1]  # one in use, one ready
    reader.close()
    assert not _threads()


def test_an_error_comes_after_the_items_before_it():
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    reader = ahead(items())
    assert next(reader) == 1
    with pytest.raises(KeyError, match="lost"):
        next(reader)
    assert not _threads()


def test_a_reader_that_stops_early_ends_the_thread_and_the_iterator():
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    for _ in ahead(items()):
        break
    assert closed.wait(5)
    assert not _threads()


def test_a_copy_to_the_host_is_the_tensor():
    side = SideStream(torch.device("cpu"))
    tensor = torch.arange(5)
    assert torch.equal(side.arrived(side.send(tensor)), tensor)
