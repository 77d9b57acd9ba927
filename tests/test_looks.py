"""Test is read at the end only, and every look at it is on record."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

import torchwork
from torchwork import rundir
from torchwork.data.memory import InMemory
from torchwork.data.split import split
from torchwork.report import summary
from torchwork.types import InputError, RunError, Schema

IRIS = {
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "train": {"epochs": 2},
}


READ = []  # which samples were read, in order


class Watched(InMemory):
    """Numbers of two classes; notes which samples are read."""

    def __init__(self, kind="array"):
        random = np.random.default_rng(0)
        targets = np.arange(120) % 2
        if kind == "image":
            inputs = torch.from_numpy(random.integers(0, 256, (120, 1, 4, 4), dtype=np.uint8))
        else:
            inputs = torch.from_numpy(random.normal(size=(120, 4)).astype(np.float32) + targets[:, None])
        super().__init__(inputs, targets, Schema(kind, "class"))

    def read(self, indices, *, epoch, size=None):
        READ.extend(np.asarray(indices).tolist())
        return super().read(indices, epoch=epoch, size=size)

    def fingerprints(self, indices):
        return [str(index) for index in indices]


class Epochs:
    """Remembers what had been read by the end of each epoch."""

    def __init__(self):
        self.read_ids = []

    def epoch(self, row):
        self.read_ids.append(set(READ))

    def nothing(self, *_): ...

    start = step = stop = message = finding = nothing


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("array", {}),
        ("image", {"augment": ["RandomHorizontalFlip"]}),
        ("array", {"split": {"by": "grouped", "pattern": "([0-9])$"}}),
    ],
)
def test_training_reads_no_sample_of_test_before_the_end(kind, changes, tmp_path):
    READ.clear()
    data = {"source": {"name": f"{__name__}:Watched", "kind": kind}, "transform": ["Normalize"], "batch_size": 20}
    settings = {**IRIS, "data": {**data, **changes}}
    progress = Epochs()
    run = torchwork.train(settings, out=tmp_path / "run", progress=progress)
    sides = {}
    for row in rundir.read_csv(run.path / rundir.SPLIT):
        sides.setdefault(row["split"], set()).add(int(row["id"]))
    assert set(sides) == {"train", "val", "test"}
    assert len(progress.read_ids) == 2
    for seen in progress.read_ids:
        assert seen & sides["train"]
        assert seen & sides["val"]
        assert not seen & sides["test"]
    assert sides["test"] <= set(READ)


def test_what_is_fitted_is_a_function_of_the_training_samples_alone(tmp_path):
    """Other values in test change nothing of what was learnt."""
    parts = split(Watched(), {"train": 0.7, "val": 0.15, "test": 0.15}, 0)
    values = Watched().inputs.numpy()
    saved = []
    for factor in (1, 1000):
        changed = values.copy()
        changed[parts["test"]] *= factor
        np.savez(tmp_path / "a.npz", x=changed, y=np.arange(120) % 2)
        data = {**IRIS["data"], "source": {"name": "Arrays", "path": str(tmp_path / "a.npz")}}
        run = torchwork.train({**IRIS, "data": data}, out=tmp_path / str(factor))
        saved.append([(run.path / name).read_bytes() for name in (rundir.MODEL, rundir.FITTED)])
    assert saved[0] == saved[1]


def test_every_look_is_on_record_and_told(tmp_path):
    run = torchwork.train(IRIS, out=tmp_path / "run")
    assert [row["command"] for row in rundir.looks(run.path)] == ["train"]
    page = (run.path / rundir.REPORT).read_text()
    assert summary.looked(1) in page
    torchwork.evaluate(run.path, ["val"])
    torchwork.evaluate(run.path)
    torchwork.evaluate(run.path, ["test"])
    found = rundir.looks(run.path)
    assert [row["command"] for row in found] == ["train", "evaluate", "evaluate"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row["time"]) for row in found)
    assert "Test was looked at 3 times" in (run.path / rundir.REPORT).read_text()
    torchwork.resume(run.path)  # it is complete: nothing is looked at
    assert len(rundir.looks(run.path)) == 3


def test_a_run_that_was_stopped_looks_when_it_ends(tmp_path):
    run = torchwork.train(IRIS, out=tmp_path / "run")
    for name in (rundir.METRICS, rundir.LOOKS):
        (run.path / name).unlink()
    torchwork.resume(run.path)
    assert [row["command"] for row in rundir.looks(run.path)] == ["resume"]


def test_without_test_there_is_no_look(tmp_path):
    settings = {**IRIS, "data": {**IRIS["data"], "split": {"val": 0.2}}}
    run = torchwork.train(settings, out=tmp_path / "run")
    assert rundir.looks(run.path) == []
    assert "looked at" not in (run.path / rundir.REPORT).read_text()


class Breaking(Epochs):
    """Spoils the files of test when the last epoch is over."""

    def __init__(self, folder, out):
        super().__init__()
        self._folder, self._out = folder, out
        self.spoilt = {}

    def epoch(self, row):
        if row["epoch"] == 2:
            for sample in rundir.read_csv(self._out / rundir.SPLIT):
                if sample["split"] == "test":
                    path = self._folder / sample["name"]
                    self.spoilt[path] = path.read_bytes()
                    path.write_bytes(b"no image")


def test_images_of_test_are_not_kept_from_the_beginning(tmp_path):
    """If they were, it would not be noticed that they can no longer be read at the end."""
    folder, random = tmp_path / "images", np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(folder / label / f"{number}.png")
    settings = {**IRIS, "data": {**IRIS["data"], "source": {"name": "ImageFolder", "root": str(folder)}}}
    breaking = Breaking(folder, tmp_path / "run")
    with pytest.raises((InputError, RunError), match="png"):
        torchwork.train(settings, out=tmp_path / "run", progress=breaking)
    assert len(breaking.spoilt) == 6
    with pytest.raises(InputError, match="png"):
        torchwork.resume(tmp_path / "run")
    for path, content in breaking.spoilt.items():
        path.write_bytes(content)
    assert set(torchwork.resume(tmp_path / "run").metrics) == {"val", "test"}
    assert [row["command"] for row in rundir.looks(tmp_path / "run")] == ["train", "resume"]
