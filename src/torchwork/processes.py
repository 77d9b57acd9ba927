"""Which process is which: a number is used again when its process has ended, its number and start together never."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Literal, NamedTuple

Standing = Literal["alive", "gone", "elsewhere", "unknown"]


class Process(NamedTuple):
    """A process: its number, what tells its start (empty where the system does not say), and where its number counts.

    On Linux ``started`` is the system's boot and the clock tick of the start, and ``space`` the space of numbers, of
    which a container has its own.
    """

    pid: int
    started: str
    host: str
    space: str


def cores() -> int:
    """Return how many cores this process may use.

    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def current() -> Process:
    """Return this process.

    >>> standing(current())
    'alive'
    """
    return Process(os.getpid(), started(os.getpid()), socket.gethostname(), _space())


def standing(process: Process) -> Standing:
    """Tell whether a process is still there.

    ``elsewhere``: it runs on another machine or in another container. ``unknown``: the system does not say.
    """
    if (process.host, process.space) != (socket.gethostname(), _space()):
        return "elsewhere"
    if not process.started:
        return "unknown"
    return "alive" if process.pid > 0 and started(process.pid) == process.started else "gone"


def interrupt(process: Process) -> None:
    """Send a process SIGINT, as Ctrl-C does; never one that only has its number, nor another user's.

    Raises:
        ProcessLookupError: it is gone, or where it cannot be reached.
        PermissionError: it is another user's.
    """
    if standing(process) != "alive":
        raise ProcessLookupError(f"process {process.pid} is not the one that was meant, or not on this machine")
    if sys.platform == "linux" and Path(f"/proc/{process.pid}").stat().st_uid != os.geteuid():
        raise PermissionError(f"process {process.pid} is another user's")  # which the superuser could interrupt
    os.kill(process.pid, signal.SIGINT)


def started(pid: int) -> str:
    """Return what tells the start of a process, empty where there is none or where it has ended."""
    return _start_on_linux(pid) if sys.platform == "linux" else _start_by_ps(pid)


def _start_on_linux(pid: int) -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # the name of the program, in brackets, may hold anything: state and start stand behind it (proc(5): 3 and 22)
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{boot} {fields[19]}"


def _start_by_ps(pid: int) -> str:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except OSError:
        return ""
    state, _, started = said.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else " ".join(started.split())


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        return ""
