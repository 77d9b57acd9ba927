"""Real runs in processes of their own, which can be killed: forked from one that has everything loaded."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchwork import rundir

PRELOADED = [
    *("torch", "torch._dynamo", "torchwork.run", "torchwork.report.drawings", "torchwork.inspection.look"),
    *("torchwork.data.builtin", "torchwork.metrics.intervals", "torchwork.models.mlp"),
    *("jinja2", "sklearn.datasets", "sklearn.decomposition", "sklearn.metrics"),
]

CONFIG: dict[str, Any] = {
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16},
    "model": {"name": "MLP", "hidden": [8], "dropout": 0.3},
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "schedule": {"name": "CosineAnnealingLR", "warmup_steps": 4},
    "train": {"epochs": 4, "threads": 1, "checkpoint_every_steps": 3},
}

# how a command ends, as the command line does
FAILED, WRONG_INPUT = 1, 2


def context() -> Any:
    """Return the way to start processes: a fork of one that has imported everything and run nothing."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found


def start(config: dict[str, Any], out: Path, prepare: Callable[[], None] | None = None) -> Any:
    """Start training into a directory, or go on where there is a run already; return the process."""
    process = context().Process(target=_go, args=(config, out, prepare))
    process.start()
    return process


def finish(config: dict[str, Any], out: Path, prepare: Callable[[], None] | None = None) -> int:
    """Train or go on to the end; return the exit code."""
    process = start(config, out, prepare)
    process.join(240)
    assert process.exitcode is not None, "the run hangs"
    return process.exitcode


def _go(config: dict[str, Any], out: Path, prepare: Callable[[], None] | None) -> None:
    import torchwork
    from torchwork.report import drawings
    from torchwork.training.interrupt import Interrupted
    from torchwork.types import InputError, RunError

    drawings.KINDS = dict.fromkeys(drawings.KINDS, ())  # pictures are no part of what must come out equal
    os.environ["TORCHWORK_CACHE"] = str(out.parent / "cache")
    if prepare is not None:
        prepare()
    code = 0
    try:
        if (out / rundir.CONFIG).is_file():
            torchwork.resume(out)
        else:  # it was killed before it was a run
            _empty(out)
            torchwork.train(config, out=out)
    except Interrupted as error:
        code = 75 if error.signal == signal.SIGUSR1 else 128 + error.signal
    except KeyboardInterrupt:
        code = 130
    except (InputError, RunError):
        traceback.print_exc()
        code = FAILED
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _empty(out: Path) -> None:
    import shutil

    shutil.rmtree(out, ignore_errors=True)


def result(out: Path) -> dict[str, Any]:
    """Return everything of a finished run that must be equal, bit for bit, however it came to its end."""
    from torchwork.training import checkpoint

    last = checkpoint.latest(out / rundir.CHECKPOINTS)
    assert last is not None
    found: dict[str, Any] = {"last": last.name, "history": _history(out)}
    found |= {f"last/{name}": (last / name).read_bytes() for name in (checkpoint.MODEL, checkpoint.OPTIMIZER)}
    names = [rundir.MODEL, rundir.METRICS, rundir.SPLIT, rundir.INTERVALS, rundir.LAYERS]
    names += [rundir.predictions(split) for split in ("val", "test")]
    found |= {name: (out / name).read_bytes() for name in names}
    return found


def _history(out: Path) -> list[dict[str, str]]:
    with open(out / rundir.HISTORY, newline="", encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in csv.DictReader(file)]
