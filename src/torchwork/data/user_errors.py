"""Errors of a user's own code, told by the last line of theirs that was running."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from torchwork.types import RunError

_OURS = str(Path(__file__).parents[1])
_OTHERS = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))


def told(what: str, error: Exception) -> RunError:
    """Return an error that says what could not be done, why, and at which line of the user's; with its traceback noted.

    >>> try:
    ...     {}["lost"]
    ... except KeyError as error:
    ...     str(told("sample 3 cannot be read", error)).partition(" (")[0]
    "sample 3 cannot be read: KeyError: 'lost'"
    """
    found = RunError(f"{what}: {'; '.join(_lines(error))}{_place(error)}")
    found.add_note("".join(traceback.format_exception(error)))
    return found


def _lines(error: Exception) -> list[str]:
    return [line.strip() for line in "".join(traceback.format_exception_only(error)).strip().splitlines()[:3]]


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith((_OURS, *_OTHERS, "<frozen"))]
    if not frames:
        return ""
    last = (theirs or frames)[-1]
    return f" ({last.filename}, line {last.lineno}, in {last.name}{f': {last.line}' if last.line else ''})"
