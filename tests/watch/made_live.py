"""Runs that go on, or seem to, written by hand."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from report import made_run
from torchwork import processes, rundir

LIVE = {
    "stops": True,
    "phase": "training",
    "message": "",
    "epoch": 4,
    "epochs": 10,
    "step": 5,
    "steps": 10,
    "train_loss": 0.25,
    "lr": 0.1,
    "seconds": 0.25,
    "waited": 0.05,
    "samples_per_second": 1280.5,
}


def going_on(directory: Path, process: processes.Process | None = None, **changes: Any) -> Path:
    """Write a run of which three of ten epochs are done, by this very process where no other is given."""
    made_run.classification(directory, ["cat", "dog"])
    for name in (rundir.METRICS, rundir.REPORT):
        (directory / name).unlink(missing_ok=True)
    (directory / rundir.SAMPLES).mkdir()
    content = {"at": time.time(), **(process or processes.current())._asdict(), **LIVE, **changes}
    (directory / rundir.LIVE).write_text(json.dumps(content), encoding="utf-8")
    (directory / rundir.LOG).write_text("2026-01-02 03:04:05  epoch 3\n", encoding="utf-8")
    return directory


def finished(directory: Path) -> Path:
    """Write a run that came to its end, with a report."""
    made_run.classification(directory, ["cat", "dog"])
    (directory / rundir.REPORT).write_text("<!DOCTYPE html><title>report</title><h1>The report</h1>", encoding="utf-8")
    return directory
