"""Parts of one thing in processes of their own: what they tell arrives, how they end is known, none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from torchwork import jobs
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError, RunError

PARTS = """
import os, signal, sys, time
from torchwork.types import Finding, InputError, RunError

def well(number, tell):
    print("not a message")
    tell({"number": number, "threads": os.environ["OMP_NUM_THREADS"]})

def badly(how, tell):
    if how == "input":
        raise InputError(Finding("code", "error", "where", "wrong", "mend"))
    if how == "run":
        raise RunError("the run failed")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exit":
        os._exit(3)
    if how == "bug":
        raise ZeroDivisionError("by zero")
    tell("well")

def waiting(mark, tell):
    try:
        open(mark, "w").close()
        tell("waits")
        time.sleep(60)
    finally:
        open(mark + ".ended", "w").close()
"""


@pytest.fixture
def parts(tmp_path, monkeypatch):
    (tmp_path / "parts_of_jobs.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    return "parts_of_jobs:{}".format


def test_each_part_gets_its_arguments_and_its_share_of_the_cores_and_what_it_tells_arrives(parts, monkeypatch):
    monkeypatch.setattr(jobs, "cores", lambda: 5)
    told = []
    jobs.together(parts("well"), [{"number": number} for number in range(2)], told.append)
    assert sorted(message["number"] for message in told) == [0, 1]
    assert {message["threads"] for message in told} == {"2"}
    assert os.environ["OMP_NUM_THREADS"] == "4"


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ("input", InputError, "where: wrong; mend"),
        ("run", RunError, "^the run failed$"),
        ("bug", RunError, "^ZeroDivisionError: by zero$"),
        ("killed", RunError, "killed by SIGKILL .*memory"),
        ("exit", RunError, "ended with exit code 3"),
    ],
)
def test_how_a_part_ended_is_raised_after_the_others_came_to_their_ends(parts, how, error, said):
    told = []
    with pytest.raises(error, match=said):
        jobs.together(parts("badly"), [{"how": how}, {"how": "well"}], told.append)
    assert told == ["well"]


def test_a_signal_ends_all_parts_in_their_own_way(parts, tmp_path):
    marks = [str(tmp_path / name) for name in "ab"]
    told = []

    def tell(text):
        told.append(text)
        if len(told) == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        jobs.together(parts("waiting"), [{"mark": mark} for mark in marks], tell)
    assert caught.value.signal == signal.SIGINT
    assert all(Path(f"{mark}.ended").is_file() for mark in marks)


def test_where_the_one_that_started_them_is_killed_they_end_too(parts, tmp_path):
    mark = tmp_path / "mark"
    code = f"from torchwork import jobs; jobs.together('parts_of_jobs:waiting', [{{'mark': {str(mark)!r}}}], print)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL)
    _until(mark.is_file)
    process.kill()
    process.wait()
    _until(Path(f"{mark}.ended").is_file)


def _until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
