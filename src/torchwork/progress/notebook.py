"""Bars and the table of epochs in a notebook: two displays that are drawn anew in their places."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchwork.progress import table
from torchwork.progress.figures import figure
from torchwork.progress.outlook import Outlook, told, waiting
from torchwork.progress.pace import Pace
from torchwork.types import Finding, Step

_REDRAW = 0.3  # seconds: each drawing is a message to the browser
_EPOCHS = 20  # lines of the table; the best epoch is kept among them
_WIDE = 10_000
_CELL = "padding:0 .6em;text-align:right;font-variant-numeric:tabular-nums"
_NAME = "display:inline-block;min-width:5.5em"


class NotebookProgress:
    """Shows bars and the last epochs in a cell's output, in HTML that stays there when the notebook is saved."""

    def start(self, run_directory: Path, outlook: Outlook) -> None:
        """Show where the run is written to, and the bars."""
        self._directory, self._outlook = run_directory, outlook
        self._pace = Pace(_REDRAW)
        self._rows: list[dict[str, float]] = list(outlook.history)
        self._status = _display(self._bars(outlook.standing.index, outlook.standing.epoch + 1, ""))
        self._table = _display(self._epochs())

    def step(self, step: Step, epoch: int) -> None:
        """Count a step's samples; now and then read its loss and draw."""
        speed = self._pace.due(step.samples)
        if speed is None:
            return
        share = f"{waiting(self._outlook.standing):.0%} waiting for data"
        facts = f"loss {figure(step.loss.item())} · {speed:,.0f} samples/s · {share} · {self._left(step, speed)}"
        self._status.update(_html(self._bars(step.index, epoch, facts)))

    def epoch(self, row: dict[str, float]) -> None:
        """Add an epoch to the table."""
        self._rows.append(row)
        self._table.update(_html(self._epochs()))
        self._pace.restart()

    def message(self, text: str) -> None:
        """Print a text."""
        print(text, flush=True)

    def finding(self, found: Finding) -> None:
        """Print a finding."""
        self.message(told(found))

    def stop(self) -> None:
        """Leave the bars where the run stands."""
        standing = self._outlook.standing
        self._status.update(_html(self._bars(standing.index, max(standing.epoch, 1), "done" if standing.done else "")))

    def _left(self, step: Step, speed: float) -> str:
        outlook = self._outlook
        steps = outlook.steps_per_epoch * outlook.epochs - step.index
        seconds = round(steps * outlook.samples_per_epoch / outlook.steps_per_epoch / speed) if speed else 0
        minutes = seconds // 60
        return f"{minutes // 60}:{minutes % 60:02}:{seconds % 60:02} of training left"

    def _bars(self, index: int, epoch: int, facts: str) -> str:
        outlook, steps = self._outlook, self._outlook.steps_per_epoch
        standing = outlook.standing
        judged = [] if standing.monitored is None else [f"{outlook.monitor} {figure(standing.monitored)}"]
        if standing.best is not None:
            judged.append(f"best {figure(standing.best)} of epoch {standing.best_epoch}")
        lines = [
            _bar("run", index, steps * outlook.epochs, " · ".join(judged)),
            _bar(f"epoch {epoch}", index - (epoch - 1) * steps, steps, facts),
        ]
        return f"<div>run {html.escape(str(self._directory))}</div>{''.join(lines)}"

    def _epochs(self) -> str:
        if not self._rows:
            return ""
        outlook, best = self._outlook, self._outlook.standing.best_epoch
        shown = table.columns(self._rows[0], outlook.monitor, outlook.epochs, _WIDE)
        last = self._rows[-_EPOCHS:]
        kept = [row for row in self._rows[:-_EPOCHS] if row["epoch"] == best] + last
        lines = [_row(table.cells(row, shown, outlook.epochs), row["epoch"] == best) for row in kept]
        titles = "".join(f"<th scope='col' style='{_CELL}'>{html.escape(column.title)}</th>" for column in shown)
        return f"<table><thead><tr>{titles}<th></th></tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _row(cells: Sequence[str], is_best: bool) -> str:
    weight = " style='font-weight:bold'" if is_best else ""
    fields = "".join(f"<td style='{_CELL}'>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr{weight}>{fields}<td>{'best' if is_best else ''}</td></tr>"


def _bar(name: str, done: int, total: int, facts: str) -> str:
    bar = f"<progress value='{done}' max='{total}' aria-label='{name}'></progress>"
    return f"<div><span style='{_NAME}'>{name}</span> {bar} {done:,}/{total:,} {html.escape(facts)}</div>"


def _html(text: str) -> Any:
    from IPython.display import HTML

    return HTML(text)


def _display(text: str) -> Any:
    """Show HTML in the running cell and return the handle that draws it anew."""
    from IPython.display import display

    return display(_html(text), display_id=True)
