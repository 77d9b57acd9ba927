"""How much of each test is done, and what was counted: a little in every test run, all of it by make reliability."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

FULL = os.environ.get("TORCHWORK_RELIABILITY") == "full"
COUNTS = os.environ.get("TORCHWORK_RELIABILITY_COUNTS")


@pytest.fixture
def scale() -> Callable[[int, int], int]:
    """Return how often to try: the first number in every test run, the second in the long one."""
    return lambda short, full: full if FULL else short


@pytest.fixture
def counted(request) -> Callable[..., None]:
    """Write down what was tried; only a test that holds comes here, as its last act."""

    def note(row: str, number: int, **more: int) -> None:
        print(f"{row}: {number:,} tried, none failed")
        if COUNTS:
            with Path(COUNTS).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"row": row, "test": request.node.name, "tried": number, **more}) + "\n")

    return note
