"""Writing a run's report and showing it in a browser."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path


def write_report(run: Path, out: Path | None, show: bool) -> None:
    """Write a run's report, print its path, and open it where that is wanted.

    Raises:
        InputError: there is no run, or the page cannot be written where it should be.
    """
    from torchwork.report import html

    path = html.write(run, out)
    print(path)
    if show and not opened(path):
        print("no browser could be started here: open the file yourself", file=sys.stderr)


def opened(path: Path) -> bool:
    """Open a file in the user's browser; tell whether one could be started."""
    try:
        return webbrowser.open(path.resolve().as_uri())
    except (webbrowser.Error, OSError):
        return False
