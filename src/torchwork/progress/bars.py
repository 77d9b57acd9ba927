"""Bars on a terminal for the run and its epoch, and above them the table of epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchwork.progress import table
from torchwork.progress.figures import figure
from torchwork.progress.outlook import Outlook, told, waiting
from torchwork.progress.pace import Pace
from torchwork.types import Finding, Step

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

REDRAW = 0.2  # seconds: to read the loss waits for the device, and to draw takes 1 to 2 ms
_TIME_LEFT = 9  # characters, with the space before


class TerminalProgress:
    """Bars for the epoch and for the run, with loss, speed and time left; the epochs' figures stay above them.

    The loss is read from the device at most five times a second; other steps only count.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._bars: Bars | None = None
        self._columns: list[table.Column] = []
        self._marked = False

    def start(self, run_directory: Path, outlook: Outlook) -> None:
        """Say where the run is written to, and draw the bars."""
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._console = self._console or Console(highlight=False)
        self.message(f"run {run_directory}")
        self._outlook = outlook
        steps, first = outlook.steps_per_epoch, outlook.standing.epoch + 1
        total = steps * outlook.epochs
        self._counts = 2 * len(f"{total:,}") + 1
        self._names = len(f"epoch {outlook.epochs}")
        self._bar = max(4, min(24, (self._console.width - self._names - self._counts - _TIME_LEFT - 3) // 4))
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=self._bar),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        done = outlook.standing.index
        empty: dict[str, Any] = {"facts": "", "count": " " * self._counts}
        self._run = self._bars.add_task("run".ljust(self._names), total=total, completed=done, **empty)
        self._epoch = self._bars.add_task(f"epoch {first}", total=steps, **empty)
        self._shown_epoch = first
        self._pace = Pace(REDRAW)
        self._bars.start()

    def step(self, step: Step, epoch: int) -> None:
        """Count a step's samples; now and then read its loss and draw."""
        if self._bars is None:
            return
        speed = self._pace.due(step.samples)
        if speed is not None:
            self._draw(step, epoch, speed)

    def _draw(self, step: Step, epoch: int, speed: float) -> None:
        assert self._bars is not None
        outlook, steps = self._outlook, self._outlook.steps_per_epoch
        if epoch != self._shown_epoch:
            self._shown_epoch = epoch
            self._bars.reset(self._epoch, description=f"epoch {epoch}", total=steps)
        share = f"{waiting(outlook.standing):>4.0%} waiting"
        said = [f"loss {figure(step.loss.item()):<7}", f"{speed:>7,.0f} samples/s", share]
        self._move(self._epoch, step.index - (epoch - 1) * steps, steps, said)
        standing = outlook.standing
        said = []
        if standing.monitored is not None:
            said = [f"{outlook.monitor} {figure(standing.monitored)}"]
        if standing.best is not None:
            said.append(f"best {figure(standing.best)} of epoch {standing.best_epoch}")
        self._move(self._run, step.index, steps * outlook.epochs, said)
        self._bars.refresh()

    def _move(self, task: int, done: int, total: int, facts: Sequence[str]) -> None:
        from rich.progress import TaskID

        assert self._bars is not None
        assert self._console is not None
        room = self._console.width - self._names - self._bar - self._counts - _TIME_LEFT - 3
        count = f"{done:,}/{total:,}".rjust(self._counts)
        self._bars.update(TaskID(task), completed=done, count=count, facts=_fitting(facts, room))

    def epoch(self, row: dict[str, float]) -> None:
        """Print the figures of an epoch above the bars."""
        if self._console is None:
            return
        outlook = self._outlook
        if not self._columns:
            self._columns = table.columns(row, outlook.monitor, outlook.epochs, self._console.width)
            self._print(table.header(self._columns), "bold")
        best = outlook.standing.best_epoch == row["epoch"]
        self._marked |= best
        self._print(table.line(row, self._columns, outlook.epochs, best=best), "bold" if best else "")
        self._pace.restart()

    def message(self, text: str) -> None:
        """Print a text above the bars."""
        if self._console is None:
            print(text, flush=True)
            return
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def finding(self, found: Finding) -> None:
        """Print a finding above the bars."""
        self.message(told(found))

    def _print(self, text: str, style: str) -> None:
        assert self._console is not None
        self._console.print(text, style=style, no_wrap=True, overflow="crop", markup=False, highlight=False)

    def stop(self) -> None:
        """Take the bars away, and say which of the epochs above is the best."""
        if self._bars is None:
            return
        self._bars.stop()
        self._bars = None
        standing = self._outlook.standing
        if self._marked and standing.best is not None:
            self.message(f"* the best so far; of all: epoch {standing.best_epoch}, by {self._outlook.monitor}")


def _fitting(parts: Sequence[str], room: int) -> str:
    """Return as many of the parts, from the first on, as there is room for."""
    text = ""
    for part in parts:
        longer = f"{text}  {part}" if text else part
        if len(longer) > room:
            break
        text = longer
    return text
