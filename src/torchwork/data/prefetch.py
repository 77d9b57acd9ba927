"""The next batches made ready while the model is at work, and the time that it waits for them nevertheless."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")

# How many batches stand ready, beside one that is being made.
AHEAD = 1
_END = object()


def ahead(items: Iterator[Item], count: int = AHEAD) -> Iterator[Item]:
    """Yield the items of an iterator, which a thread runs up to ``count`` items ahead; what it raises is raised here.

    The thread ends with the generator: at its end, when it is closed, or when nobody holds it any more.

    >>> list(ahead(iter(range(3))))
    [0, 1, 2]
    """
    ready: queue.Queue[Any] = queue.Queue(count)
    stopped = threading.Event()

    def hand_over(item: Any) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        try:
            for item in items:
                if not hand_over((item, None)):
                    return
                del item  # a batch of photographs is not held while the next is made
            hand_over((_END, None))
        except BaseException as error:
            hand_over((_END, error))
        finally:
            if isinstance(items, Generator):
                items.close()

    thread = threading.Thread(target=run, name="torchwork-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
            del item
    finally:
        stopped.set()
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
