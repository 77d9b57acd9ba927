"""Workers that die, raise or hang, for real: an error that names the sample, no process and no shared memory left."""

import gc
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from torchwork.cli import main
from torchwork.data.collated import CollatedLoader
from torchwork.data.dataset import DatasetSource
from torchwork.data.orphans import remove_shared_memory
from torchwork.data.workers import Workers, deaths_told
from torchwork.types import RunError

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes and shared memory as Linux has them"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # a socket to the worker stays open
]
BAD = 13


class Faulty(Dataset):
    """A user's data set that does something at one sample, in a worker or wherever it is read."""

    def __init__(self, fault, only_in_workers=True):
        self.fault, self.only_in_workers = fault, only_in_workers

    def __len__(self):
        return 24

    def __getitem__(self, index):
        if index == BAD and (torch.utils.data.get_worker_info() is not None or not self.only_in_workers):
            self.fault()
        return torch.full((1000,), float(index)), index % 2


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def leaves():
    os._exit(3)


def sleeps():
    time.sleep(10_000)


def spins():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def stopped():
    os.kill(os.getpid(), signal.SIGSTOP)


def raises():
    raise OSError("the disk of the user")


def reading(fault, timeout=600.0, num_workers=2):
    source = DatasetSource(Faulty(fault))
    return Workers(lambda key: source.read(key[1], epoch=0), num_workers, torch.device("cpu"), timeout=timeout)


KEYS = [(0, np.arange(start, start + 4)) for start in range(0, 24, 4)]


def children():
    return {process.pid for process in multiprocessing.active_children()}


def blocks():
    return {path.name for path in Path("/dev/shm").glob(f"torch_{os.getpid()}_*")}


def failing(workers):
    """Read until it fails; return the error and the workers' numbers, and check that nothing is left of them."""
    pids, found = [], []

    def reads():
        with deaths_told():  # as a run has it: torch tells of a death at any line
            for batch in workers.read(KEYS):
                pids[:] = pids or [process.pid for process in workers._processes()]
                found.append(batch)

    with pytest.raises(RunError) as caught:
        reads()
    workers.close()
    assert [int(targets[0]) for _, targets in found] == [0] * len(found)
    assert len(found) <= 3
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists(), "ended, and collected"
        assert not list(Path("/dev/shm").glob(f"torch_{pid}_*"))
    found.clear()
    gc.collect()
    return str(caught.value)


@pytest.mark.parametrize(
    ("fault", "said"), [(killed, "killed by SIGKILL); it may have run out of memory"), (leaves, "exit code 3)")]
)
def test_a_worker_that_dies_is_told_with_its_sample_and_nothing_is_left(fault, said):
    before = children(), blocks()
    message = failing(reading(fault))
    assert message.startswith(f"a data worker died while it read sample {BAD} ({said}")
    assert (children(), blocks()) == before


@pytest.mark.parametrize("fault", [sleeps, spins, stopped])
def test_a_worker_that_hangs_is_told_with_its_sample_and_killed(fault):
    before = children(), blocks()
    message = failing(reading(fault, timeout=1.5))
    assert message.startswith(f"a data worker hangs: it has been at sample {BAD} for 1.5 s (data.timeout)")
    assert (children(), blocks()) == before


def test_what_takes_long_and_goes_on_from_sample_to_sample_does_not_hang():
    class Slow(Faulty):
        def __getitem__(self, index):
            time.sleep(0.4)
            return super().__getitem__(index)

    source = DatasetSource(Slow(raises, only_in_workers=False))
    workers = Workers(lambda key: source.read(key[1], epoch=0), 1, torch.device("cpu"), timeout=1.5)
    try:
        (batch,) = workers.read([(0, np.arange(6))])  # 2.4 seconds
        assert len(batch[1]) == 6
    finally:
        workers.close()


def test_a_reader_without_samples_is_told_by_its_batch():
    workers = Workers(lambda key: sleeps() if BAD in key[1] else key[1], 2, torch.device("cpu"), timeout=1.2)
    with pytest.raises(RunError, match=r"at sample 12, sample 13, sample 14, sample 15 for 1\.2 s"):
        list(workers.read(KEYS))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_error_of_the_users_is_told_with_their_last_line_wherever_it_was_raised(num_workers):
    loader = CollatedLoader(Faulty(raises, only_in_workers=False), batch_size=4, num_workers=num_workers)
    with pytest.raises(RunError) as caught:
        list(loader.batches(0))
    line = 'in raises: raise OSError("the disk of the user"))'
    start = f"sample {BAD} of Faulty cannot be read: OSError: the disk of the user ({__file__}"
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(line)
    assert "Traceback" in caught.value.__notes__[0]  # for who wants to see it all


def test_on_the_command_line_it_is_one_line(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(
        "data: {source: 'data.test_worker_faults:Late', batch_size: 4, num_workers: 1}\n"
        "model: {name: MLP, hidden: [4]}\noptimizer: SGD\ntrain: {epochs: 1, threads: 1}\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["train", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "run"), "--quiet"])
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "Traceback" not in said
    assert said.startswith(f"error: sample {BAD} of Late cannot be read: OSError: the disk of the user (")


class Late(Faulty):
    """Raises in a worker alone, when training is under way."""

    targets = tuple(index % 2 for index in range(24))

    def __init__(self):
        super().__init__(raises)


def _program(pipe, fault):
    """A program that starts workers, says who they are, and goes on reading."""
    workers = reading(fault)
    batches = workers.read(KEYS * 1000)
    next(batches)
    pipe.send([process.pid for process in workers._processes()])
    for _ in batches:
        pass


@pytest.mark.parametrize("fault", [lambda: None, sleeps, spins], ids=["at work", "asleep", "spinning"])
def test_when_the_program_is_killed_its_workers_end_by_themselves(fault):
    here, there = multiprocessing.get_context("fork").Pipe()
    program = multiprocessing.get_context("fork").Process(target=_program, args=(there, fault))
    program.start()
    workers = here.recv()
    assert len(workers) == 2
    time.sleep(0.2)
    program.kill()
    program.join()
    for _ in range(600):
        alive = [pid for pid in workers if running(pid)]
        if not alive:
            break
        time.sleep(0.1)
    assert not alive
    assert not list(Path("/dev/shm").glob(f"torch_{program.pid}_*"))
    for pid in workers:  # one that is killed between making a block and taking its name away leaves that one
        left = list(Path("/dev/shm").glob(f"torch_{pid}_*"))
        assert len(left) <= 1
        remove_shared_memory([pid])


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
