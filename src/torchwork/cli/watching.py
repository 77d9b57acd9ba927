"""Training with its page in the browser: whoever shows the run stays, and the page is told which run it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchwork import dist
from torchwork.progress.outlook import Outlook, Progress
from torchwork.types import Finding, Step
from torchwork.watch.serving import Page, page


@contextmanager
def watched(progress: Progress | None, wanted: bool) -> Iterator[Progress | None]:
    """Give who shows the run, with a page beside where one is wanted; the page ends with this."""
    if not wanted or not dist.is_first():
        yield progress
        return
    with page() as shown:
        yield Watched(progress, shown)


class Watched:
    """Passes everything on to whoever shows the run, and each run directory to the page.

    The page's address is printed once, on standard error: standard output may be a stream of JSON.
    """

    def __init__(self, progress: Progress | None, shown: Page) -> None:
        self._progress, self._page = progress, shown

    def start(self, run_directory: Path, outlook: Outlook) -> None:
        """Show this run from now on."""
        said = self._page.show(run_directory)
        if said is not None:
            print(said, file=sys.stderr, flush=True)
        if self._progress is not None:
            self._progress.start(run_directory, outlook)

    def step(self, step: Step, epoch: int) -> None:
        """Pass it on."""
        if self._progress is not None:
            self._progress.step(step, epoch)

    def epoch(self, row: dict[str, float]) -> None:
        """Pass it on."""
        if self._progress is not None:
            self._progress.epoch(row)

    def message(self, text: str) -> None:
        """Pass it on."""
        if self._progress is not None:
            self._progress.message(text)

    def finding(self, found: Finding) -> None:
        """Pass it on."""
        if self._progress is not None:
            self._progress.finding(found)

    def stop(self) -> None:
        """Pass it on."""
        if self._progress is not None:
            self._progress.stop()
