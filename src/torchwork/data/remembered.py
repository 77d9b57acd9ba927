"""What was found out about files, kept from run to run: computed once for each file as it stands."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from torchwork.caches import cache_folder
from torchwork.data import threads

FILE = "files-1.sqlite"  # the number is that of the columns below
# With rowids, as rows of a thousand bytes, which a table without them takes, would fill a page each.
_TABLE = """CREATE TABLE IF NOT EXISTS found (kind TEXT, path BLOB, size INTEGER, time INTEGER, value TEXT,
PRIMARY KEY (kind, path))"""

# How long to wait for another process that is writing, in seconds. It writes for milliseconds.
PATIENCE = 10.0

# A file that was written less than this ago, in nanoseconds, may change again without a later time: the clocks of file
# systems tick up to two seconds apart. What was found out about it is not kept.
SETTLED = 2_000_000_000

# How many files to compute before what was found is written down: an interruption loses no more.
MANY = 1000

Stamp = tuple[int, int]
Found = dict[bytes, Any]


def remembered(
    kind: str,
    paths: Sequence[Path],
    compute: Callable[[Path], Any],
    progress: Callable[[int], None] | None = None,
) -> list[Any]:
    """Return ``compute`` of every file, from memory where the file has not changed since.

    A file is known by its absolute path, its size and the time of its last change. What was found about a file that
    was written within the last two seconds, that changed meanwhile, or that cannot be looked at is not kept. The limit:
    a file replaced by another of the same size whose time was set back to the old one by hand is taken for the old one.

    The memory is one SQLite file in the cache folder. Several processes may use it at once. Where it is damaged, or
    cannot be read or written, everything is computed.

    Args:
        kind: What is computed, with a version that changes when its meaning does: ``content-1``.
        paths: The files; one that is named twice is computed once.
        compute: Called by several threads at once. Gives what JSON can hold; None is returned and not kept.
        progress: Told how many of the paths are done, from whichever thread is computing, one call at a time.

    Returns:
        What ``compute`` gave for each path, as JSON gives it back: tuples are lists.

    >>> remembered("length-1", [Path(os.devnull)], lambda path: path.stat().st_size)
    [0]
    """
    names = [os.fsencode(Path(path).absolute()) for path in paths]
    stamps = {name: _stamp(name) for name in dict.fromkeys(names)}
    found = _look_up(kind, stamps)
    missing = [name for name in stamps if name not in found]
    done = len(names) - len(missing)
    lock = threading.Lock()
    if progress is not None and done:
        progress(done)

    def one(name: bytes) -> Any:
        nonlocal done
        result = compute(Path(os.fsdecode(name)))
        if progress is not None:
            with lock:
                done += 1
                progress(done)
        return result

    for start in range(0, len(missing), MANY):
        part = missing[start : start + MANY]
        before = time.time_ns()
        values = {name: json.dumps(value) for name, value in zip(part, threads.over(one, part), strict=True)}
        _write_down(kind, stamps, values, before)
        found.update((name, json.loads(value)) for name, value in values.items())
    return [found[name] for name in names]


def known(kind: str, paths: Sequence[Path]) -> list[Any]:
    """Return what is remembered of each file as it stands now, None where nothing is; nothing is computed.

    >>> known("length-1", [Path("not", "there")])
    [None]
    """
    names = [os.fsencode(Path(path).absolute()) for path in paths]
    found = _look_up(kind, {name: _stamp(name) for name in dict.fromkeys(names)})
    return [found.get(name) for name in names]


def _stamp(name: bytes) -> Stamp | None:
    try:
        status = os.stat(name)  # noqa: PTH116 - the name as bytes
    except (OSError, ValueError):  # a name may hold what no name can
        return None
    return status.st_size, status.st_mtime_ns


def _look_up(kind: str, stamps: dict[bytes, Stamp | None]) -> Found:
    try:
        with closing(_connect()) as memory:
            return dict(_entries(memory, kind, stamps))
    except (sqlite3.Error, OSError) as error:
        _discard_if_damaged(error)
        return {}


def _entries(memory: sqlite3.Connection, kind: str, stamps: dict[bytes, Stamp | None]) -> Iterator[tuple[bytes, Any]]:
    names = list(stamps)
    for start in range(0, len(names), 500):  # older versions of SQLite take 999 values at most
        part = names[start : start + 500]
        marks = ",".join("?" * len(part))
        query = f"SELECT path, size, time, value FROM found WHERE kind = ? AND path IN ({marks})"
        for name, size, changed, value in memory.execute(query, (kind, *part)):
            if (size, changed) == stamps[name]:
                try:
                    yield name, json.loads(value)
                except (ValueError, TypeError):  # damaged: computed again
                    continue


def _write_down(kind: str, stamps: dict[bytes, Stamp | None], values: dict[bytes, str], before: int) -> None:
    rows = []
    for name, value in values.items():
        stamp = stamps[name]
        if value != "null" and stamp is not None and stamp[1] < before - SETTLED and stamp == _stamp(name):
            rows.append((kind, name, *stamp, value))
    if not rows:
        return
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with closing(_connect()) as memory, memory:
            memory.execute(_TABLE)
            memory.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?)", rows)
    except (sqlite3.Error, OSError) as error:
        _discard_if_damaged(error)


def _connect() -> sqlite3.Connection:
    return sqlite3.connect(cache_folder() / FILE, timeout=PATIENCE)


def _discard_if_damaged(error: Exception) -> None:
    """Remove the file where it is no database or a broken one; not where it is locked, missing or not for us."""
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        for name in (f"{FILE}-journal", FILE):
            try:
                (cache_folder() / name).unlink(missing_ok=True)
            except OSError:
                return
