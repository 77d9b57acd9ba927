"""Several hosts, as network namespaces: they find each other, train as one process does, and notice who is lost."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ranks.hosts import hosts, lose, on_hosts
from ranks.runs import CONFIG, Launch
from ranks.test_runs import assert_alike

SOON = 30  # seconds after which everybody has ended


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "run"
    assert Launch(1, out, [CONFIG]).join() == [0]
    return out


def test_two_hosts_train_what_one_process_does(alone, tmp_path):
    with hosts(2) as two:
        launch = Launch(2, tmp_path / "run", prepare=functools.partial(on_hosts, two.names, two.addresses[0]))
        assert launch.join() == [0, 0], launch.said
    assert_alike(tmp_path / "run", alone)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_three_hosts_on_a_slow_network_train_what_one_process_does(alone, tmp_path, strategy):
    with hosts(3) as three:
        three.slow_down("1mbit")
        config = {**CONFIG, "distributed": {"strategy": strategy}}
        prepare = functools.partial(on_hosts, three.names, three.addresses[0])
        launch = Launch(3, tmp_path / "run", [config], prepare=prepare)
        assert launch.join() == [0, 0, 0], launch.said
    assert_alike(tmp_path / "run", alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "how", "strategy"),
    [(2, "link", "ddp"), (2, "link", "fsdp"), (3, "link", "ddp"), (2, "killed", "ddp"), (3, "killed", "fsdp")],
)
def test_where_a_host_is_lost_the_others_end_soon_and_name_it(tmp_path, number, how, strategy):
    config = {**CONFIG, "distributed": {"strategy": strategy}}
    with hosts(number) as made:
        prepare = functools.partial(lose, made.names, made.addresses[0], how, tmp_path / "at")
        launch = Launch(number, tmp_path / "run", [config], prepare=prepare)
        *others, lost = launch.processes
        for process in others:
            process.join(60)
        assert time.time() - float((tmp_path / "at").read_text()) < SOON
        codes = launch.join()
        assert codes == [*[1] * (number - 1), 1 if how == "link" else -signal.SIGKILL], launch.said
        for said in launch.said[:-1]:
            assert re.search(rf"rank {number - 1} \(process {lost.pid} on \S+\) is gone", said), launch.said
            assert "Traceback" not in said


WORKER = f"""
import sys
import torchwork
from torchwork.report import drawings
from torchwork.types import RunError
drawings.KINDS = dict.fromkeys(drawings.KINDS, ())
try:
    torchwork.train({CONFIG!r}, overrides=sys.argv[2:], out=sys.argv[1])
except RunError as error:
    sys.exit(f"error: {{error}}")
"""


def agents(made, script, out, *overrides):
    """Start a torchrun on each host, as docs/how-to/cluster.md says."""
    started = []
    for name, address in zip(made.names, made.addresses, strict=True):
        options = f"--nnodes {len(made.names)} --nproc-per-node 1 --rdzv-backend c10d --rdzv-id digits"
        options += f" --rdzv-endpoint {made.addresses[0]}:29500 --local-addr {address}"
        options += " --rdzv-conf is_host=true" if address == made.addresses[0] else ""
        command = f"ip netns exec {name} {sys.executable} -m torch.distributed.run {options} {script} {out}"
        with open(out.parent / f"{address}.log", "w") as log:
            started.append(
                subprocess.Popen([*command.split(), *overrides], stderr=log, stdout=log, start_new_session=True)
            )
    return started


def children(pid):
    """Return a process and all below it."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *[below for child in found for below in children(int(child))]]


@pytest.mark.slow
def test_torchrun_on_two_hosts_trains_what_one_process_does(alone, tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    with hosts(2) as two:
        for agent in agents(two, tmp_path / "worker.py", tmp_path / "run"):
            assert agent.wait(90) == 0, [path.read_text() for path in tmp_path.glob("*.log")]
    assert_alike(tmp_path / "run", alone)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_where_a_host_is_killed_with_its_torchrun_the_other_ends_soon(tmp_path, lost):
    (tmp_path / "worker.py").write_text(WORKER)
    with hosts(2) as two:
        started = agents(two, tmp_path / "worker.py", tmp_path / "run", "train.epochs=100000")
        end = time.monotonic() + 60
        while not (tmp_path / "run" / "history.csv").is_file() and time.monotonic() < end:
            time.sleep(0.2)
        for pid in reversed(children(started[lost].pid)):
            os.kill(pid, signal.SIGKILL)
        assert started[1 - lost].wait(SOON) != 0
        started[lost].wait()
    said = (tmp_path / f"{two.addresses[1 - lost]}.log").read_text()
    # without the first host there is none where the torchruns meet, which the other one says by itself
    gone = r"error: .* is gone: killed, or its machine or the network was lost"
    assert re.search(gone if lost else f"{gone}|The connection to the C10d store has failed", said), said
