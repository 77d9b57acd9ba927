"""One line an epoch, for logs and pipes."""

from __future__ import annotations

from pathlib import Path

from torchwork.progress.figures import epoch_line
from torchwork.progress.outlook import Outlook, told
from torchwork.types import Finding, Step


class PlainProgress:
    """Prints where the run is written to, one line an epoch, and what else there is to say."""

    def __init__(self) -> None:
        self._epochs = 0

    def start(self, run_directory: Path, outlook: Outlook) -> None:
        """Say where the run is written to."""
        self._epochs = outlook.epochs
        first, steps = outlook.standing.epoch + 1, outlook.steps_per_epoch
        print(f"run {run_directory}: epochs {first} to {outlook.epochs}, {steps} steps each", flush=True)

    def step(self, step: Step, epoch: int) -> None:
        """Look at nothing: a step costs nothing."""

    def epoch(self, row: dict[str, float]) -> None:
        """Print the figures of an epoch."""
        print(epoch_line(row, self._epochs), flush=True)

    def message(self, text: str) -> None:
        """Print a text."""
        print(text, flush=True)

    def finding(self, found: Finding) -> None:
        """Print a finding."""
        self.message(told(found))

    def stop(self) -> None:
        """End; there is nothing to end."""
