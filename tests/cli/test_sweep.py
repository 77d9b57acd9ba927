"""``torchwork sweep`` on the command line, in several processes, stopped and gone on with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from torchwork import rundir

CONFIG = """\
name: iris
data: {source: Iris, transform: [Normalize], batch_size: 30}
model: {name: MLP, hidden: [8]}
optimizer: {name: Adam}
train: {epochs: 2, threads: 1}
search:
  optimizer.lr: {log_uniform: [1e-3, 1e-1]}
  model.hidden: {choice: [[4], [16, 8]]}
"""


def test_trials_are_told_as_they_end_and_the_best_are_printed(torchwork, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    done = torchwork("sweep", "c.yaml", "--trials", "3")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "sweep runs/iris/1: 3 trials; if it is stopped, go on by the same command and --out runs/iris/1"
    assert [line.split()[0] for line in lines if line.startswith("trial-")] == [f"trial-{n // 2}" for n in range(6)]
    place = lines.index("the best of 3 trials")
    assert lines[place + 1].split() == ["trial", "val_loss", "optimizer.lr", "model.hidden"]
    figures = [float(line.split()[1]) for line in lines[place + 2 : place + 5]]
    assert figures == sorted(figures)
    assert lines[-3:] == [
        "Test was left unseen.",
        "page     runs/iris/1/sweep.html",
        "train    torchwork train runs/iris/1/best.yaml",
    ]
    assert torchwork("sweep", "c.yaml", "--trials", "3", "--out", "runs/iris/1", "-q").out == "runs/iris/1\n"
    events = torchwork("sweep", "c.yaml", "--trials", "3", "--out", "runs/iris/1", "--json").out.splitlines()
    assert json.loads(events[-1])["report"] == "runs/iris/1/sweep.html"


def test_mistakes_in_the_search_have_their_lines_and_exit_code_2(torchwork, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG.replace("[4]", "[-4]").replace("optimizer.lr:", "optimizer.lrr:"))
    done = torchwork("sweep", "c.yaml")
    assert done.code == 2
    assert "c.yaml:7: search.optimizer.lrr.log_uniform[0]: Adam has no option 'lrr'; did you mean 'lr'?" in done.err
    assert "c.yaml:8: search.model.hidden.choice[0][0]: got -4" in done.err
    assert not (tmp_path / "runs").exists()


def _stopped(folder, number, jobs):
    """Sweep in processes, and send the first one a signal once a trial has written an epoch."""
    (folder / "c.yaml").write_text(CONFIG.replace("epochs: 2", "epochs: 40"))
    command = [sys.executable, "-m", "torchwork", "sweep", "c.yaml", "--trials", "3", "--jobs", jobs, "--out", "s"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while process.poll() is None and not list(folder.glob("s/trial-*/history.csv")):
            time.sleep(0.005)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 75)])
def test_a_signal_stops_all_jobs_which_save_and_the_sweep_goes_on(torchwork, tmp_path, number, code):
    returned, err = _stopped(tmp_path, number, "2")
    assert returned == code, err
    assert err.strip() == "stopped, and the trials are saved; go on by the same command and --out s"
    states = [row["state"] for row in rundir.read_csv(tmp_path / "s" / rundir.TRIALS)]
    assert "running" in states
    again = torchwork("sweep", "c.yaml", "--trials", "3", "--jobs", "2", "--out", "s", "--no-prune")
    assert again.code == 0, again.err
    assert "(goes on)" in again.out
    assert {row["state"] for row in rundir.read_csv(tmp_path / "s" / rundir.TRIALS)} == {"complete"}
    assert torchwork("sweep", "c.yaml", "--trials", "3", "--jobs", "1", "--out", "t", "--no-prune", "-q").code == 0


@pytest.mark.slow
def test_jobs_that_lose_the_one_that_started_them_save_and_end(torchwork, tmp_path):
    returned, _ = _stopped(tmp_path, signal.SIGKILL, "2")
    assert returned == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while not _free(tmp_path / "s"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    done = torchwork("sweep", "c.yaml", "--trials", "3", "--out", "s", "--no-prune")
    assert done.code == 0, done.err
    assert [row["state"] for row in rundir.read_csv(tmp_path / "s" / rundir.TRIALS)] == ["complete"] * 3


def _free(folder):
    from torchwork import durable

    try:
        for path in folder.glob("trial-*/.lock"):
            with durable.lock(path):
                pass
    except durable.LockedError:
        return False
    return True
