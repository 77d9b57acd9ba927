"""The next batches made ready while the model is at work, and the time that it waits for them nevertheless."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")

_END = object()


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items of an iterator, which a thread runs one item ahead; what it raises is raised here.

    One is enough: who waits for the next one gains nothing from a second. The thread ends with the generator: at its
    end, when it is closed, or when nobody holds it any more.

    >>> list(ahead(iter(range(3))))
    [0, 1, 2]
    """
    ready: queue.SimpleQueue[tuple[list[Any], BaseException | None]] = queue.SimpleQueue()
    wanted = threading.Semaphore(1)
    stopped = threading.Event()

    def run() -> None:
        try:
            while wanted.acquire() and not stopped.is_set():
                ready.put(([next(items, _END)], None))
        except BaseException as error:
            ready.put(([], error))
        finally:
            if isinstance(items, Generator):
                items.close()

    thread = threading.Thread(target=run, name="torchwork-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            made, error = ready.get()
            if error is not None:
                raise error
            if made[0] is _END:
                return
            wanted.release()  # the next one is made while this one is in use
            yield made.pop()  # not held here: a batch of photographs is gone as soon as it is floats
    finally:
        stopped.set()
        wanted.release()
        thread.join()


class SideStream:
    """Copies to a CUDA device beside the model's own work; on any other device a plain copy.

    The host's memory is pinned, so that the copy needs no processor; the stream that computes waits for the copy alone.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def send(self, tensor: Tensor) -> tuple[Tensor, Any]:
        """Begin to copy a tensor of the host; return it on the device, and what ``arrived`` waits for."""
        if self._stream is None:
            return tensor.to(self._device), None
        with torch.cuda.stream(self._stream):
            copied = tensor.pin_memory().to(self._device, non_blocking=True)
            return copied, self._stream.record_event()

    def arrived(self, sent: tuple[Tensor, Any]) -> Tensor:
        """Return a tensor that was sent, for use on the current stream."""
        tensor, event = sent
        if event is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(event)
            tensor.record_stream(current)  # its memory is not given away while the current stream still reads it
        return tensor
