"""Where and with what a run was made: the content of environment.json."""

from __future__ import annotations

import datetime
import platform
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from torchwork import dist, revision, rundir

_OF_THE_MOMENT = ("started", "command", "resumed", "launch.id", "launch.agent")
_PACKAGES = ("torchwork", "torch", "numpy", "pandas", "pillow", "scikit-learn", "safetensors", "pydantic", "matplotlib")


def describe(device: torch.device, threads: int) -> dict[str, Any]:
    """Return versions, machine, device, threads, the commit of the working directory, and the command."""
    return {
        **moment(),
        "python": platform.python_version(),
        "platform": _platform(),
        "processor": _processor(),
        "device": str(device),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": threads,
        "processes": dist.world(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "git": revision.of(Path.cwd()),
    }


def moment() -> dict[str, str]:
    """Return when it is, and the command that is at work."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join([_program(Path(sys.argv[0])), *sys.argv[1:]]) if sys.argv[0] else "",
    }


def _program(path: Path) -> str:
    return path.parent.name if path.name == "__main__.py" else path.name  # python -m torchwork


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what differs between two descriptions, time and command aside: the key, and both values.

    >>> differences({"started": "9:00", "packages": {"torch": "2.13.0"}}, {"packages": {"torch": "2.14.0"}})
    [('packages.torch', '2.13.0', '2.14.0')]
    """
    one, other = dict(rundir.flat(then)), dict(rundir.flat(now))
    return [
        (key, one.get(key, "nothing"), other.get(key, "nothing"))
        for key in dict.fromkeys((*one, *other))
        if key not in _OF_THE_MOMENT and one.get(key, "nothing") != other.get(key, "nothing")
    ]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _platform() -> str:
    """Return what ``platform.platform`` does, which would start a program to ask for the processor."""
    libc = "-with-" + "".join(platform.libc_ver()) if any(platform.libc_ver()) else ""
    return f"{platform.system()}-{platform.release()}-{platform.machine()}{libc}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
