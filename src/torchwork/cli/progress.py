"""Who shows a run on the command line: nobody, bars or lines, or events for a program."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, BinaryIO

from torchwork import dist

if TYPE_CHECKING:
    from torchwork.progress.outlook import Progress


@contextmanager
def showing(quiet: bool = False, as_json: bool = False) -> Iterator[Progress | bool]:
    """Yield who shows a run: False (nobody), True (bars on a terminal, else lines), or who writes events.

    Where events are written, they alone reach standard output: whatever else is printed there, by the code of a user's
    data set or by a library, goes to standard error.
    """
    if not as_json or not dist.is_first():  # of several processes the first one shows
        yield dist.is_first() and not quiet
        return
    from torchwork.progress.events import Events

    with _alone_on_stdout() as out:
        yield Events(out)


@contextmanager
def _alone_on_stdout() -> Iterator[BinaryIO]:
    """Yield what was standard output, while everything that is printed goes to standard error, of workers too."""
    sys.stdout.flush()
    try:
        number = sys.stdout.fileno()
    except io.UnsupportedOperation:  # something in its place that keeps what is printed
        buffer = sys.stdout.buffer
        with redirect_stdout(sys.stderr):
            yield buffer
        return
    kept = os.dup(number)
    os.dup2(sys.stderr.fileno(), number)
    try:
        with open(os.dup(kept), "wb") as out:
            yield out
    finally:
        sys.stdout.flush()
        os.dup2(kept, number)
        os.close(kept)
