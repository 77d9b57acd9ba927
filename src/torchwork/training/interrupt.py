"""Ctrl-C, SIGTERM and SIGUSR1 as a wish that the loop grants after its current step, not as an exception inside it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# SIGUSR1 is what schedulers send some time before they end a job that may come back
ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
GIVEN_UP = 0  # no signal: whoever judges the epochs asked


class Interrupted(KeyboardInterrupt):
    """Training stopped because it was asked to, after the checkpoint was saved.

    ``signal`` says what asked: a signal, or GIVEN_UP.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


class StopRequest:
    """Whether somebody asked to stop; call it to know."""

    signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a request while inside; a second SIGINT raises KeyboardInterrupt at once.

    Outside the main thread Python delivers no signals: there, nothing is changed.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if request.signal == signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = number

    before = {number: signal.signal(number, ask) for number in ASKING}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stopping_at_once(message: str) -> Iterator[None]:
    """Raise Interrupted with a message where one of these signals comes while inside: nothing there needs an end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Interrupted(message, number)

    before = {number: signal.signal(number, end) for number in ASKING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
