"""The commands from end to end, on small data."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from torchwork import rundir
from torchwork.cli import main
from torchwork.cli.predictions import as_table

CONFIG = """\
name: iris
seed: 1
data: {source: Iris, transform: [Normalize], batch_size: 16}
model: {name: MLP, hidden: [16]}
optimizer: {name: Adam, lr: 0.02}
train: {epochs: 4, threads: 1}
"""
FILES = (
    "config.yaml environment.json data.json fitted.safetensors split.csv history.csv log.txt checkpoints samples "
    "arrays model.safetensors predictions-val.csv predictions-test.csv metrics.json report.html plots"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run, which no test may change."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "c.yaml").write_text(CONFIG)
    with pytest.raises(SystemExit) as ended:
        main(["train", str(folder / "c.yaml"), "--out", str(folder / "run"), "--quiet"])
    assert ended.value.code == 0
    return folder / "run"


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A finished run that the test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_train_writes_every_file_of_a_run_and_prints_the_figures(torchwork, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    done = torchwork("train", "c.yaml", "train.epochs=2")
    assert done.code == 0, done.err
    directory = tmp_path / "runs" / "iris" / "1"
    assert {path.name for path in directory.iterdir()} >= set(FILES.split())
    lines = done.out.splitlines()
    assert lines[0] == "run runs/iris/1: epochs 1 to 2, 7 steps each"
    assert sum(line.startswith("epoch ") for line in lines) == 2
    assert "test: 22 samples" in lines
    assert any(line.split()[:1] == ["versicolor"] for line in lines)
    metrics = json.loads((directory / "metrics.json").read_text())
    shown = f"accuracy            {metrics['val']['accuracy']:.4f}  {metrics['test']['accuracy']:.4f}  "
    assert any(line.startswith(shown) for line in lines)
    assert "report   runs/iris/1/report.html" in lines
    assert "predict  torchwork predict runs/iris/1 FILES..." in lines
    assert torchwork("train", "c.yaml", "train.epochs=1", "--quiet").out == "runs/iris/2\n"


def test_train_writes_where_out_says_and_never_over_another_run(torchwork, finished):
    (Path.cwd() / "c.yaml").write_text(CONFIG)
    done = torchwork("train", "c.yaml", "--out", finished)
    assert done.code == 2
    assert "is already there and not empty" in done.err
    assert f"torchwork resume {finished}" in done.err


def test_two_trainings_give_the_same_weights(torchwork, finished, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    assert torchwork("train", "c.yaml", "--out", "again", "-q").code == 0
    for file in ("model.safetensors", "metrics.json", "split.csv", "predictions-test.csv"):
        assert (tmp_path / "again" / file).read_bytes() == (finished / file).read_bytes(), file


def test_the_saved_config_trains_the_same(torchwork, finished, tmp_path):
    assert torchwork("train", finished / "config.yaml", "--out", "again", "-q").code == 0
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


def test_check_prints_the_plan_and_writes_nothing(torchwork, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    done = torchwork("check", "c.yaml", "data.batch_size=52")
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines()]
    for row in (
        ["class", "train", "val", "test"],
        ["setosa", "35", "8", "7"],
        ["all", "105", "23", "22"],
        ["sample", "4"],
        ["batch", "52", "×", "4"],
        ["output", "52", "×", "3"],
        ["hidden.0", "Linear", "52", "×", "16", "80"],
        ["131", "parameters"],
        ["loss", "CrossEntropyLoss"],
        ["steps", "12", "(3", "an", "epoch)"],
        ["device", "cpu,", "1", "thread"],
    ):
        assert row in rows, row
    assert {path.name for path in tmp_path.iterdir()} == {"c.yaml"}


def test_check_tells_every_mistake_of_components_at_once(torchwork, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    done = torchwork("check", "c.yaml", "optimizer.lrr=1", "model.hiden=[3]", "loss=MSELoss")
    assert done.code == 2
    assert done.err.startswith("error: ")
    for place in ("optimizer.lrr", "model.hiden", "loss"):
        assert place in done.err, place
    assert "Traceback" not in done.err


def test_check_names_the_devices_that_are_there(torchwork, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    done = torchwork("check", "c.yaml", "device=cuda:99")
    assert done.code == 2
    assert "there is no 'cuda:99' on this machine" in done.err
    assert "present: " in done.err
    assert "cpu" in done.err


def test_resume_of_a_finished_run_leaves_it_as_it_is(torchwork, run):
    before = (run / "model.safetensors").read_bytes()
    done = torchwork("resume", run)
    assert done.code == 0
    assert "nothing is left to do" in done.out
    assert (run / "model.safetensors").read_bytes() == before


def test_evaluate_gives_the_figures_of_training_again(torchwork, run):
    before = json.loads((run / "metrics.json").read_text())
    (run / "predictions-test.csv").unlink()
    done = torchwork("evaluate", run)
    assert done.code == 0, done.err
    assert json.loads((run / "metrics.json").read_text()) == before
    assert (run / "predictions-test.csv").is_file()
    assert f"{before['test']['accuracy']:.4f}" in done.out


def test_evaluate_takes_one_split_and_refuses_an_unknown_one(torchwork, run):
    assert torchwork("evaluate", run, "--split", "train").code == 0
    assert "train" in json.loads((run / "metrics.json").read_text())
    done = torchwork("evaluate", run, "--split", "tset")
    assert done.code == 2
    assert "this run has train, val, test" in done.err


def test_report_writes_the_page_anew(torchwork, run):
    (run / "report.html").unlink()
    done = torchwork("report", run)
    assert done.code == 0
    assert done.out == f"{run / 'report.html'}\n"
    assert (run / "report.html").is_file()


@pytest.fixture
def new_flowers(tmp_path) -> Path:
    iris = datasets.load_iris()
    np.savez(tmp_path / "new.npz", x=iris.data[::10].astype(np.float64))
    with open(tmp_path / "new.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["more", *iris.feature_names])
        writer.writerows([["?", *row] for row in iris.data[::10].tolist()])
    return tmp_path


def test_predict_prints_and_writes_class_and_probability(torchwork, finished, new_flowers):
    done = torchwork("predict", finished, new_flowers / "new.csv")
    assert done.code == 0, done.err
    rows = rundir.read_csv(Path("predictions.csv"))
    header = ["name", "prediction", "probability", "score_setosa", "score_versicolor", "score_virginica"]
    assert list(rows[0]) == header
    true = np.repeat(["setosa", "versicolor", "virginica"], 5)
    assert sum(row["prediction"] == kind for row, kind in zip(rows, true, strict=True)) > 12
    for row in rows:
        assert float(row["probability"]) == max(float(row[name]) for name in header[3:])
    printed = [line.split() for line in done.out.splitlines()]
    assert printed[0] == header[:3]
    assert printed[1][-2:] == [rows[0]["prediction"], f"{float(rows[0]['probability']):.4f}"]
    assert len(printed) == 16
    assert "15 predictions in predictions.csv" in done.err
    assert torchwork("predict", finished, new_flowers / "new.csv").code == 0  # its own file may be written again


def test_predict_never_writes_over_what_is_not_its_own(torchwork, finished, new_flowers):
    (new_flowers / "mine.csv").write_text("a,b\n")
    for out in ("mine.csv", "new.csv", ".", "missing/there.csv"):
        done = torchwork("predict", finished, "new.csv", "--out", out)
        assert done.code == 2, out
        assert "Traceback" not in done.err
    assert (new_flowers / "mine.csv").read_text() == "a,b\n"


def test_predict_tells_all_missing_files(torchwork, finished):
    done = torchwork("predict", finished, "a.csv", "b.csv")
    assert done.code == 2
    assert "a.csv: there is no such file" in done.err
    assert "b.csv: there is no such file" in done.err


def test_predict_takes_all_files_of_a_folder(torchwork, finished, new_flowers):
    (new_flowers / "folder" / "deep").mkdir(parents=True)
    shutil.copy(new_flowers / "new.csv", new_flowers / "folder" / "deep" / "a.csv")
    shutil.copy(new_flowers / "new.csv", new_flowers / "folder" / "b.csv")
    (new_flowers / "folder" / ".hidden").write_text("")
    done = torchwork("predict", finished, "folder")
    assert done.code == 0, done.err
    assert "30 predictions" in done.err


def test_predictions_of_several_numbers_have_a_column_each():
    header, rows = as_table([{"name": "a", "prediction": {"x": 1.0, "y": 2.0}}])
    assert header == ["name", "prediction_x", "prediction_y"]
    assert rows == [["a", 1.0, 2.0]]


def test_a_config_may_be_toml_or_json(torchwork, tmp_path):
    content = {"data": {"source": "Wine"}, "model": {"name": "MLP"}, "optimizer": "SGD", "train": {"epochs": 1}}
    (tmp_path / "c.json").write_text(json.dumps(content))
    toml = 'model.name = "MLP"\noptimizer = "SGD"\n[data]\nsource = "Wine"\n[train]\nepochs = 1\n'
    (tmp_path / "c.toml").write_text(toml)
    assert torchwork("train", "c.json", "--out", "a", "-q").code == 0
    assert torchwork("train", "c.toml", "--out", "b", "-q").code == 0
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_a_regression_prints_its_figures(torchwork, tmp_path):
    (tmp_path / "c.yaml").write_text("data: {source: Diabetes}\nmodel: MLP\noptimizer: Adam\ntrain: {epochs: 1}\n")
    done = torchwork("train", "c.yaml")
    assert done.code == 0, done.err
    assert any(line.split()[:1] == ["r2"] for line in done.out.splitlines())
