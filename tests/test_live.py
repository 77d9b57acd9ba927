"""What a run leaves for those who watch it, and that leaving it changes nothing."""

from __future__ import annotations

import io
import json
import os
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

import torchwork
from torchwork import finishing, live, processes, rundir
from torchwork.training.evaluate import evaluate
from torchwork.training.interrupt import Interrupted
from torchwork.types import RunError

DIGITS = {
    "name": "digits",
    "data": {
        "source": "Digits",
        "transform": ["Normalize"],
        "augment": [{"name": "RandomCrop", "size": 8, "padding": 1}],
        "batch_size": 100,
    },
    "model": {"name": "MLP", "hidden": [32], "dropout": 0.2},
    "optimizer": {"name": "Adam", "lr": 0.01},
    "train": {"epochs": 3},
}
IRIS = {
    "data": {"source": "Iris", "batch_size": 16},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": "Adam",
    "train": {"epochs": 2},
}


class Onlooker:
    """Somebody who shows a run and looks at what it leaves, at every step and epoch."""

    def __init__(self, look, watches=False):
        self.look, self.watches, self.seen = look, watches, []

    def start(self, directory, outlook):
        self.directory = directory
        self._sign()

    def _sign(self):
        if self.watches:
            (self.directory / rundir.WATCHED).touch()

    def step(self, step, epoch):
        self._sign()
        self.seen.append(self.look(self.directory))

    def epoch(self, row):
        self._sign()
        self.seen.append(self.look(self.directory))

    def message(self, text):
        pass

    def finding(self, found):
        pass

    def stop(self):
        pass


def told(directory):
    return json.loads((directory / rundir.LIVE).read_bytes())


@pytest.fixture(autouse=True)
def ends(monkeypatch):
    """Runs end with training, without report and pictures: the weights that they end with, and their table of val."""
    found = []

    def finish(parts, directory, command, **_):
        weights = {name: tensor.clone() for name, tensor in parts.model.state_dict().items()}
        found.append((weights, parts.task.table(evaluate(parts.model, parts.task, parts.data.loaders["val"]))))
        metrics = {"val": {}, "test": {}}
        rundir.write_json(directory / rundir.METRICS, metrics)
        return metrics

    monkeypatch.setattr(finishing, "finish", finish)
    return found


@pytest.fixture
def always(monkeypatch):
    """Every step is as if a second had passed since the one before, and eleven for pictures."""
    monkeypatch.setattr(live, "_EVERY", -1.0)
    monkeypatch.setattr(live, "_PICTURES", -1.0)


def test_live_json_says_where_a_run_stands_while_it_goes_on_and_goes_at_its_end(tmp_path, always):
    shown = Onlooker(told)
    run = torchwork.train(DIGITS, out=tmp_path / "run", progress=shown)
    steps = [seen for seen in shown.seen if seen["phase"] in ("training", "evaluating")]
    assert {(seen["epoch"], seen["step"]) for seen in steps} >= {(e, s) for e in (1, 2, 3) for s in range(1, 14)}
    assert {(seen["epochs"], seen["steps"]) for seen in steps} == {(3, 13)}
    last = steps[-1]
    assert processes.Process(last["pid"], last["started"], last["host"], last["space"]) == processes.current()
    assert last["stops"] is True
    assert last["train_loss"] == pytest.approx(run.history[-1]["train_loss"], rel=1e-6)
    assert last["samples_per_second"] > 0
    assert 0 <= last["waited"] <= last["seconds"]
    assert not (run.path / rundir.LIVE).exists()


def test_a_run_in_another_thread_says_that_no_signal_stops_it(tmp_path, always):
    shown = Onlooker(told)
    thread = threading.Thread(target=torchwork.train, args=(IRIS,), kwargs={"out": tmp_path / "run", "progress": shown})
    thread.start()
    thread.join()
    assert {seen["stops"] for seen in shown.seen} == {False}


def test_nothing_is_written_at_most_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_EVERY", 1e9)
    shown = Onlooker(lambda directory: (directory / rundir.LIVE).stat().st_mtime_ns)
    torchwork.train(DIGITS, out=tmp_path / "again", progress=shown)
    assert len(shown.seen) == 3 * 13 + 3
    assert len(set(shown.seen)) <= 3, "the beginning, the evaluation of the first epoch, which may be long, and its end"


def test_a_run_that_is_watched_has_the_same_bits_as_one_that_is_not(tmp_path, always, ends):
    watched = torchwork.train(DIGITS, out=tmp_path / "watched", progress=Onlooker(told, watches=True))
    assert (watched.path / rundir.SAMPLES / rundir.WORST).exists() is False
    alone = torchwork.train(DIGITS, out=tmp_path / "alone")
    (first, first_table), (second, second_table) = ends
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first_table == second_table
    times = ("seconds", "waited")
    figures = [[{k: v for k, v in row.items() if k not in times} for row in run.history] for run in (watched, alone)]
    assert figures[0] == figures[1]


def pictures(directory):
    folder = directory / rundir.SAMPLES
    worst, sheet = folder / rundir.WORST, folder / rundir.LAST_BATCH
    return {
        "worst": json.loads(worst.read_bytes()) if worst.exists() else None,
        "sheet": Image.open(io.BytesIO(sheet.read_bytes())).size if sheet.exists() else None,
    }


def test_pictures_are_made_only_while_somebody_watches(tmp_path, always):
    alone, watched = Onlooker(pictures), Onlooker(pictures, watches=True)
    torchwork.train(DIGITS, out=tmp_path / "alone", progress=alone)
    assert all(seen == {"worst": None, "sheet": None} for seen in alone.seen)
    torchwork.train(DIGITS, out=tmp_path / "watched", progress=watched)
    assert watched.seen[-1]["sheet"] is not None
    assert watched.seen[-1]["worst"]["epoch"] == 3


def test_when_training_is_over_the_worst_samples_are_those_of_its_last_epoch(tmp_path, always, monkeypatch):
    monkeypatch.setattr(live, "_PICTURES", 1e9)  # of the first epoch alone while it goes on
    shown, at_the_end, finish = Onlooker(pictures, watches=True), [], finishing.finish

    def looking(parts, directory, command, **given):
        at_the_end.append(pictures(directory)["worst"]["epoch"])
        return finish(parts, directory, command, **given)

    monkeypatch.setattr(finishing, "finish", looking)
    torchwork.train(DIGITS, out=tmp_path / "run", progress=shown)
    assert shown.seen[-1]["worst"]["epoch"] == 1
    assert at_the_end == [3]


def test_somebody_who_has_gone_is_no_longer_drawn_for(tmp_path, always, monkeypatch):
    monkeypatch.setattr(live, "_LOOKING", -1.0)  # as if the last sign were long ago
    shown = Onlooker(pictures)
    shown.start = lambda directory, outlook: (
        setattr(shown, "directory", directory),
        (directory / rundir.WATCHED).touch(),
    )
    torchwork.train(DIGITS, out=tmp_path / "run", progress=shown)
    assert all(seen == {"worst": None, "sheet": None} for seen in shown.seen)


def test_the_worst_samples_are_those_of_val_with_the_greatest_losses_as_the_runs_own_table_has_them(
    tmp_path, always, ends
):
    shown = Onlooker(pictures, watches=True)
    torchwork.train({**DIGITS, "train": {"epochs": 1}}, out=tmp_path / "run", progress=shown)
    found = shown.seen[-1]["worst"]["samples"]
    header, rows = ends[0][1]
    table = sorted((dict(zip(header, row, strict=True)) for row in rows), key=lambda row: -row["loss"])
    assert len(found) == 12
    for sample, row in zip(found, table, strict=False):
        assert [sample[name] for name in ("id", "target", "prediction", "loss")] == [
            row[name] for name in ("id", "target", "prediction", "loss")
        ]
        assert sample["image"].startswith("data:image/png;base64,")
        assert sample["name"] == f"sample {sample['id'] + 1}"


@pytest.mark.parametrize(
    ("shape", "small"),
    [
        ((64, 3, 224, 112), (32, 3, 96, 48)),
        ((4, 1, 8, 2000), (4, 1, 1, 96)),
        ((4, 1, 96, 8), (4, 1, 96, 8)),
        ((4, 5), (4, 5)),
    ],
)
def test_large_pictures_are_made_small_before_they_are_drawn(shape, small):
    assert tuple(live._small(torch.zeros(shape)).shape) == small


def _frame(tmp_path):
    import pandas

    numbers = np.random.default_rng(0)
    frame = pandas.DataFrame(numbers.normal(size=(60, 2)), columns=["a", "b"])
    frame["y"], frame["z"] = frame["a"] * 2, frame["b"] - 1
    frame.to_csv(tmp_path / "t.csv", index=False)
    return {"name": "Table", "path": str(tmp_path / "t.csv"), "target": ["y", "z"]}


def test_numbers_are_told_with_their_targets_and_their_cells(tmp_path, always):
    shown = Onlooker(pictures, watches=True)
    settings = {
        "data": {"source": _frame(tmp_path), "batch_size": 8},
        "model": {"name": "MLP", "hidden": [4]},
        "optimizer": "Adam",
        "train": {"epochs": 1},
    }
    torchwork.train(settings, out=tmp_path / "run", progress=shown)
    (seen,) = shown.seen[-1:]
    assert seen["sheet"] is None
    sample = seen["worst"]["samples"][0]
    assert sample["target"].count(", ") == sample["prediction"].count(", ") == 1
    assert any(cell.startswith("a: ") for cell in sample["cells"])


def test_samples_whose_loss_is_no_number_are_the_worst(tmp_path):
    from torchwork import assembly, config

    parts = assembly.assemble(config.load(DIGITS))
    try:
        evaluation = evaluate(parts.model, parts.task, parts.data.loaders["val"])
        evaluation.values[7] = float("nan")
        evaluation.weights[9] = 0
        evaluation.values[9] = 1e9
        found = live.worst(parts, evaluation)
    finally:
        parts.data.close()
    assert found[0]["id"] == int(evaluation.ids[7])
    assert int(evaluation.ids[9]) not in {sample["id"] for sample in found}
    json.dumps(rundir.plain(found), allow_nan=False)


def test_a_users_data_set_is_not_read_for_pictures_as_what_it_keeps_may_depend_on_it(tmp_path):
    from torch.utils.data import TensorDataset

    from torchwork.data.dataset import DatasetSource

    source = DatasetSource(TensorDataset(torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)))
    source.items = lambda *_, **__: pytest.fail("it was read")

    class Parts:
        data = type("Data", (), {"source": source, "companions": {}})
        task = type(
            "Task", (), {"table": staticmethod(lambda few: (["id", "target", "prediction"], [[0, "a", "b"]] * 4))}
        )

    from torchwork.tasks.supervised import Evaluation

    ones = torch.ones(4, dtype=torch.float64)
    found = live.worst(Parts, Evaluation(torch.arange(4), ones, ones, ones, ones))
    assert [set(sample) for sample in found] == [{"id", "name", "loss", "target", "prediction"}] * 4


class Stopping(Onlooker):
    def __init__(self, error):
        super().__init__(told)
        self.error = error

    def step(self, step, epoch):
        if step.index == 20:
            raise self.error


@pytest.mark.parametrize(
    ("error", "phase"),
    [
        (KeyboardInterrupt(), "stopped"),
        (Interrupted("stopped after step 20", 2), "stopped"),
        (RunError("the disk"), "failed"),
    ],
    ids=["at-once", "asked", "failed"],
)
def test_live_json_says_how_a_run_ended_before_its_end(error, phase, tmp_path):
    with pytest.raises(type(error)):
        torchwork.train(DIGITS, out=tmp_path / "run", progress=Stopping(error))
    found = told(tmp_path / "run")
    assert found["phase"] == phase
    assert found["message"].startswith(str(error) or type(error).__name__)
    resumed = torchwork.resume(tmp_path / "run")
    assert len(resumed.history) == 3
    assert not (tmp_path / "run" / rundir.LIVE).exists()


def test_a_disk_that_refuses_and_pictures_that_fail_do_not_end_the_training(tmp_path, always, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(live, "_replace", refuse)
    monkeypatch.setattr(live, "contact_sheet", lambda *_, **__: 1 / 0)
    run = torchwork.train(IRIS, out=tmp_path / "run", progress=Onlooker(lambda directory: None, watches=True))
    assert len(run.history) == 2


def test_a_sign_counts_by_its_change_and_not_by_its_clock(tmp_path, always):
    shown = Onlooker(pictures)

    def start(directory, outlook):
        shown.directory = directory
        (directory / rundir.WATCHED).touch()
        long_ago = time.time() - 1e6
        os.utime(directory / rundir.WATCHED, (long_ago, long_ago))

    shown.start = start
    torchwork.train(DIGITS, out=tmp_path / "run", progress=shown)
    assert shown.seen[-1]["sheet"] is not None
