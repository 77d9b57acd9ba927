"""Where and with what a run was made: the content of environment.json."""

from __future__ import annotations

import datetime
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("torchwork", "torch", "numpy", "pandas", "pillow", "scikit-learn", "safetensors", "pydantic", "matplotlib")


def describe(device: torch.device, threads: int) -> dict[str, Any]:
    """Return versions, machine, device, threads and command."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv[0] else "",
        "python": platform.python_version(),
        "platform": _platform(),
        "processor": _processor(),
        "device": str(device),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": threads,
        "packages": {name: _version(name) for name in _PACKAGES},
    }


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
