"""A run in the browser: served until Ctrl-C, or beside the training by a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from torchwork import rundir
from torchwork.watch import seen
from torchwork.watch.server import Server

# -P: a file of the user's that lies in the working directory never stands for a module of the standard library
_CHILD = [sys.executable, "-P", "-c", "from torchwork.watch.serving import follow; follow()"]
_LAST_WORD = 10.0  # seconds that the page's process may take to end


def serve(run: Path, port: int = 0, *, open_page: bool = False) -> NoReturn:
    """Serve the page of a run, or the report of one that is finished, until this process is interrupted; print where.

    Args:
        run: The run directory.
        port: Where to listen; 0 takes a free one.
        open_page: Open it in the browser.

    Raises:
        InputError: there is no run, or the port cannot be used.
        KeyboardInterrupt: Ctrl-C. The run goes on.
    """
    directory = rundir.existing(run)
    phase = seen.state(directory)["phase"]
    if phase == "finished" and not (directory / rundir.REPORT).is_file():
        from torchwork.report import html

        html.write(directory)
    with Server(directory, port) as server:
        address = server.address + ("report" if phase == "finished" else "")
        title = f"{directory} is finished; its report" if phase == "finished" else f"{directory}: {seen.SAID[phase]}"
        end = "Ctrl-C ends the watching, not the run" if phase in seen.GOING_ON else "Ctrl-C ends the serving"
        print(title, address, end, sep="\n", flush=True)
        if open_page:
            webbrowser.open(address)
        server.serve_forever()
    raise AssertionError("it serves until it is interrupted")


class Page:
    """The page of a run that this process trains, served by a process of its own: the training is not touched.

    The serving process has no part in Ctrl-C on the terminal, and ends when this one does, however it ends.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def show(self, directory: Path) -> str | None:
        """Show a run from now on; return the first time what there is to say: the address, or that there is none."""
        if self._child is not None:
            self._tell(directory)
            return None
        self._child = subprocess.Popen(
            _CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._tell(directory)
        assert self._child.stdout is not None
        address = self._child.stdout.readline().strip()
        return f"watch {address}" if address else "the page cannot be served; training goes on without it"

    def _tell(self, directory: Path) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(str(directory.resolve())) + "\n")
            self._child.stdin.flush()
        except OSError:  # it has ended; the training goes on
            return

    def close(self) -> None:
        """Give a page that is open the last word, and end the serving process."""
        if self._child is None:
            return
        with self._child as child:
            try:
                child.communicate(timeout=_LAST_WORD)
            except subprocess.TimeoutExpired:
                child.kill()


@contextmanager
def page() -> Iterator[Page]:
    """Give a page that is closed at the end."""
    shown = Page()
    try:
        yield shown
    finally:
        shown.close()


def follow() -> None:
    """Serve the runs that standard input names, a line each, the last one at a time, until it ends."""
    with Server(Path(json.loads(sys.stdin.readline()))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.address, flush=True)
        for line in sys.stdin:
            server.turn_to(Path(json.loads(line)))
        server.end()
