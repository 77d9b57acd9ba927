"""``--nproc``: the same command in several processes, started and watched by `torch.distributed.run`."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from torchwork import processes
from torchwork.cli.reporting import COME_BACK, FAILED

SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"


def launch(arguments: Sequence[str], count: int, max_restarts: int = 0) -> None:
    """Run ``torchwork`` with these arguments in so many processes of this machine, and exit as the first that failed.

    Args:
        arguments: Those of the command; ``--nproc`` among them says nothing to the processes.
        count: How many processes.
        max_restarts: How often all are started again where one fails; they go on from the last checkpoint.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, processes.cores() // count)))
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # what it tells is told below
    options = ["--standalone", f"--nproc-per-node={count}", f"--max-restarts={max_restarts}"]
    options += [f"--signals-to-handle={SIGNALS}", "-m", "torchwork"]
    try:
        parsed = run.parse_args(options)
        parsed.training_script_args = list(arguments)  # not parsed: they are no options of torchrun
        run.run(parsed)
    except ChildFailedError as error:
        raise typer.Exit(_told(error.failures)) from None
    except SignalException as error:
        raise typer.Exit(COME_BACK if error.sigval == signal.SIGUSR1 else 128 + error.sigval) from None


def _told(failures: Mapping[int, Any]) -> int:
    """Say which processes a signal ended, which cannot say so themselves; return the exit code of the first failure."""
    first = min(failures.values(), key=lambda failure: failure.timestamp)
    for rank, failure in failures.items():
        code = failure.exitcode
        if code < 0 and -code not in (signal.SIGTERM, signal.SIGINT):
            name = signal.Signals(-code).name
            print(f"error: rank {rank} was ended by {name}", file=sys.stderr, flush=True)
    code = int(first.exitcode)
    return code if code > 0 else FAILED
