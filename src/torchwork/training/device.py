"""Which device to train on, and how many threads to use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from torchwork import dist, processes
from torchwork.types import Finding, InputError


def present() -> list[str]:
    """Return the devices that this machine has, as torch counts them (after ``CUDA_VISIBLE_DEVICES``)."""
    found = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def choose(name: str) -> torch.device:
    """Return the device of a name: ``auto`` (the first of CUDA, MPS, CPU that is there), or a device that must exist.

    Of several processes on a host each has the CUDA device of its own number.

    Raises:
        InputError: there is no such device; the message names those present.

    >>> choose("cpu")
    device(type='cpu')
    """
    devices = present()
    if dist.world() > 1 and (name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())):
        name = f"cuda:{dist.local_rank()}"  # one device a process, whichever the first one was told
    if name == "auto":
        return torch.device(devices[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in devices:
        message = f"there is no {name!r} on this machine"
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is not None:
            message += f" (CUDA_VISIBLE_DEVICES={visible})"
        fix = f"present: {', '.join(devices)}; or take auto"
        raise InputError(Finding("no-device", "error", "device", message, fix))
    return torch.device(wanted)


def default_threads(*, beside_readers: bool = False) -> int:
    """Return the number of cores that this process may use, or OMP_NUM_THREADS where that says less.

    Processes on one host share its cores out; torchrun's own OMP_NUM_THREADS=1 is no wish of the user's.
    Beside threads that decode while the model computes it is half of the cores: two that compute and one that decodes
    were slower on two cores than one and one. A fixed rule, as another count gives other bits.
    """
    cores = max(1, processes.cores() // dist.local_world())
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if dist.local_world() > 1 and asked == "1":
        asked = ""
    found = min(cores, int(asked)) if asked.isdecimal() and int(asked) > 0 else cores
    return max(1, min(found, cores // 2)) if beside_readers else found


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Compute with ``count`` threads while inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def keeping_generators(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators as they were found."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else [], device_type="cuda"):
        yield
