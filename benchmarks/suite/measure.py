"""Blocks of measurements: every contender in a fresh process, in random order; each block is kept when it is done."""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.suite.jobs import JOBS, Job

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("torch", "numpy", "torchwork", "lightning", "pytorch-ignite", "skorch", "accelerate", "keras", "jax"),
    *("pillow", "simplejpeg"),
)
GIVEN_UP = 2  # failures of a contender in a job, after which it is not tried again


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, versions."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system(), "versions": versions}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


class Results:
    """The results of one job in a file: what was measured of the same code, settings and machine is gone on with."""

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        self.path, self.key = path, json.loads(json.dumps(key))
        self.blocks: list[dict[str, Any]] = []
        self.proof: dict[str, Any] = {}
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            if before.get("key") == self.key:
                self.blocks, self.proof = before["blocks"], before["proof"]

    def add(self, block: dict[str, Any]) -> None:
        """Keep a block."""
        self.blocks.append(block)
        self.write()

    def write(self) -> None:
        """Write the file whole, so that one that is cut short costs one block."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {"key": self.key, "proof": self.proof, "blocks": self.blocks}
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.path)

    def failures(self, contender: str) -> int:
        """Return how often a contender has failed."""
        return sum("failed" in block.get(contender, {}) for block in self.blocks)


def contend(job: Job, contender: str, settings: Mapping[str, Any], folder: Path | None, seed: int) -> dict[str, Any]:
    """Run one contender in a process of its own; a failure is told, not raised."""
    given = {name: value for name, value in settings.items() if name not in ("samples", "judged", "a_class")}
    given["folder"] = str(folder)
    if job.name in ("resnet", "cold"):
        given["seed"] = seed
    command = [sys.executable, "-m", "benchmarks.contenders", contender, job.name.partition("-")[0], json.dumps(given)]
    environment = {**os.environ, **job.environment, "BENCH_STARTED": repr(time.time())}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT, timeout=5 * job.seconds
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"took over {5 * job.seconds:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"failed": done.stderr.strip()[-1500:] or f"exit code {done.returncode}"}
    return json.loads(lines[-1])


def block(
    job: Job,
    contenders: tuple[str, ...],
    settings: Mapping[str, Any],
    seed: int,
    data: Path,
    scratch: Path,
    results: Results,
) -> dict[str, Any]:
    """Measure every contender once, in an order of the seed."""
    folder = job.folder(data, scratch, seed, settings)
    found = {}
    for contender in random.Random(f"{job.name} {seed}").sample(contenders, len(contenders)):
        if results.failures(contender) < GIVEN_UP:
            found[contender] = contend(job, contender, settings, folder, seed)
    return found


def prove(
    job: Job, contenders: tuple[str, ...], settings: Mapping[str, Any], data: Path, scratch: Path
) -> dict[str, Any]:
    """Let each contender tell the losses of its first updates, untimed, on the same samples."""
    small = {**settings, "samples": min(settings["samples"], 1_280), "epochs": 2}
    if "judged" in small:
        small["judged"] = min(small["judged"], 256)
    folder = job.folder(data, scratch, 0, small)
    chosen = [contender for contender in job.proved if contender == "bare" or contender in contenders]
    return {name: contend(job, name, {**small, "prove": True}, folder, 0) for name in chosen}


def suite(
    names: list[str],
    *,
    quick: bool,
    blocks: int | None,
    minutes: float,
    data: Path,
    scratch: Path,
    to: Path,
    say: Callable[[str], None],
) -> dict[str, Results]:
    """Measure jobs, a block of each in turn, until all have their blocks or the time is over."""
    until = time.monotonic() + 60 * minutes
    kept, wanted = {}, {}
    told = {**machine(), "code": _code()}
    for name in names:
        job = JOBS[name]
        settings = job.quick if quick else job.settings
        kept[name] = Results(to / f"{name}.json", {"settings": dict(settings), "machine": told})
        wanted[name] = blocks or (min(job.blocks, 3) if quick else job.blocks)
    for turn in range(max(wanted.values(), default=0)):
        for name in names:
            job, results = JOBS[name], kept[name]
            if turn >= wanted[name] or turn < len(results.blocks):
                continue
            if time.monotonic() > until:
                say(f"the time is over: {name} has {len(results.blocks)} of {wanted[name]} blocks; run again to go on")
                continue
            settings, contenders = results.key["settings"], (quick and job.quick_contenders) or job.contenders
            if job.proved and not results.proof:
                results.proof = prove(job, contenders, settings, data, scratch)
                results.write()
            started = time.monotonic()
            results.add(block(job, contenders, settings, turn, data, scratch, results))
            failed = [contender for contender, found in results.blocks[-1].items() if "failed" in found]
            say(
                f"{name}: block {turn + 1} of {wanted[name]} in {time.monotonic() - started:.0f} s"
                + (f"; failed: {', '.join(failed)}" if failed else "")
            )
    return kept


def _code() -> str:
    """Return what names the code that is measured: the tree of src in git, and whether files were changed since."""
    told = []
    for words in (["rev-parse", "--short=12", "HEAD:src"], ["status", "--porcelain", "src", "benchmarks/contenders"]):
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=ROOT)
        told.append(done.stdout.strip() if done.returncode == 0 else "unknown")
    return told[0] + ("-changed" if told[1] else "")
