"""A sweep from end to end, stopped and gone on with, and its page."""

from __future__ import annotations

import math
import multiprocessing
import re
import signal
import time
from pathlib import Path

import pytest

import torchwork
from torchwork import config, rundir
from torchwork.sweeps import store
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError, RunError

CONFIG = {
    "name": "iris",
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 30},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "SGD"},
    "train": {"epochs": 3, "threads": 1, "monitor": "val_accuracy"},
    "search": {"optimizer.lr": {"log_uniform": [1e-2, 1]}, "model.hidden": {"choice": [[4], [16, 8]]}},
}
TRIALS = 5


def _ends(sweep):
    return [(one.number, one.state, one.value, one.values, one.why) for one in sweep.trials]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A sweep that nothing stopped."""
    return torchwork.sweep(CONFIG, TRIALS, prune=False, out=tmp_path_factory.mktemp("sweeps") / "<b>straight")


def test_each_trial_is_a_run_that_leaves_test_unseen(straight):
    assert [one.number for one in straight.trials] == list(range(TRIALS))
    for one in straight.trials:
        found = torchwork.load(one.path)
        assert (one.state, list(found.metrics)) == ("complete", ["val"])
        assert rundir.looks(one.path) == []
        assert not (one.path / rundir.predictions("test")).exists()
        assert rundir.is_complete(one.path)
        assert one.value == max(row["val_accuracy"] for row in found.history)
        assert found.config.optimizer["lr"] == one.values["optimizer.lr"]
        assert found.config.model["hidden"] == one.values["model.hidden"]
    assert {len(one.values["model.hidden"]) for one in straight.trials} == {1, 2}


def test_the_best_config_trains_to_the_best_trials_weights_and_looks_at_test_once(straight, tmp_path):
    assert straight.best.value == max(one.value for one in straight.trials)
    run = torchwork.train(straight.best_config, out=tmp_path / "run")
    assert (run.path / rundir.MODEL).read_bytes() == (straight.best.path / rundir.MODEL).read_bytes()
    assert list(run.metrics) == ["val", "test"]
    assert len(rundir.looks(run.path)) == 1


def test_test_can_be_looked_at_later(straight):
    found = torchwork.evaluate(straight.trials[0].path, ["test"])
    assert list(found) == ["test"]
    assert len(rundir.looks(straight.trials[0].path)) == 1


def test_the_table_and_the_page_hold_every_trial_and_nothing_unescaped(straight):
    rows = rundir.read_csv(straight.path / rundir.TRIALS)
    assert [(row["trial"], row["state"]) for row in rows] == [(str(n), "complete") for n in range(TRIALS)]
    assert [float(row["val_accuracy"]) for row in rows] == pytest.approx([one.value for one in straight.trials])
    page = straight.page.read_text()
    assert "<b>straight" not in page
    assert "&lt;b&gt;straight" in page
    assert page.count("<svg") == 4
    assert len(re.findall(r'<th scope="row" class="number">\d', page)) == TRIALS
    assert not re.search(r"<(img|link|iframe)|src=|@import|url\((?!#)", page)


def test_a_sweep_that_is_done_does_nothing_more_and_one_that_is_extended_goes_on(straight):
    before = {path: path.stat().st_mtime_ns for path in straight.path.glob("trial-*/history.csv")}
    again = torchwork.sweep(CONFIG, TRIALS - 1, prune=False, out=straight.path)
    assert _ends(again) == _ends(straight)
    more = torchwork.sweep(CONFIG, TRIALS + 1, prune=False, out=straight.path)
    assert _ends(more)[:TRIALS] == _ends(straight)
    assert len(more.trials) == TRIALS + 1
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_sweep_of_another_config_is_not_gone_on_with(straight, tmp_path):
    for settings, sampler in (({**CONFIG, "seed": 1}, "tpe"), (CONFIG, "random")):
        with pytest.raises(InputError, match="has a sweep iris"):
            torchwork.sweep(settings, TRIALS, sampler=sampler, out=straight.path)
    with pytest.raises(InputError, match="has a sweep iris"):
        torchwork.sweep({**CONFIG, "seed": 1}, 1, store=str(straight.path / rundir.JOURNAL), out=tmp_path / "other")
    assert list(tmp_path.iterdir()) == []


class Stopping:
    """Asks to stop in a trial, as a scheduler would."""

    def __init__(self, name, monkeypatch, number=signal.SIGTERM):
        from torchwork import course

        self.texts, told = [], course._tell_epoch

        def tell_epoch(row, parts, log, logs):
            told(row, parts, log, logs)
            if log.directory.name == name and row["epoch"] == 2:
                signal.raise_signal(number)

        monkeypatch.setattr(course, "_tell_epoch", tell_epoch)

    def message(self, text):
        self.texts.append(text)


def test_a_sweep_that_is_stopped_says_how_to_go_on_and_ends_as_if_it_had_not_been(straight, tmp_path, monkeypatch):
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch, pytest.raises(Interrupted, match=r"--out .*stopped") as caught:
        torchwork.sweep(CONFIG, TRIALS, prune=False, out=out, progress=Stopping("trial-2", patch))
    assert caught.value.signal == signal.SIGTERM
    assert [row["state"] for row in rundir.read_csv(out / rundir.TRIALS)] == ["complete", "complete", "running"]
    assert (out / rundir.SWEEP_PAGE).is_file()
    again = torchwork.sweep(CONFIG, TRIALS, prune=False, out=out)
    assert _ends(again)[:TRIALS] == _ends(straight)[:TRIALS]
    assert "resumed from" in (out / "trial-2" / rundir.LOG).read_text()


def _sweep_in_a_process(out, store_at=None):
    torchwork.sweep(CONFIG, TRIALS, prune=False, out=out, store=store_at)


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "optuna", "torchwork.sweeps.results", "sklearn.datasets", "scipy.stats"])
    return context


def _killed(processes, out, moment, store_at=None):
    """Start a sweep and kill it a moment after its first trial has written an epoch."""
    process = processes.Process(target=_sweep_in_a_process, args=(out, store_at))
    process.start()
    while process.exitcode is None and not list(out.glob("trial-*/history.csv")):
        time.sleep(0.005)
    process.join(moment)
    process.kill()
    process.join()


@pytest.mark.parametrize("moment", [0.0, pytest.param(0.3, marks=pytest.mark.slow)])
def test_a_sweep_that_is_killed_loses_no_trial_and_runs_none_twice(straight, processes, tmp_path, moment):
    out = tmp_path / "killed"
    _killed(processes, out, moment)
    before = {path: path.stat().st_mtime_ns for path in out.glob("trial-*/metrics.json")}
    again = torchwork.sweep(CONFIG, TRIALS, prune=False, out=out)
    assert _ends(again) == _ends(straight)[:TRIALS]
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_sweeps_of_several_machines_on_one_store_share_its_trials(straight, processes, tmp_path, kind):
    place = str(tmp_path / "journal") if kind == "journal" else f"sqlite:///{tmp_path / 'sweep.db'}"
    _killed(processes, tmp_path / "a", 0.1, place)  # one machine goes down and comes back later
    others = [processes.Process(target=_sweep_in_a_process, args=(tmp_path / name, place)) for name in "bca"]
    for process in others:
        process.start()
    for process in others:
        process.join()
        assert process.exitcode == 0
    found = torchwork.sweep(CONFIG, TRIALS, prune=False, out=tmp_path / "a", store=place)
    assert [(one.number, one.state) for one in found.trials] == [(number, "complete") for number in range(TRIALS)]
    names = sorted(path.name for path in tmp_path.glob("[abc]/trial-*"))
    assert names == [f"trial-{number}" for number in range(TRIALS)]  # each on one machine
    assert all(rundir.is_complete(path) for path in tmp_path.glob("[abc]/trial-*"))


def test_a_trial_that_fails_is_told_with_why_and_the_others_go_on(tmp_path):
    search = {"optimizer.lr": {"choice": [0.1, 1e30]}}
    found = torchwork.sweep({**CONFIG, "search": search}, sampler="grid", out=tmp_path / "failing")
    assert [(one.number, one.state) for one in found.trials] == [(0, "complete"), (1, "failed")]
    assert "A smaller learning rate" in found.trials[1].why
    assert "A smaller learning rate" in found.page.read_text()
    with pytest.raises(RunError, match=r"no trial came to its end: .*learning rate"):
        torchwork.sweep({**CONFIG, "search": {"optimizer.lr": {"choice": [1e30]}}}, 1, out=tmp_path / "all")


def test_trials_worse_than_the_median_are_pruned_and_stay_runs_that_can_go_on(tmp_path):
    train = {**CONFIG["train"], "monitor": "val_loss", "epochs": 4}
    rates = [0.3, 0.2, 0.1, 0.25, 0.15, 1e-5]
    search = {"optimizer.lr": {"choice": rates}}
    found = torchwork.sweep({**CONFIG, "train": train, "search": search}, sampler="grid", out=tmp_path / "pruned")
    assert [one.state for one in found.trials] == ["complete"] * 5 + ["pruned"]
    assert len(rundir.read_history(found.trials[5].path)) == store.first_pruned(4)
    assert math.isclose(found.trials[5].value, rundir.read_history(found.trials[5].path)[-1]["val_loss"], rel_tol=1e-6)
    done = torchwork.resume(found.trials[5].path)
    assert len(done.history) == 4
    assert list(done.metrics) == ["val"]


def test_all_mistakes_are_told_at_once_before_anything_starts(tmp_path):
    search = {
        "optimizer.lr": {"log_uniform": [0, 1]},
        "optimizer.lrr": {"uniform": [0, 1]},
        "train.epochz": {"int": [1, 2]},
        "train.epochs": {"choice": [1, 0]},
        "model.hidden": {"choice": [[4], [0]]},
        "data.batch_size": {"int": [10, 1000]},
        "data.transform": {"choice": [["Normalize"], ["Normalise"]]},
    }
    with pytest.raises(InputError) as caught:
        torchwork.sweep({**CONFIG, "search": search}, 2, out=tmp_path / "out")
    assert {finding.where for finding in caught.value.findings} == {
        "search.optimizer.lr.log_uniform",
        "search.optimizer.lrr.uniform[0]",
        "search.train.epochz",
        "search.train.epochs.choice[1]",
        "search.model.hidden.choice[1][0]",
        "search.data.batch_size.int[1]",
        "search.data.transform.choice[1][0]",
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "options", "where"),
    [
        ({"search": {}}, {}, ["search"]),
        ({}, {"trials": 0, "jobs": 0, "sampler": "cma"}, ["--trials", "--jobs", "--sampler"]),
        ({}, {"sampler": "grid"}, ["search.optimizer.lr"]),
        ({"data": {"source": "Iris", "split": {"test": 0.2}}, "train": {"epochs": 1}}, {}, ["data.split.val"]),
        ({"train": {"epochs": 1, "monitor": "train_loss"}}, {}, ["train.monitor"]),
        ({"model": {"name": "MLP", "hiden": 3}}, {}, ["model.hiden"]),
    ],
)
def test_mistakes_beside_the_search_are_told_too(change, options, where, tmp_path):
    with pytest.raises(InputError) as caught:
        torchwork.sweep({**CONFIG, **change}, out=tmp_path / "out", **options)
    assert [finding.where for finding in caught.value.findings] == where
    assert not Path(tmp_path / "out").exists()


def test_a_config_with_a_search_trains_as_without_it(tmp_path):
    settings = {**CONFIG, "optimizer": {"name": "SGD", "lr": 0.1}}
    runs = [
        torchwork.train(made, out=tmp_path / str(number))
        for number, made in enumerate((settings, {**settings, "search": {}}))
    ]
    assert runs[0].history[-1]["train_loss"] == runs[1].history[-1]["train_loss"]
    assert config.load(runs[0].path / rundir.CONFIG).search == config.load(settings).search
