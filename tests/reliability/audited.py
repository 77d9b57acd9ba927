"""Commands in a process of its own that notes by an audit hook what they do to the rest of the system.

``python audited.py OUT``: reads from standard input the commands as JSON, runs one after the other, and writes
what it saw to OUT. The first of them that writes history.csv is sent SIGUSR1. The hook was there before anything of
Torchwork was imported, and cannot be taken away.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

NETWORK = ("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "imaplib.", "poplib.", "nntplib.", "telnetlib.")
PROGRAMS = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile", "pty.")
PROGRAMS += ("webbrowser.", "os.kill", "signal.pthread_kill")
PICKLE = ("pickle.", "shelve.")
PATHS = {  # where the paths that are written to stand among an event's arguments
    **dict.fromkeys(("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime"), (0,)),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink", "shutil.copyfile", "shutil.move"), (0, 1)),
    **dict.fromkeys(("shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp", "sqlite3.connect"), (0,)),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CANARY = "canary4711"  # stands in names of the data and of the config: no code is made of it

seen: dict[str, set[str]] = {"network": set(), "program": set(), "pickle": set(), "written": set(), "code": set()}
settings = {"on": False, "ask": True}


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Note an event by its kind."""
    if not settings["on"]:
        return
    told = f"{event} {arguments!r}"[:300]
    if event.startswith(NETWORK) and event != "socket.gethostname":
        seen["network"].add(told)
    elif event.startswith(PROGRAMS):
        seen["program"].add(told)
    elif event.startswith(PICKLE):
        seen["pickle"].add(told)
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        _note_path(arguments[0])
    elif event in PATHS:
        for place in PATHS[event]:
            _note_path(arguments[place])
    elif event in ("compile", "exec") and CANARY in _source(arguments[0]):
        seen["code"].add(told)


def _note_path(path: Any) -> None:
    if isinstance(path, int):  # a descriptor, which was opened before
        return
    full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (links are left as they are)
    seen["written"].add(full)
    if settings["ask"] and full.endswith("history.csv"):
        settings["ask"] = False
        settings["on"] = False  # this signal is ours
        os.kill(os.getpid(), signal.SIGUSR1)
        settings["on"] = True


def _source(code: Any) -> str:
    if isinstance(code, bytes | bytearray):
        return code.decode(errors="replace")
    return code if isinstance(code, str) else repr(getattr(code, "co_consts", ""))


def misbehave() -> None:
    """Do one thing of each kind, to see that the hook notices."""
    import pickle
    import socket
    import subprocess

    with contextlib.suppress(OSError):
        socket.getaddrinfo("127.0.0.1", 9)
    subprocess.run(["true"], check=True)
    pickle.loads(b"cos\ngetcwd\n.")
    exec(f"{CANARY} = 1")
    Path("misbehaved").touch()


def main(out: Path) -> None:
    """Run the commands of standard input and write down their exit codes and what was seen."""
    commands = json.load(sys.stdin)
    sys.addaudithook(hook)
    settings["on"] = True
    found = []
    for command in commands:
        code: Any = 0
        try:
            if command == ["misbehave"]:
                misbehave()
            else:
                from torchwork.cli import main as torchwork

                torchwork(command)
        except SystemExit as end:
            code = end.code
        settings["on"] = False
        found.append({"exit": code, **{kind: sorted(events) for kind, events in seen.items()}})
        for events in seen.values():
            events.clear()
        settings["on"] = True
    settings["on"] = False
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
