"""How a run goes on, for programs: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from torchwork import rundir
from torchwork.progress.outlook import Outlook
from torchwork.types import Finding, Step


class Events:
    """Writes an object a line, each with its kind under ``event``.

    ==========  ====================================================================================================
    start       ``run``, ``epochs``, ``first_epoch``, ``steps_per_epoch``, ``samples_per_epoch``, ``monitor``
    epoch       the row of history.csv, and ``best``: whether it is the best so far
    finding     ``code``, ``severity``, ``where``, ``message``, ``fix``
    message     ``text``
    reproduced  ``run`` (the old one), ``equal``, ``difference``, ``compared``, and ``environment``, what differs in it
    end         ``run``, ``metrics`` (of each split) and ``report``; always the last, where all went well
    ==========  ====================================================================================================

    NaN and infinities are the texts "NaN", "Infinity" and "-Infinity".

    >>> import io
    >>> out = io.BytesIO()
    >>> Events(out).message("hello")
    >>> out.getvalue()
    b'{"event": "message", "text": "hello"}\\n'
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, event: str, content: Mapping[str, Any]) -> None:
        """Write one event."""
        line = json.dumps(rundir.plain({"event": event, **content}), ensure_ascii=False, allow_nan=False)
        self._out.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        self._out.flush()

    def start(self, run_directory: Path, outlook: Outlook) -> None:
        """Tell what lies ahead."""
        content = {
            "run": str(run_directory),
            "epochs": outlook.epochs,
            "first_epoch": outlook.standing.epoch + 1,
            "steps_per_epoch": outlook.steps_per_epoch,
            "samples_per_epoch": outlook.samples_per_epoch,
            "monitor": outlook.monitor,
        }
        self._standing = outlook.standing
        self.write("start", content)

    def step(self, step: Step, epoch: int) -> None:
        """Look at nothing: a step costs nothing."""

    def epoch(self, row: dict[str, float]) -> None:
        """Tell an epoch's figures."""
        self.write("epoch", {**row, "best": self._standing.best_epoch == row["epoch"]})

    def message(self, text: str) -> None:
        """Tell a text."""
        self.write("message", {"text": text})

    def finding(self, found: Finding) -> None:
        """Tell a finding."""
        self.write("finding", vars(found))

    def stop(self) -> None:
        """End; the last event comes when everything is written."""

    def end(self, run: Path, metrics: Mapping[str, Any], report: Path | None) -> None:
        """Tell what came of it."""
        self.write("end", {"run": str(run), "metrics": metrics, "report": None if report is None else str(report)})
