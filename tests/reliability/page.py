"""docs/reliability.md, from what the tests counted; nothing on it is written by hand."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

# in this order on the page; a row that is not named here stands below them
ROWS = (
    "SIGKILL at random moments",
    "Two processes on one run directory",
    "Crash states of the write protocol",
    "Truncation at every byte",
    "One bit flipped in every byte",
    "Missing, swapped, extra, zero-length, foreign, symlinked files",
    "ENOSPC, EIO, EINTR, EACCES, EDQUOT, EROFS at every operation",
    "Short writes at every operation",
    "System calls that signals interrupt",
    "A full file system",
    "A file-size limit of the system",
    "SIGTERM, SIGINT, SIGUSR1, twice, in step, validation, save, loader wait, first batch",
    "Mid-epoch resume",
    "Malicious files, none executed",
    "Fuzzed files",
    "NaN and out-of-memory at random steps",
    "Two runs of one config",
)

_TOP = """# Reliability, counted

Each row is a kind of fault, how often the tests tried it, and how often what is promised did not hold. After a kill, a
damaged file or a full disk a run has to end as if nothing had happened: with the same weights, optimizer state, history
and metrics, bit for bit; see [how to resume](how-to/resume.md). A hostile file has to end in an error that names it,
and nothing in it may be run; see [security](concepts/security.md).

Without a failure in *n* independent tries, the chance of one is below 3/*n* with 95% certainty. Where all cases there
are were tried, nothing is left to chance, and the last column says so.

"""

_BOTTOM = """
`make test` tries a part of this each time. `make reliability` tries all of it and writes this page from what the tests
counted; where a test fails it writes none.
"""


def written(records: Sequence[Mapping[str, Any]], made: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        records: Of each test its name, outcome, seconds and what it counted.
        made: When, with what and where; see `circumstances`.

    Raises:
        ValueError: a test failed, or nothing was counted.
    """
    failed = [record["test"] for record in records if record["outcome"] == "failed"]
    if failed:
        raise ValueError(f"{len(failed)} failed: {', '.join(failed)}")
    rows: dict[str, tuple[int, bool, set[str], float]] = {}
    for record in records:
        file = record["test"].partition("::")[0].rpartition("/")[2]
        for row, number, every in record["counted"]:
            count, all_every, files, seconds = rows.get(row, (0, True, set(), 0.0))
            share = record["seconds"] / len(record["counted"])
            rows[row] = (count + number, all_every and every, files | {file}, seconds + share)
    if not rows:
        raise ValueError("nothing was counted")
    lines = [
        "| what was tried | times | failures | chance of a failure | minutes | test |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for row in sorted(rows, key=lambda name: (ROWS.index(name) if name in ROWS else len(ROWS), name)):
        count, every, files, seconds = rows[row]
        bound = "every case" if every else f"below {3 / count:.2g}" if count > 3 else "too few to say"
        lines.append(f"| {row} | {count:,} | 0 | {bound} | {seconds / 60:.1f} | {', '.join(sorted(files))} |")
    told = "".join(f"- {name}: {value}\n" for name, value in made.items())
    skipped = [f"- {record['test']}: {record['reason']}\n" for record in records if record["outcome"] == "skipped"]
    left = "\nNot tried there:\n\n" + "".join(skipped) if skipped else ""
    return _TOP + "\n".join(lines) + "\n\n" + told + left + _BOTTOM


def circumstances(commit: str) -> dict[str, str]:
    """Return when, with what and where the tests ran."""
    packages = ("torch", "numpy", "safetensors", "pydantic", "PyYAML")
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "Torchwork": f"{metadata.version('torchwork')}, {commit}",
        "Python": f"{platform.python_version()}, "
        + ", ".join(f"{package} {metadata.version(package)}" for package in packages),
        "machine": f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}, "
        f"{platform.system()} {platform.release()}",
    }


def read(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file of counts; a last line that was cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
