"""Reading data: Torchwork beside the usual DataLoader and beside the bare decoder, as ratios in one run.

``make bench-data``. Each contender runs in a fresh process, in random order within a block; the median over the blocks
of the ratio within each block is told with its least and greatest. The clock starts before the files are looked for.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "data.json"
Block = dict[str, dict[str, Any]]

# What is told of each job: a name, its ratio within a block, and what it has to be at least.
RATIOS: dict[str, list[tuple[str, Callable[[Block], float], float]]] = {
    "photos": [
        ("first epoch, usual / ours", lambda b: b["usual"]["seconds"][0] / b["torchwork"]["seconds"][0], 2.5),
        ("ours, first / second epoch", lambda b: b["torchwork"]["seconds"][0] / b["torchwork"]["seconds"][1], 5.0),
        ("first epoch, limit / ours", lambda b: b["limit"]["seconds"][0] / b["torchwork"]["seconds"][0], 0.85),
    ],
    "cifar": [
        ("first epoch, usual / ours", lambda b: b["usual"]["seconds"][0] / b["torchwork"]["seconds"][0], 2.0),
        ("second epoch, usual / ours", lambda b: b["usual"]["seconds"][1] / b["torchwork"]["seconds"][1], 15.0),
    ],
    "mnist": [
        ("an epoch in memory, usual / ours", lambda b: b["usual"]["seconds"][1] / b["torchwork"]["seconds"][1], 20.0)
    ],
}
# Copies of the 200 photographs, so that an epoch takes seconds.
REPEATED = 5


def unpack(data: Path, to: Path) -> dict[str, Path]:
    """Return the folder of each job, made from the real data."""
    with tarfile.open(data / "photos-200.tar") as archive:
        archive.extractall(to, filter="data")
    for place, path in enumerate(sorted((to / "photos" / "images").iterdir())):
        folder = to / "repeated" / f"class{place % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(REPEATED):
            (folder / f"{copy}-{path.name}").hardlink_to(path)
    with tarfile.open(data / "cifar10-12k.tar.gz") as archive:
        archive.extractall(to, filter="data")
    return {"photos": to / "repeated", "cifar": to / "cifar10" / "train", "mnist": data / "mnist"}


def measure(job: str, contender: str, folder: Path, cache: Path) -> dict[str, Any]:
    """Run one contender in a process of its own."""
    command = [sys.executable, str(HERE / "contenders.py"), job, contender, str(folder)]
    environment = {**os.environ, "TORCHWORK_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{job} {contender} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def main() -> None:
    """Measure every job and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--jobs", nargs="*", default=list(RATIOS))
    given = parser.parse_args()
    data = os.environ.get("TORCHWORK_TEST_DATA")
    if not data:
        raise SystemExit("TORCHWORK_TEST_DATA names no folder of real data: nothing to measure on")
    results: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "platform": platform.platform()},
        "versions": {name: version(name) for name in ("torch", "pillow", "simplejpeg", "torchwork")},
        "jobs": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        folders = unpack(Path(data), Path(scratch))
        for job in given.jobs:
            contenders = ["usual", "torchwork", *(["limit"] if job == "photos" else [])]
            blocks: list[Block] = []
            for number in range(given.blocks):
                order = random.Random(number).sample(contenders, len(contenders))
                cache = Path(scratch) / f"cache-{job}-{number}"
                blocks.append({name: measure(job, name, folders[job], cache) for name in order})
            results["jobs"][job] = {"blocks": blocks, "ratios": told(job, blocks)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def told(job: str, blocks: list[Block]) -> list[dict[str, Any]]:
    """Print and return the ratios of a job."""
    rows = []
    for name, ratio, least in RATIOS[job]:
        found = sorted(map(ratio, blocks))
        rows.append({"ratio": name, "median": median(found), "least": found[0], "most": found[-1], "wanted": least})
        print(
            f"{job:7} {name:34} {median(found):6.2f}  ({found[0]:.2f} to {found[-1]:.2f}; at least {least:g})",
            flush=True,
        )
    memory = max(block["torchwork"]["memory"] for block in blocks)
    print(f"{job:7} {'peak memory beyond the imports':34} {memory / 1e6:6.0f} MB", flush=True)
    return rows


if __name__ == "__main__":
    main()
