"""Whole runs by several processes, as `torchrun` would start them: forked from one that has everything loaded."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ranks.processes import PRELOADED
from torchwork import rundir

CONFIG: dict[str, Any] = {
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "schedule": {"name": "CosineAnnealingLR", "warmup_steps": 4},
    "train": {"epochs": 4, "threads": 1, "precision": "fp64", "clip_norm": 0.5},
}
PATIENCE = 45


class Launch:
    """So many processes of one run; ``said`` is what each wrote to its standard error."""

    def __init__(
        self,
        world: int,
        out: Path,
        configs: Sequence[dict[str, Any]] = (CONFIG,),
        prepare: Callable[[int], None] | None = None,
        restart: int = 0,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*PRELOADED, "torchwork.inspection.look", "torchwork.metrics.intervals"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._logs = [out.parent / f"{out.name}-{restart}-{rank}.log" for rank in range(world)]
        self.processes = []
        for rank in range(world):
            found = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
            found |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RESTART_COUNT": restart}
            found |= {"TORCHELASTIC_RUN_ID": out.name}
            given = configs[rank % len(configs)]
            arguments = (found if world > 1 else {}, given, out, prepare, self._logs[rank])
            self.processes.append(context.Process(target=_go, args=arguments))
            self.processes[-1].start()

    def join(self) -> list[int]:
        """Return the exit code of each process."""
        for process in self.processes:
            process.join(PATIENCE)
        codes = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
        assert None not in codes, f"a process hangs: {codes}\n" + "\n".join(self.said)
        return codes  # type: ignore[return-value]

    @property
    def said(self) -> list[str]:
        return [log.read_text() for log in self._logs]


def _go(found: dict[str, Any], config: dict[str, Any], out: Path, prepare: Any, log: Path) -> None:
    os.environ.update({name: str(value) for name, value in found.items()})
    os.environ["TORCHWORK_CACHE"] = str(out.parent / "cache")
    stream = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(stream, 2)
    import torchwork
    from torchwork.report import drawings
    from torchwork.training.interrupt import Interrupted
    from torchwork.types import InputError, RunError

    drawings.KINDS = dict.fromkeys(drawings.KINDS, ())  # pictures are no part of what must come out equal
    if prepare is not None:
        prepare(int(found.get("RANK", 0)))
    code = 0
    try:
        if (out / rundir.CONFIG).is_file() and not int(found.get("TORCHELASTIC_RESTART_COUNT", 0)):
            torchwork.resume(out)
        else:
            torchwork.train(config, out=out)
    except Interrupted as error:
        code = 128 + error.signal
    except InputError as error:
        print(error, file=sys.stderr)
        code = 2
    except RunError as error:
        print(error, file=sys.stderr)
        code = 1
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stderr.flush()
    os._exit(code)


def at_step(number: int, rank: int, what: signal.Signals, own: int) -> None:
    """Let a process send itself a signal at an update, the so many-th of its own."""
    from torchwork.training import loop

    real, left = loop.Step, [number]

    def step(*arguments: Any) -> Any:
        left[0] -= 1
        if not left[0] and own == rank:
            os.kill(os.getpid(), what)
        return real(*arguments)

    loop.Step = step  # type: ignore[assignment,misc]
