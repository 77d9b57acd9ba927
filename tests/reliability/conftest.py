"""How much of each test is done, and what was counted: a little in every test run, all of it by make reliability."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reliability.amount import FULL

COUNTS = os.environ.get("TORCHWORK_RELIABILITY_COUNTS")
HERE = "tests/reliability/"


@pytest.fixture
def scale() -> Callable[[int, int], int]:
    """Return how often to try: the first number in every test run, the second in the long one."""
    return lambda short, full: full if FULL else short


@pytest.fixture
def counted(request) -> Callable[..., None]:
    """Write down what was tried under a row of the page; a test that fails later on counts nothing.

    ``every`` says that there is nothing else to try: all of it was.
    """

    def note(row: str, number: int, *, every: bool = False) -> None:
        print(f"{row}: {number:,} tried, none failed")
        request.node.user_properties.append(("counted", [row, number, every]))

    return note


@pytest.fixture
def folder(tmp_path):
    """The working directory of a command, in a folder with nothing else."""
    made = tmp_path / "all" / "work"
    made.mkdir(parents=True)
    return made


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add a line for each test that ended to the file of counts, so that a run that is cut off loses one test."""
    last = report.when == "call" or report.outcome != "passed"
    if not COUNTS or not last or not report.nodeid.startswith(HERE) or "PYTEST_XDIST_WORKER" in os.environ:
        return
    said = {
        "test": report.nodeid,
        "outcome": report.outcome,
        "seconds": round(report.duration, 1),
        "counted": [value for name, value in report.user_properties if name == "counted"],
        "reason": str(report.longrepr)[-300:] if report.outcome != "passed" else "",
    }
    with Path(COUNTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(said) + "\n")
