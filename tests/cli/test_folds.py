"""``torchwork train --fold`` and ``--folds``, and how often test was looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchwork import rundir

CONFIG = """\
name: iris
data: {source: Iris, transform: [Normalize], batch_size: 30}
model: {name: MLP, hidden: [4]}
optimizer: {name: Adam, lr: 0.02}
train: {epochs: 1, threads: 1}
"""


@pytest.fixture(autouse=True)
def _config(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG)


def test_all_folds_are_trained_and_mean_and_spread_are_printed(torchwork, tmp_path):
    done = torchwork("train", "c.yaml", "--folds", "2")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line for line in lines if line.startswith("fold ")] == ["fold 1 of 2", "fold 2 of 2"]
    assert "mean ± standard deviation of 2 folds" in lines
    accuracy = next(line.split() for line in lines if line.startswith("accuracy"))
    assert accuracy[2] == accuracy[5] == "±"
    folder = tmp_path / "runs" / "iris" / "1"
    assert sorted(path.name for path in folder.iterdir()) == ["fold-1", "fold-2", "folds.csv", "folds.json"]
    mean = rundir.read_json(folder / "folds.json")["metrics"]["val"]["accuracy"]["mean"]
    assert float(accuracy[1]) == pytest.approx(mean, abs=1e-4)
    assert lines.index("test was looked at 2 times, once a fold") > lines.index("mean ± standard deviation of 2 folds")
    assert torchwork("train", "c.yaml", "--folds", "2", "--quiet").out == "runs/iris/2\n"


def test_folds_without_a_test_say_nothing_of_looks(torchwork):
    assert "looked at" not in torchwork("train", "c.yaml", "data.split={val: 0.2}", "--folds", "2").out


def test_of_how_many_folds_one_is_taken_is_said(torchwork):
    assert "val is fold 2 of 5 (--folds sets how many)\n" in torchwork("train", "c.yaml", "--fold", "2").out
    assert "val is fold 2 of 3\n" in torchwork("train", "c.yaml", "--fold", "2", "--folds", "3").out
    assert "else 5" in torchwork("train", "--help").out


def test_one_fold_is_a_run_like_any_other(torchwork, tmp_path):
    assert torchwork("train", "c.yaml", "--fold", "2", "--folds", "4", "--out", "a").code == 0
    assert torchwork("train", "c.yaml", "--fold", "2", "data.split.folds=4", "--out", "b", "-q").code == 0
    assert torchwork("train", "c.yaml", "data.split.folds=4", "data.split.fold=2", "--out", "c", "-q").code == 0
    splits = [(tmp_path / name / rundir.SPLIT).read_text() for name in "abc"]
    assert splits[0] == splits[1] == splits[2]
    assert splits[0].count(",val,") == 32
    assert torchwork("train", "c.yaml", "--fold", "2", "--out", "d", "-q").code == 0  # of five
    assert (tmp_path / "d" / rundir.SPLIT).read_text().count(",val,") in (25, 26)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fold", "6"], "error: --fold: got 6; expected 1 to 5"),
        (["--fold", "0"], "error: --fold: got 0; expected a number of at least 1"),
        (["--folds", "1"], "error: --folds: got 1; expected a number of at least 2"),
        (["--fold", "1", "--folds", "1"], "error: --folds: got 1; expected a number of at least 2"),
        (["--folds", "3", "data.split.time=date"], "error: --folds: with by: time"),
        (["--fold", "6", "data.split.folds=1"], "error: data.split.folds: got 1; expected a number of at least 2"),
    ],
)
def test_folds_that_cannot_be_are_refused(torchwork, tmp_path, arguments, said):
    done = torchwork("train", "c.yaml", *arguments)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "runs").exists()


def test_the_looks_at_test_are_printed(torchwork):
    assert "Test was looked at once." in torchwork("train", "c.yaml").out
    assert "looked at" not in torchwork("evaluate", "runs/iris/1", "--split", "val").out
    assert "Test was looked at 2 times" in torchwork("evaluate", "runs/iris/1").out


def test_check_says_how_samples_are_shared_out(torchwork):
    said = torchwork("check", "c.yaml").out
    assert "split stratified: exact counts of every class; samples change sides when data are added" in said
    assert "split by hash: samples keep their sides" in torchwork("check", "c.yaml", "data.split.by=hash").out
    assert "; val is fold 1 of 3" in torchwork("check", "c.yaml", "data.split.folds=3").out


def test_check_says_what_is_cut_from_the_train_that_the_data_come_with(torchwork, tmp_path):
    random = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 5)):
        for label in ("cat", "dog"):
            (tmp_path / "images" / part / label).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / part / label / f"{number}.png")
    source = "data.source={name: ImageFolder, root: images}"

    def said(split):
        (line,) = (
            line for line in torchwork("check", "c.yaml", source, split).out.splitlines() if line.startswith("split as")
        )
        return line

    assert said("data.split={val: 0.1}") == "split as the data come; cut from their train: val 0.1"
    assert said("data.split={val: 0}") == "split as the data come"
    assert said("data.split={folds: 4}") == "split as the data come; val is fold 1 of 4"
