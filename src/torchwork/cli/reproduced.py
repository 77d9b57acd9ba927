"""Training a run again: what is told of it."""

from __future__ import annotations

from pathlib import Path

from torchwork import rundir
from torchwork.progress.choice import chosen
from torchwork.progress.events import Events
from torchwork.progress.outlook import Progress
from torchwork.reproducing import reproduce


def train_again(run: Path, out: Path | None, shown: Progress | bool) -> bool:
    """Train a run again, tell what came of it, and return whether it is bit-equal."""
    progress = chosen(shown)
    found = reproduce(run, out=out, progress=progress or False)
    if isinstance(progress, Events):
        keys = ("key", "then", "now")
        differing = [dict(zip(keys, each, strict=True)) for each in found.environment]
        content = {"difference": found.difference, "compared": found.compared, "environment": differing}
        progress.write("reproduced", {"run": str(run), "equal": found.equal, **content})
        progress.end(found.path, rundir.read_metrics(found.path), found.path / rundir.REPORT)
        return found.equal
    if progress is not None:
        print()
        for number, what in enumerate(found.compared):
            print(f"{'equal   ' if not number else '        '} {what}")
    verdict = f"differs from {run} first at {found.difference}" if found.difference else f"is bit-equal to {run}"
    print(f"{found.path} {verdict}")
    return found.equal
