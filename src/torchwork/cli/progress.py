"""How a run goes on, for people: bars on a terminal, one plain line an epoch elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from torchwork.types import Step

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

    from torchwork.run import Progress

_REDRAW = 0.1  # seconds: to read the loss waits for the device, so it is not done more often


def make_progress(quiet: bool) -> Progress | None:
    """Return who shows progress on standard output, or None where nothing shall be shown."""
    if quiet:
        return None
    return TerminalProgress() if sys.stdout.isatty() else PlainProgress()


def epoch_line(row: dict[str, float], epochs: int) -> str:
    """Return an epoch of the history as one line.

    >>> epoch_line({"epoch": 2, "step": 40, "lr": 0.001, "train_loss": 0.51234, "seconds": 1.26}, 10)
    'epoch  2/10  train_loss 0.5123  lr 0.001  1.3 s'
    >>> epoch_line({"epoch": 1, "seconds": 2.0, "waited": 0.5}, 1)
    'epoch 1/1  2.0 s (25% waiting for data)'
    """
    width = len(str(epochs))
    figures = [f"{name} {_figure(value)}" for name, value in row.items() if name not in _ASIDE]
    aside = [f"lr {row['lr']:.3g}"] if "lr" in row else []
    took = [_took(row)] if "seconds" in row else []
    return "  ".join([f"epoch {int(row['epoch']):>{width}}/{epochs}", *figures, *aside, *took])


_ASIDE = ("epoch", "step", "lr", "seconds", "waited")


def _took(row: dict[str, float]) -> str:
    """Return how long an epoch took, and what share of it training waited for data."""
    share = f" ({row['waited'] / row['seconds']:.0%} waiting for data)" if row.get("waited") else ""
    return f"{row['seconds']:.1f} s{share}"


def _figure(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.4g}"


class PlainProgress:
    """Prints one line an epoch, for logs and pipes."""

    def __init__(self) -> None:
        self._epochs = 0

    def start(self, run_directory: Path, epochs: int, steps_per_epoch: int, first_epoch: int) -> None:
        """Say where the run is written to."""
        self._epochs = epochs
        print(f"run {run_directory}: epochs {first_epoch} to {epochs}, {steps_per_epoch} steps each", flush=True)

    def step(self, step: Step, epoch: int) -> None:
        """Look at nothing: a step costs nothing."""

    def epoch(self, row: dict[str, float]) -> None:
        """Print the figures of an epoch."""
        print(epoch_line(row, self._epochs), flush=True)

    def message(self, text: str) -> None:
        """Print a text."""
        print(text, flush=True)

    def stop(self) -> None:
        """End; there is nothing to end."""


class TerminalProgress:
    """Bars for the epoch and for the run, with loss, speed and time left; the epochs' figures stay above them.

    The loss is read from the device at most every tenth of a second; other steps only count.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._bars: Bars | None = None
        self._drawn = 0.0

    def start(self, run_directory: Path, epochs: int, steps_per_epoch: int, first_epoch: int) -> None:
        """Say where the run is written to, and draw the bars."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._console = self._console or Console(highlight=False)
        self._console.print(f"run {run_directory}", soft_wrap=True, markup=False, highlight=False)
        self._epochs, self._steps, self._first = epochs, steps_per_epoch, first_epoch
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        self._run = self._bars.add_task("run", total=epochs * steps_per_epoch, facts="")
        self._bars.update(self._run, completed=(first_epoch - 1) * steps_per_epoch)
        self._epoch = self._bars.add_task(f"epoch {first_epoch}", total=steps_per_epoch, facts="")
        self._count = self._counted = 0
        self._shown_epoch = first_epoch
        self._drawn = monotonic()
        self._bars.start()

    def step(self, step: Step, epoch: int) -> None:
        """Count a step; now and then read its loss and draw."""
        self._count += 1
        now = monotonic()
        if now - self._drawn < _REDRAW or self._bars is None:
            return
        if epoch != self._shown_epoch:
            self._shown_epoch = epoch
            self._bars.reset(self._epoch, description=f"epoch {epoch}", total=self._steps)
        speed = (self._count - self._counted) / (now - self._drawn)
        done = (self._first - 1) * self._steps + self._count
        in_epoch = done - (epoch - 1) * self._steps
        self._bars.update(self._epoch, completed=in_epoch, facts=f"loss {step.loss.item():.4f}  {speed:.0f} steps/s ")
        self._bars.update(self._run, completed=done)
        self._bars.refresh()
        self._counted, self._drawn = self._count, now

    def epoch(self, row: dict[str, float]) -> None:
        """Print the figures of an epoch above the bars."""
        if self._bars is not None:
            self._bars.update(self._epoch, completed=self._steps)
            self._bars.update(self._run, completed=(self._first - 1) * self._steps + self._count)
        self.message(epoch_line(row, self._epochs))

    def message(self, text: str) -> None:
        """Print a text above the bars."""
        if self._console is None:
            print(text, flush=True)
            return
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def stop(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
