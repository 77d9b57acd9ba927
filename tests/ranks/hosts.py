"""Hosts of a network: namespaces of this machine, joined by a bridge, each with an address of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NETWORK = "10.77.8."
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET


class Hosts:
    """So many namespaces; those of processes that enter one see its network only."""

    def __init__(self, number: int) -> None:
        self.names = [f"torchwork-{os.getpid()}-{place}" for place in range(1, number + 1)]
        self.addresses = [f"{NETWORK}{place}" for place in range(1, number + 1)]
        self._bridge = f"torchwork-{os.getpid()}-bridge"

    def make(self) -> None:
        _ip(f"netns add {self._bridge}")
        _ip(f"-n {self._bridge} link add bridge type bridge")
        _ip(f"-n {self._bridge} link set bridge up")
        for place, (name, address) in enumerate(zip(self.names, self.addresses, strict=True)):
            _ip(f"netns add {name}")
            _ip(f"link add port{place} netns {self._bridge} type veth peer name eth0 netns {name}")
            _ip(f"-n {self._bridge} link set port{place} master bridge up")
            _ip(f"-n {name} addr add {address}/24 dev eth0")
            _ip(f"-n {name} link set eth0 up")
            _ip(f"-n {name} link set lo up")

    def remove(self) -> None:
        for name in [*self.names, self._bridge]:  # and with them what joins them
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip(f"netns del {name}")

    def slow_down(self, rate: str) -> None:
        """Let each host send no more than so much a second."""
        for name in self.names:
            command = f"ip netns exec {name} tc qdisc add dev eth0 root tbf rate {rate} burst 16kb latency 400ms"
            subprocess.run(command.split(), check=True, capture_output=True)


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


@contextmanager
def hosts(number: int) -> Iterator[Hosts]:
    """Yield so many hosts, gone afterwards; skip the test where this machine does not allow to make them."""
    if shutil.which("ip") is None:
        pytest.skip("needs the command ip (iproute2) to make network namespaces")
    made = Hosts(number)
    try:
        try:
            made.make()
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode().strip()
            pytest.skip(f"may not make network namespaces here: {said}")
        yield made
    finally:
        made.remove()


def enter(name: str) -> None:
    """Put this process into a namespace."""
    with open(f"/var/run/netns/{name}") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns failed")


def on_hosts(names: list[str], first: str, rank: int) -> None:
    """Be the only process of a host: process 0 of the first one, and so on."""
    enter(names[rank])
    os.environ |= {"MASTER_ADDR": first, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}


def lose(names: list[str], first: str, how: Any, at: Path, rank: int) -> None:
    """Be on a host, of which the last is lost at the ninth step: its link goes down, or its process is killed.

    The file ``at`` then says when that was.
    """
    import signal

    from torchwork.training import loop

    on_hosts(names, first, rank)
    real, left = loop.Step, [9]

    def step(*arguments: Any) -> Any:
        left[0] -= 1
        if not left[0] and rank == len(names) - 1:
            at.write_text(str(time.time()))
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            _ip("link set eth0 down")
        return real(*arguments)

    loop.Step = step  # type: ignore[assignment,misc]
