"""A run that is killed, at any moment and as often as you like, ends as if nothing had happened."""

import functools
import os
import random
import signal
import time

import pytest

import torchwork
from reliability import runs
from reliability.amount import parts
from torchwork import durable, rundir
from torchwork.types import InputError


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """An uninterrupted run: its result, and how long one takes in a process that has everything loaded."""
    folder = tmp_path_factory.mktemp("straight")
    assert runs.finish(runs.CONFIG, folder / "warm") == 0
    times = []
    for number in range(3):  # the shortest counts: in the time of a slow one the next is over before it is killed
        started = time.monotonic()
        assert runs.finish(runs.CONFIG, folder / f"{number}") == 0
        times.append(time.monotonic() - started)
        assert runs.result(folder / f"{number}") == runs.result(folder / "warm")
    return runs.result(folder / "warm"), min(times)


@pytest.mark.parametrize("part", parts(10))
def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(part, straight, tmp_path, scale, counted):
    expected, seconds = straight
    chance = random.Random(os.urandom(8))
    kills = trials = 0
    while kills < scale(6, 20):
        out = tmp_path / f"run-{trials}"
        for _ in range(chance.choice((1, 1, 2, 4))):
            process = runs.start(runs.CONFIG, out)
            process.join(chance.uniform(0, 1.1 * seconds))
            if process.exitcode is None:
                process.kill()
                process.join()
                kills += 1
            else:
                assert process.exitcode == 0
        assert runs.finish(runs.CONFIG, out) == 0
        assert runs.result(out) == expected
        trials += 1
    counted("SIGKILL at random moments", kills)


def killing(at):
    """Make the process kill itself at the so many-th operation on the disk."""
    left = [at]

    def kill(real, *arguments):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    for name in ("create_file", "make_directory", "sync", "rename", "remove_file", "remove_empty"):
        setattr(durable, name, functools.partial(kill, getattr(durable, name)))


@pytest.mark.parametrize("part", parts(10))
def test_a_run_killed_inside_of_its_saves_ends_as_if_it_had_not_been(part, straight, tmp_path, scale, counted):
    expected, _ = straight
    chance = random.Random(os.urandom(8))
    kills = 0
    while kills < scale(4, 10):
        out = tmp_path / f"run-{kills}"
        for _ in range(2):
            process = runs.start(runs.CONFIG, out, functools.partial(killing, chance.randint(20, 160)))
            process.join(240)
            if process.exitcode == -signal.SIGKILL:
                kills += 1
        assert runs.finish(runs.CONFIG, out) == 0
        assert runs.result(out) == expected
        leftovers = [path.name for path in (out / rundir.CHECKPOINTS).iterdir() if path.name.startswith(".")]
        assert not leftovers
    counted("SIGKILL at random moments", kills)


def test_two_processes_cannot_write_to_one_run(tmp_path, counted):
    out = tmp_path / "run"
    assert runs.finish({**runs.CONFIG, "train": {"epochs": 1, "threads": 1}}, out) == 0
    (out / rundir.METRICS).unlink()
    with rundir.locked(out):
        assert runs.finish(runs.CONFIG, out) == runs.FAILED
    assert runs.finish(runs.CONFIG, out) == 0
    counted("Two processes on one run directory", 1)


def _together(out, barrier, results):
    barrier.wait(60)
    try:
        torchwork.train(runs.CONFIG, out=out, resume="auto")
        results.put("done")
    except InputError as error:
        results.put(error.findings[0].code)


def test_of_two_commands_at_once_one_trains_and_the_other_waits_for_nothing(tmp_path, counted):
    """Both read the data; then one of them has the directory, and the other is refused or finds the run complete."""
    context = runs.context()
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_together, args=(tmp_path / "run", barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    found = sorted(results.get(timeout=10) for _ in range(2))
    assert found in (["done", "run-locked"], ["done", "done"])
    assert rundir.is_complete(tmp_path / "run")
    assert len(rundir.read_history(tmp_path / "run")) == 4
    counted("Two processes on one run directory", 1)
