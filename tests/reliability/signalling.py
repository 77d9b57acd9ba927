"""Ways to make a run ask itself to stop at a moment of the test's choice."""

import functools
import os
import signal
import time

import torch
from torch.utils.data import Dataset

from torchwork import durable, rundir

MOMENTS = ("first batch", "step", "validation", "save", "waiting for data")


def ask(numbers):
    for number in numbers:
        os.kill(os.getpid(), number)


def once(real, numbers, wait, *arguments, **options):
    """Do what was asked for, after asking to stop at the so many-th time only."""
    wait[0] -= 1
    if not wait[0]:
        ask(numbers)
    return real(*arguments, **options)


def stopping(moment, numbers, later=0):
    """Prepare a process of `runs` to be asked to stop once, at a moment of its second epoch or at its first batch.

    ``later`` is how much later: samples, steps, or files of checkpoints.
    """
    from torchwork.training import loop

    if moment in ("first batch", "waiting for data"):
        Slow.numbers, Slow.left = numbers, [1 + later if moment == "first batch" else 130 + later]
    elif moment == "step":
        loop.Step = functools.partial(once, loop.Step, numbers, [10 + later])
    elif moment == "validation":
        from torchwork.training import evaluate

        evaluate.torch = _AskingTorch(numbers)
    else:
        durable.create_file = functools.partial(_while_saving, durable.create_file, numbers, [9 + later])


def _while_saving(real, numbers, wait, path, *rest):
    """Create a file; before the so many-th of all checkpoints, of which each has four, ask to stop."""
    if rundir.CHECKPOINTS in path.parts:
        return once(real, numbers, wait, path, *rest)
    return real(path, *rest)


class _AskingTorch:
    """torch, for an evaluation: the second time that a batch's ids are kept, stopping is asked for."""

    def __init__(self, numbers):
        self._numbers, self._left = numbers, [2]

    def __getattr__(self, name):
        found = getattr(torch, name)
        return functools.partial(once, found, self._numbers, self._left) if name == "from_numpy" else found


class Slow(Dataset):
    """A user's own data set, which asks to stop while the program waits for one of its samples."""

    numbers = ()
    left = (0,)

    def __len__(self):
        return 150

    def __getitem__(self, index):
        if self.numbers and signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL:  # the run has begun
            self.left[0] -= 1
            if not self.left[0]:
                ask(self.numbers)
                time.sleep(0.05)
        generator = torch.Generator().manual_seed(index)
        return torch.rand(4, generator=generator) + index % 3, index % 3
