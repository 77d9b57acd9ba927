"""What is said of a run: written to its log.txt, and shown by whoever shows it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from torchwork import dist, rundir
from torchwork.progress.outlook import Progress, told
from torchwork.types import Finding, printable


class RunLog:
    """The log of a run, which the first of its processes writes. A full disk costs lines, never the run."""

    def __init__(self, directory: Path, progress: Progress | None = None) -> None:
        self.directory, self.progress = directory, progress

    def note(self, text: str) -> None:
        """Write a line."""
        if not dist.is_first():
            return
        with (
            contextlib.suppress(OSError),
            open(self.directory / rundir.LOG, "a", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n")

    def tell(self, text: str) -> None:
        """Write a line and show it."""
        text = printable(text)
        self.note(text)
        if self.progress is not None:
            self.progress.message(text)

    def finding(self, found: Finding) -> None:
        """Write a finding and show it."""
        self.note(told(found))
        if self.progress is not None:
            self.progress.finding(found)

    def trying(self, name: str, write: Callable[[], None]) -> None:
        """Write a file that only tells of the run; where the disk refuses, say so and go on."""
        try:
            write()
        except OSError as error:
            self.tell(f"warning: {name} could not be written: {error.strerror or error}; training goes on")
