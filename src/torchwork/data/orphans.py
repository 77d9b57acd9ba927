"""Processes that end with the one that started them, however that ended, and leave no shared memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)
_EVERY = 1.0  # seconds between two looks where the system does not tell


def end_with(parent: int, *, its_main_thread: bool) -> None:
    """Let this process be killed when its parent has ended: by Linux at once, elsewhere within a second.

    Linux means the thread that started this process, so that it is asked only if that was the main one.
    """
    if its_main_thread and sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
                if os.getppid() != parent:  # it ended before
                    os._exit(1)
                return
    threading.Thread(target=_look, args=(parent,), name="torchwork-parent", daemon=True).start()


def _look(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY)
    os._exit(1)


def remove_shared_memory(processes: list[int]) -> None:
    """Remove what killed processes were about to hand over: torch names its blocks after the process."""
    for process in processes:
        for path in Path("/dev/shm").glob(f"torch_{process}_*"):
            with contextlib.suppress(OSError):
                path.unlink()
