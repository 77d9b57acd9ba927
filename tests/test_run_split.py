"""A run's split: without a leak, written down with contents, and kept to when the run goes on."""

import os
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from PIL import Image

import torchwork
from torchwork import config, rundir
from torchwork.data import fingerprint, leaks, manifest
from torchwork.data.builtin import Iris
from torchwork.data.images import ImageFolder
from torchwork.data.memory import InMemory, Rows
from torchwork.run_split import share_out
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError, Schema


def _config(**data):
    return config.load(
        {
            "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16, **data},
            "model": {"name": "MLP", "hidden": [4]},
            "optimizer": {"name": "SGD", "lr": 0.1},
            "train": {"epochs": 1},
        }
    )


@pytest.fixture
def folder(tmp_path):
    """Class folders of 20 images each, written a minute ago."""
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(20):
            path = tmp_path / "images" / label / f"{number:03}.png"
            Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(path)
            os.utime(path, (time.time() - 60,) * 2)
    return tmp_path / "images"


def _array(values, given=None):
    inputs = torch.as_tensor(np.asarray(values, np.float32)).reshape(-1, 1)
    return InMemory(inputs, np.arange(len(inputs)) % 2, Schema("array", "class"), given)


GIVEN = {"train": np.arange(10), "val": np.arange(10, 20), "test": np.arange(20, 40)}


def _leaking(count):
    values = np.arange(40)
    values[20 : 20 + count] = values[:count]
    return values


def test_a_given_split_with_equal_content_on_two_sides_is_an_error_that_names_ten_pairs():
    with pytest.raises(InputError) as caught:
        share_out(_config(), _array(_leaking(10), GIVEN))
    (finding,) = caught.value.findings
    assert finding.message.startswith("10 contents stand in two splits: sample 1 (train) = sample 21 (test); sample 2")
    assert finding.message.count(" = ") == 10
    with pytest.raises(InputError, match=r"20 contents stand in two splits.*; and 10 more;"):
        share_out(_config(), _array(np.tile(np.arange(20), 2), {"train": np.arange(20), "test": np.arange(20, 40)}))


def test_of_a_table_equal_rows_on_two_sides_are_a_warning_and_ignore_says_nothing():
    values = _leaking(3).astype(float)[:, None]
    table = Rows(values, np.empty((40, 0), object), np.arange(40) % 2, Schema("table", "class"), GIVEN)
    (finding,) = share_out(_config(), table).findings
    assert (finding.code, finding.severity) == ("leak", "warning")
    assert share_out(_config(clean={"duplicates": "ignore"}), table).findings == []
    ignored = share_out(_config(clean={"duplicates": "ignore"}), _array(_leaking(3), GIVEN))
    assert ignored.findings == []
    assert len(ignored.contents) == 40  # the manifest has them all the same


def test_equal_content_in_all_three_splits_is_told_of_each():
    source = _array([1, 1, 1, 2])
    splits = {"train": np.array([0]), "val": np.array([1, 3]), "test": np.array([2])}
    (finding,) = leaks.across(source, splits, {0: "a", 1: "a", 2: "a", 3: "b"})
    assert "1 content stands" in finding.message
    assert "sample 1 (train) = sample 2 (val); sample 1 (train) = sample 3 (test)" in finding.message
    assert leaks.across(source, splits, {0: "", 1: "", 2: "", 3: ""}) == []


def test_whole_groups_that_bring_a_part_far_from_its_share_are_told():
    values = np.arange(100)
    source = _array(values)
    source.annotations = {"who": np.where(values < 60, 0, np.where(values < 90, 1, 2))}
    (finding,) = share_out(_config(split={"group": "who"}), source).findings
    assert finding.code == "uneven-split"
    assert finding.message == "asked for train 70%, val 15%, test 15%, got train 60% (60), val 30% (30), test 10% (10)"


def test_the_manifest_carries_contents_and_a_file_that_changed_is_named(folder, tmp_path):
    settings = _config(source={"name": "ImageFolder", "root": str(folder)})
    run = torchwork.train(settings, out=tmp_path / "run")
    rows = rundir.read_csv(run.path / rundir.SPLIT)
    assert list(rows[0]) == manifest.HEADER
    assert len({row["content"] for row in rows}) == 40
    metrics = torchwork.evaluate(run.path, ["test"])
    assert metrics["test"] == run.metrics["test"]
    shutil.copy(folder / "dog" / "003.png", folder / "cat" / "007.png")
    with pytest.raises(InputError, match=r"1 sample is of other content: cat/007.png; restore"):
        torchwork.evaluate(run.path)
    (folder / "cat" / "007.png").unlink()
    with pytest.raises(InputError, match=r"split.csv: 1 sample is gone: cat/007.png; restore"):
        torchwork.evaluate(run.path)


class Heard:
    """Keeps what is said; asks to stop at a step, as a scheduler would."""

    def __init__(self, stop_at=None):
        self.texts, self._stop_at = [], stop_at

    def step(self, step, epoch):
        if step.index == self._stop_at:
            signal.raise_signal(signal.SIGTERM)

    def message(self, text):
        self.texts.append(text)

    def finding(self, found):
        self.texts.append(f"{found.severity}: {found}")

    def start(self, *_): ...
    def epoch(self, row): ...
    def stop(self): ...


def _add(folder, name):
    pixels = np.random.default_rng(1).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)


@pytest.fixture
def trained(folder, tmp_path):
    return torchwork.train(_config(source={"name": "ImageFolder", "root": str(folder)}), out=tmp_path / "run")


@pytest.mark.parametrize("name", ["cat/000-new.png", "dog/zzz.png"])
def test_a_run_is_evaluated_on_its_own_samples_where_others_were_added(folder, trained, name):
    before = [(trained.path / rundir.predictions(split)).read_text() for split in ("val", "test")]
    _add(folder, name)
    heard = Heard()
    assert torchwork.evaluate(trained.path, progress=heard) == trained.metrics
    assert [(trained.path / rundir.predictions(split)).read_text() for split in ("val", "test")] == before
    (text,) = heard.texts
    assert text.startswith("warning: data.source: 1 sample stands not in")
    assert text.endswith(f"split.csv and is in no split: {name}")


def test_of_many_changes_each_is_named_for_what_it_is(folder, trained):
    _add(folder, "cat/000-new.png")
    _add(folder, "dog/004.png")
    (folder / "cat" / "009.png").unlink()
    with pytest.raises(InputError) as caught:
        torchwork.evaluate(trained.path)
    gone, changed = [finding.message for finding in caught.value.findings]
    assert gone.endswith("1 sample is gone: cat/009.png")
    assert changed.endswith("1 sample is of other content: dog/004.png")


def test_another_run_takes_the_split_by_names_where_samples_were_added(folder, trained, tmp_path):
    for name in ("cat/000-new.png", "dog/zzz.png"):
        _add(folder, name)
    settings = _config(
        source={"name": "ImageFolder", "root": str(folder)}, split={"file": str(trained.path / rundir.SPLIT)}
    )
    second = torchwork.train(settings, out=tmp_path / "second")
    sides = [
        {row["name"]: row["split"] for row in rundir.read_csv(run.path / rundir.SPLIT)} for run in (trained, second)
    ]
    assert sides[0] == sides[1]
    log = (second.path / rundir.LOG).read_text()
    assert "2 samples stand not in" in log
    assert "are in no split: cat/000-new.png, dog/zzz.png" in log


def test_samples_that_a_run_had_set_aside_are_not_told_as_new(folder, tmp_path):
    shutil.copy(folder / "dog" / "003.png", folder / "dog" / "zzz.png")
    settings = _config(source={"name": "ImageFolder", "root": str(folder)}, clean={"duplicates": "keep_first"})
    run = torchwork.train(settings, out=tmp_path / "run")
    heard = Heard()
    assert torchwork.evaluate(run.path, progress=heard) == run.metrics
    assert heard.texts == []


def test_a_stopped_run_goes_on_where_samples_were_added_behind_its_own_and_not_where_before(folder, tmp_path):
    settings = _config(source={"name": "ImageFolder", "root": str(folder)})
    settings = settings.model_copy(update={"train": settings.train.model_copy(update={"epochs": 3})})
    whole = torchwork.train(settings, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        torchwork.train(settings, out=tmp_path / "run", progress=Heard(stop_at=3))
    _add(folder, "cat/000-new.png")
    with pytest.raises(InputError, match=r"\d\d samples have another number, as others were added.*: cat/000.png, "):
        torchwork.resume(tmp_path / "run")
    (folder / "cat" / "000-new.png").unlink()
    _add(folder, "dog/zzz.png")
    heard = Heard()
    done = torchwork.resume(tmp_path / "run", progress=heard)
    assert (done.path / rundir.MODEL).read_bytes() == (whole.path / rundir.MODEL).read_bytes()
    assert any(text.endswith("in no split: dog/zzz.png") for text in heard.texts)


def test_rows_added_to_a_table_are_in_no_split_and_rows_put_between_are_changes(tmp_path):
    rows = [f"{number},{number % 7},{'ab'[number % 2]}" for number in range(60)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["x,y,label", *rows]))
    run = torchwork.train(_config(source={"name": "Table", "path": str(path), "target": "label"}), out=tmp_path / "run")
    path.write_text("\n".join(["x,y,label", *rows, "100,3,a"]))
    assert torchwork.evaluate(run.path) == run.metrics
    path.write_text("\n".join(["x,y,label", *rows[:50], "100,3,a", *rows[50:]]))
    with pytest.raises(InputError, match="10 samples are of other content"):
        torchwork.evaluate(run.path)


def test_other_targets_are_refused_by_evaluate_and_by_another_run_with_the_split(folder, trained):
    path = trained.path / rundir.SPLIT
    path.write_text(path.read_text().replace("dog/003.png,dog", "dog/003.png,cat"))
    with pytest.raises(InputError, match=r"1 sample is with another target: dog/003.png"):
        torchwork.evaluate(trained.path)
    with pytest.raises(InputError, match=r"1 sample is with another target: dog/003.png"):
        share_out(_config(split={"file": str(path)}), ImageFolder(str(folder)))


def test_equal_names_stand_for_as_many_samples(tmp_path):
    source = _array(np.arange(5))
    source.name = ["new", "a", "a", "b", "a"].__getitem__
    (tmp_path / "a.csv").write_text("id,name,split\n0,a,train\n1,a,test\n3,b,val\n2,a,train\n9,a,train\n")
    places = [place for _, place in manifest.matched(source, tmp_path / "a.csv", "")]
    assert places == [4, 1, 3, 2, -1]


def test_without_contents_other_counts_are_refused(trained, folder):
    rows = rundir.read_csv(trained.path / rundir.SPLIT)
    rundir.write_csv(trained.path / rundir.SPLIT, manifest.HEADER, [[*list(row.values())[:-1], ""] for row in rows])
    assert torchwork.evaluate(trained.path) == trained.metrics
    _add(folder, "dog/zzz.png")
    with pytest.raises(InputError, match="40 samples then, 41 now, and no contents"):
        torchwork.evaluate(trained.path)


def test_runs_from_before_there_were_contents_still_go_on(tmp_path):
    run = torchwork.train(_config(), out=tmp_path / "run")
    rows = rundir.read_csv(run.path / rundir.SPLIT)
    rundir.write_csv(run.path / rundir.SPLIT, manifest.HEADER[:-1], [list(row.values())[:-1] for row in rows])
    data = rundir.read_json(run.path / rundir.DATA)
    del data["source_samples"]
    rundir.write_json(run.path / rundir.DATA, data)
    (run.path / rundir.METRICS).unlink()
    assert torchwork.resume(run.path).metrics == run.metrics


@pytest.mark.parametrize("given", ["by: manifest", "file alone"])
def test_another_run_may_take_the_split_of_one(given, tmp_path):
    first = torchwork.train(_config(split={"val": 0.3, "test": 0.2}), out=tmp_path / "first")
    file = str(first.path / rundir.SPLIT)
    spec = {"file": file} | ({"by": "manifest"} if given == "by: manifest" else {})
    second = torchwork.train(_config(split=spec).model_copy(update={"seed": 5}), out=tmp_path / "second")
    assert (second.path / rundir.SPLIT).read_text() == (first.path / rundir.SPLIT).read_text()
    assert torchwork.evaluate(second.path) == second.metrics


def test_a_manifest_of_other_data_is_refused(tmp_path):
    settings = _config(split={"file": str(tmp_path / "a.csv")})
    with pytest.raises(InputError, match=r"is not there; give the split.csv of a run"):
        share_out(settings, Iris())
    for text in ("", "a,b\n1,2\n", "id,name,split\nx,row 1,train\n", "id,name,split\n0,row 1,holdout\n"):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(InputError, match="is no manifest of a split"):
            share_out(settings, Iris())
    (tmp_path / "a.csv").write_text("id,name,split\n0,row 1,train\n1,row 3,train\n900,row 901,test\n")
    with pytest.raises(InputError, match="1 sample is gone: row 901"):
        share_out(settings, Iris())
    (tmp_path / "a.csv").write_text("id,name,split\n0,row 1,train\n1,row 2,test\n")
    with pytest.raises(InputError, match="1 sample is set aside by now: row 2"):
        share_out(settings, Iris(), np.array([0, 2, 3]))
    assert share_out(settings, Iris()).splits["test"].tolist() == [1]


def test_files_are_hashed_once_for_all_runs(folder, monkeypatch):
    source = ImageFolder(str(folder))
    first = share_out(_config(), source)
    monkeypatch.setattr(fingerprint, "of_file", lambda path: pytest.fail("read again"))
    assert share_out(_config(), source).contents == first.contents


def test_a_column_of_an_annotations_file_keeps_patients_whole(folder, tmp_path):
    rows = [f"images/{label}/{number:03}.png,{label},p{number % 7}" for label in ("cat", "dog") for number in range(20)]
    (tmp_path / "a.csv").write_text("\n".join(["file,label,patient", *rows]))
    settings = _config(source={"name": "ImageCSV", "annotations": str(tmp_path / "a.csv")}, split={"group": "patient"})
    run = torchwork.train(settings, out=tmp_path / "run")
    sides = {}
    for row in rundir.read_csv(run.path / rundir.SPLIT):
        sides.setdefault(int(row["name"][-7:-4]) % 7, set()).add(row["split"])
    assert len(sides) == 7
    assert all(len(seen) == 1 for seen in sides.values())
    assert run.config.data.split.by == "grouped"


def test_many_equal_rows_of_a_table_are_told_and_can_be_parted():
    values = np.arange(60) % 20 * np.arange(60).clip(0, 1)
    table = Rows(values[:, None].astype(float), np.empty((60, 0), object), np.arange(60) % 2, Schema("table", "class"))
    shared = share_out(_config(), table)
    assert [finding.code for finding in shared.findings] == ["repeated-rows"]
    parted = share_out(_config(clean={"duplicates": "ignore"}), table)
    assert parted.findings == []
    assert set(values[parted.splits["test"]]) & set(values[parted.splits["train"]])
    assert not set(values[shared.splits["test"]]) & set(values[shared.splits["train"]])
