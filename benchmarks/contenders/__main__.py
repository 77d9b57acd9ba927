"""One contender in one process: ``python -m benchmarks.contenders NAME JOB SETTINGS`` prints a line of JSON."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = {
    "bare": "bare",
    "lecture": "bare",
    "ours": "ours",
    "lightning": "lightning_",
    "ignite": "ignite_",
    "accelerate": "accelerate_",
    "skorch": "skorch_",
    "keras": "keras_",
}
OF_A_JOB = {
    "resnet": "photos",
    "cold": "cold",
    "start": "start",
    "gather": "parts",
    "evaluation": "parts",
    "many": "many",
}


def run(name: str, job: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Do a job as this contender does it, and return what is told of it."""
    if job in OF_A_JOB:
        found = import_module(f"benchmarks.contenders.{OF_A_JOB[job]}").run(name, job, settings)
    elif job == "limits":
        found = import_module("benchmarks.contenders.limits").run(name, settings)
    else:
        found = _epochs(name, job, settings)
    return found | {"memory": _peak()}


def _peak() -> int:
    """Return the most memory that this program has held, in bytes; getrusage tells of what started it as well."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _epochs(name: str, job: str, settings: dict[str, Any]) -> dict[str, Any]:
    import torch
    from benchmarks.contenders.work import Work

    work = Work(**{**settings, "folder": Path(settings["folder"])})
    if job == "mlp":
        torch.set_num_threads(1)
    contender = import_module(f"benchmarks.contenders.{MODULES[name.partition('-')[0]]}").CONTENDERS[name]
    if job != "mlp" or work.prove:
        return contender(work)
    # so short a step differs from process to process by more than what is looked for: the bare loop is timed beside it
    bare = import_module("benchmarks.contenders.bare").bare
    before, found, after = bare(work), contender(work), bare(work)
    steps = -(-before["samples"] // work.epochs // work.batch)
    over = {}
    for clock, suffix in (("seconds", ""), ("cpu", "_cpu")):
        limit = (before[clock] + after[clock]) / 2  # the faster of two would be faster than a bare loop is
        over |= {f"bare{suffix}": limit / steps, f"over{suffix}": (found[clock] - limit) / steps}
    return found | over


if __name__ == "__main__":
    told = run(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    print("\n" + json.dumps(told), flush=True)  # the last line: what others print stands before it
