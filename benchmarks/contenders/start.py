"""How long things take from a cold process: the processes are started here, one after the other."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FIRST_STEP = """
import sys, time, os, json, torchwork
class Watching:
    def start(self, run_directory, outlook): pass
    def step(self, step, epoch):
        print("first step", time.time(), flush=True)
        os._exit(0)
    def epoch(self, row): pass
    def message(self, text): pass
    def finding(self, found): pass
    def stop(self): pass
from benchmarks.contenders import ours
from benchmarks.contenders.work import Work
from pathlib import Path
torchwork.train(ours.config(Work(Path(sys.argv[1]), 64, 1e-3)), out=sys.argv[2], progress=Watching())
"""
LIGHTNING = """
import sys, time, os
from pathlib import Path
from benchmarks.contenders import lightning_
from benchmarks.contenders.work import Work
lightning_.Watching.on_train_batch_end = lambda *rest: (print("first step", time.time(), flush=True), os._exit(0))
lightning_.documented(Work(Path(sys.argv[1]), 64, 1e-3))
"""
PROCESSES = {
    "python": ["-c", "pass"],
    "help": ["-m", "torchwork", "--help"],
    "import-torchwork": ["-c", "import torchwork"],
    "import-fit": ["-c", "from torchwork import fit"],
    "import-torch": ["-c", "import torch"],
    "first-step": ["-c", FIRST_STEP],
    "lightning-first-step": ["-c", LIGHTNING],
}


def run(name: str, job: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Start a process and time it: up to its end, or to the first step that it makes."""
    times = []
    for _ in range(settings.get("times", 1)):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, *PROCESSES[name]]
            if "first-step" in name:
                command += [settings["folder"], str(Path(folder) / "run")]
            started, clock = time.time(), time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, cwd=Path.cwd())
            seconds = time.perf_counter() - clock
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
            if "first-step" in name:
                seconds = float(done.stdout.rpartition("first step ")[2]) - started
            times.append(seconds)
    return {"seconds": min(times)}
