"""Commands in processes of their own that are watched and bounded, forked from one that has everything loaded."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple

from reliability import runs
from reliability.audited import NETWORK, PICKLE, PROGRAMS

SECONDS = 100
MEMORY = 3 << 30  # bytes more than the process has when the command begins; threads' stacks count, too
LARGEST_FILE = 64 << 20


class Ended(NamedTuple):
    """How a command ended: its exit code, what it printed, and what it did that it should not."""

    code: int
    out: str
    err: str
    misdeeds: list[str]


def run(*arguments: str, folder: Path) -> Ended:
    """Run ``torchwork`` with arguments in a folder, to its end; what is watched stands beside the folder."""
    beside = folder.parent / f"{folder.name}-said"
    beside.mkdir(exist_ok=True)
    process = runs.context().Process(target=_go, args=(list(arguments), folder, beside))
    process.start()
    process.join(240)
    if process.exitcode is None:
        process.kill()
        process.join()
    texts = [(beside / name).read_text(errors="replace") for name in ("out", "err", "misdeeds")]
    return Ended(process.exitcode or 0, texts[0], texts[1], texts[2].splitlines())


def _go(arguments: list[str], folder: Path, beside: Path) -> None:
    from torchwork.cli import main

    os.chdir(folder)
    os.environ |= {"HOME": str(beside), "TORCHWORK_CACHE": str(beside / "cache"), "COLUMNS": "120"}
    for name, descriptor in (("out", 1), ("err", 2)):
        os.dup2(os.open(beside / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))
    misdeeds = os.open(beside / "misdeeds", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    _watch(misdeeds)
    _bound()
    code: Any = 99
    try:
        main(arguments)
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch(misdeeds: int) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith((*NETWORK, *PROGRAMS, *PICKLE)) and event != "socket.gethostname":
            os.write(misdeeds, f"{event} {arguments!r}\n".encode(errors="replace"))

    sys.addaudithook(hook)


def _bound() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    now = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
