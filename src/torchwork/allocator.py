"""Memory that was freed and is soon wanted again: kept by the process rather than handed back to the system."""

from __future__ import annotations

import ctypes
import sys

# What ``mallopt`` of the GNU C library calls its parameters (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# The largest that it takes for both: blocks below this come from the heap, which is not made shorter.
_LARGEST = 2**30


def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks of any size up to 1 GiB for the next batch; tell whether it does.

    Left alone, it returns every block over 32 MiB to the system at once, and a batch of photographs as floats (38 MB)
    then costs 9,400 page faults, four times as long as to fill it. All threads share one heap, so that what one of them
    freed serves the others. It is a setting of the whole process. Only the GNU C library knows it; elsewhere nothing is
    changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_ARENA_MAX, 1) and mallopt(_MMAP_THRESHOLD, _LARGEST) and mallopt(_TRIM_THRESHOLD, _LARGEST))
