"""Parts of one thing in processes of their own, each with its share of the cores: they end together, and with us.

A process that dies takes nothing with it but its part. Where this process dies, however it dies, the others notice,
stop as on SIGTERM, and save.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any, NoReturn

from torchwork.processes import cores as all_cores
from torchwork.training.interrupt import Interrupted, listening
from torchwork.types import Finding, InputError, RunError

_STARTED = (sys.executable, "-m", "torchwork.jobs")


def cores() -> int:
    """Return how many cores this process may use, or OMP_NUM_THREADS where that says less.

    >>> cores() >= 1
    True
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(all_cores(), int(asked)) if asked.isdecimal() and int(asked) > 0 else all_cores()


@contextmanager
def sharing_cores(jobs: int) -> Iterator[None]:
    """Let what starts in here, by default, compute with its share of the cores: at least one thread."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(max(1, cores() // jobs))
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def together(target: str, arguments: Sequence[Mapping[str, Any]], tell: Callable[[Any], None]) -> None:
    """Call a function once with each of the arguments, each in a process of its own, and wait for all.

    Args:
        target: ``package.module:function``; it gets the arguments by name, and ``tell`` besides, by which what JSON can
            hold reaches ``tell`` here.
        arguments: What JSON can hold.
        tell: Gets what the processes tell, in the order in which it arrives.

    Raises:
        InputError, RunError: the first that one of them ended with; the others went on to their ends.
        Interrupted: asked to stop by a signal, as all were then; or one of them was.
    """
    told: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
    with sharing_cores(len(arguments)):
        processes = [_start(target, own) for own in arguments]
    try:
        for place, process in enumerate(processes):
            threading.Thread(target=_listen, args=(place, process, told), daemon=True).start()
        with listening() as request:
            ends = _wait(processes, told, tell, request)
        if request.signal is not None:
            raise Interrupted("stopped", request.signal)
    finally:
        for process in processes:
            process.kill()  # one that has ended is not there any more
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
    for end in ends:
        _raise(end)


def _start(target: str, arguments: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start a process, in a session of its own: a terminal's Ctrl-C is passed on by this process, once."""
    process = subprocess.Popen(_STARTED, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    task = {"target": target, "arguments": dict(arguments), "path": sys.path}
    process.stdin.write(json.dumps(task).encode() + b"\n")
    process.stdin.flush()
    return process


def _listen(place: int, process: subprocess.Popen[bytes], told: queue.Queue[tuple[int, dict[str, Any] | None]]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        told.put((place, json.loads(line)))
    told.put((place, None))


def _wait(
    processes: list[subprocess.Popen[bytes]],
    told: queue.Queue[tuple[int, dict[str, Any] | None]],
    tell: Callable[[Any], None],
    asked: Callable[[], bool],
) -> list[dict[str, Any]]:
    """Pass on what is told until all have ended; return how each did."""
    ends: dict[int, dict[str, Any]] = {}
    left, stopping = set(range(len(processes))), False
    while left:
        if asked() and not stopping:
            stopping = True
            for process in processes:
                process.terminate()
        try:
            place, message = told.get(timeout=0.1)
        except queue.Empty:
            continue
        if message is None:
            left.discard(place)
            code = processes[place].wait()
            ends.setdefault(place, {"end": "died", "code": code})
        elif "end" in message:
            ends[place] = message
        else:
            tell(message["told"])
    return [ends[place] for place in sorted(ends)]


def _raise(end: Mapping[str, Any]) -> None:
    """Raise what a process ended with, if it was not the end of its work."""
    if end["end"] == "input":
        raise InputError([Finding(**found) for found in end["findings"]])
    if end["end"] == "stopped":
        raise Interrupted(end["message"], end["signal"])
    if end["end"] == "failed":
        raise RunError(end["message"])
    if end["end"] == "died":
        code = end["code"]
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        hint = " (as the system does when memory runs out)" if code == -signal.SIGKILL else ""
        raise RunError(f"a process that was at work {how}{hint}")


def main() -> NoReturn:
    """Do the part that standard input names, in one line of JSON; end when that is closed."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what the code of others prints is no message

    def send(content: Mapping[str, Any]) -> None:
        out.write(json.dumps(content).encode() + b"\n")

    signal.signal(signal.SIGTERM, _end)
    task = json.loads(_line())
    threading.Thread(target=_end_with_whoever_started_this, daemon=True).start()
    sys.path[:] = task["path"]
    module, _, name = task["target"].partition(":")
    code = 0
    try:
        getattr(importlib.import_module(module), name)(**task["arguments"], tell=lambda what: send({"told": what}))
        end: dict[str, Any] = {"end": "done"}
    except InputError as error:
        end = {"end": "input", "findings": [asdict(found) for found in error.findings]}
    except RunError as error:
        end = {"end": "failed", "message": str(error)}
    except (KeyboardInterrupt, SystemExit) as error:
        number = error.signal if isinstance(error, Interrupted) else signal.SIGTERM
        end, code = {"end": "stopped", "message": str(error), "signal": int(number)}, 1
    except Exception as error:
        traceback.print_exc()
        end = {"end": "failed", "message": f"{type(error).__name__}: {error}"}
    try:
        send(end)
    except BrokenPipeError:  # nobody is left to hear it
        code = 1
    raise SystemExit(code)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _line() -> bytes:
    found = bytearray()
    while not found.endswith(b"\n"):  # unbuffered, as a thread will read on
        part = os.read(0, 1 << 16)
        if not part:
            raise SystemExit(1)
        found += part
    return bytes(found)


def _end_with_whoever_started_this() -> None:
    while os.read(0, 1 << 10):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
