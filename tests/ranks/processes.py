"""Real gloo processes, forked from one that has everything loaded and kept for many cases; the last result counts."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PRELOADED = [
    *("torch", "torch._dynamo", "torch.distributed", "torchwork.run", "torchwork.training.parallel"),
    *("torchwork.data.builtin", "torchwork.models.mlp", "numpy.testing"),
]
PATIENCE = 60


class Processes:
    """So many processes with one group, that call a function together as often as they are asked."""

    def __init__(self, world: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._folder = tempfile.TemporaryDirectory()
        store = str(Path(self._folder.name) / "store")
        self._pipes: list[Any] = []
        self._processes: list[Any] = []
        self.broken = False
        for rank in range(world):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, rank, world, store), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Return what each process returned, by rank; raise what the first of them raised."""
        for pipe in self._pipes:
            pipe.send((function, arguments))
        failed, end = False, time.monotonic() + PATIENCE
        waiting = dict(enumerate(self._pipes))
        found: dict[int, Any] = {}
        while waiting and time.monotonic() < end:
            for rank, pipe in list(waiting.items()):
                if pipe.poll(0.02):
                    found[rank] = pipe.recv()
                    del waiting[rank]
                    if found[rank][0] and not failed:  # the others may wait for it for ever
                        failed, end = True, time.monotonic() + 3
        found |= {rank: (True, f"rank {rank} hangs") for rank in waiting}
        answers = [found[rank] for rank in sorted(found)]
        errors = [answer for raised, answer in answers if raised]
        if errors:
            self.broken = True
            raise AssertionError("\n".join(errors))
        return [answer for _, answer in answers]

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(1)
            if process.is_alive():
                process.kill()
        self._folder.cleanup()


def _serve(pipe: Any, rank: int, world: int, store: str) -> None:
    import torch

    from torchwork import dist

    torch.set_num_threads(1)
    c10d = torch.distributed
    c10d.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    own = dist.Group(rank, world, rank, world, c10d.distributed_c10d._get_default_store())
    own.connect(datetime.timedelta(minutes=1))
    with dist.joining(own):
        while True:
            try:
                function, arguments = pipe.recv()
            except EOFError:
                os._exit(0)
            try:
                answer = (False, function(*arguments))
            except BaseException:
                answer = (True, f"rank {rank}:\n{traceback.format_exc()}")
            pipe.send(answer)


@pytest.fixture(scope="session")
def together():
    """Return a function that gives the processes of a world, made once and kept."""
    made: dict[int, Processes] = {}

    def get(world: int) -> Processes:
        if world in made and made[world].broken:  # one of them may still wait for another
            made.pop(world).close()
        if world not in made:
            made[world] = Processes(world)
        return made[world]

    yield get
    for processes in made.values():
        processes.close()
