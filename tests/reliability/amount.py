"""How much is tried: a little in every test run, all of it by make reliability."""

from __future__ import annotations

import os

FULL = os.environ.get("TORCHWORK_RELIABILITY") == "full"


def parts(full: int) -> range:
    """Return the parts that a long test is cut into: one in every test run.

    So a long run loses little when it is cut off, and two processes share the work.
    """
    return range(full if FULL else 1)
