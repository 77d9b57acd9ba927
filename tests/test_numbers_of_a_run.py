"""What a run writes beside its metrics: baselines, reasons, what val chose, and the metrics that its config adds."""

from __future__ import annotations

import sys

import pytest

import torchwork
from torchwork import folds, rundir
from torchwork.types import InputError

IRIS = {
    "name": "iris",
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 30},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "Adam", "lr": 2e-2},
    "train": {"epochs": 2, "threads": 1},
}
CANCER = IRIS | {"data": IRIS["data"] | {"source": "BreastCancer"}, "task": "binary"}
OWN = """
calls = []

def wrong(target, prediction):
    return float((target != prediction).mean())

def text(target):
    return "many"

def breaks(target):
    calls.append(len(target))
    if len(calls) > 1:
        raise ValueError("only once")
    return 1.0
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_numbers.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield "own_numbers"
    sys.modules.pop("own_numbers", None)


def test_a_run_of_two_classes_has_baselines_and_what_val_chose(tmp_path):
    run = torchwork.train(CANCER, out=tmp_path / "run")
    baselines = rundir.read_json(run.path / rundir.BASELINES)
    counts = run.data["train_targets"]["counts"]
    assert counts == list(run.data["class_counts"]["train"].values())
    for split in ("val", "test"):
        most = max(run.data["classes"], key=lambda name: run.data["class_counts"]["train"][name])
        assert baselines[split]["name"] == f"the most frequent class of train: {most}"
        share = run.data["class_counts"][split][most] / run.data["num_samples"][split]
        assert baselines[split]["metrics"]["accuracy"] == pytest.approx(share)
        assert baselines[split]["metrics"]["roc_auc"] == 0.5
        assert set(baselines[split]["metrics"]) <= set(run.metrics[split])
    chosen = rundir.read_json(run.path / rundir.CHOSEN)
    assert set(chosen) == {"temperature", "threshold"}
    for split in ("val", "test"):
        assert chosen["temperature"][split]["log_loss"][0] == pytest.approx(run.metrics[split]["log_loss"])
        f1 = run.metrics[split][f"f1/{run.data['classes'][1]}"]
        assert chosen["threshold"][split]["f1"][0] == pytest.approx(f1)
    before, after = chosen["temperature"]["val"]["log_loss"]
    assert after < before
    torchwork.evaluate(run.path, ["test"])
    assert rundir.read_json(run.path / rundir.CHOSEN) == chosen
    assert rundir.read_json(run.path / rundir.BASELINES) == baselines


def test_metrics_of_the_config_stand_among_the_others_and_one_that_fails_loses_nothing(tmp_path, own):
    specs = ["CohenKappa", f"{own}:wrong", f"{own}:breaks"]
    run = torchwork.train(IRIS | {"metrics": specs}, out=tmp_path / "run")
    for split in ("val", "test"):
        assert run.metrics[split]["wrong"] == pytest.approx(1 - run.metrics[split]["accuracy"])
        assert "CohenKappa" in run.metrics[split]
        reasons = rundir.read_json(run.path / rundir.UNDEFINED)[split]
        assert reasons["breaks"] == "it failed: ValueError: only once"
    assert (run.path / rundir.REPORT).is_file()


def test_a_metric_that_is_not_there_stops_before_training(tmp_path):
    wrong = IRIS | {"metrics": ["MeanSquaredError", "no_such_module:f"], "optimizer": {"name": "Adam", "lrr": 1}}
    with pytest.raises(InputError) as raised:
        torchwork.train(wrong, out=tmp_path / "run")
    places = {finding.where for finding in raised.value.findings}
    assert places == {"metrics[0]", "metrics[1]", "optimizer.lrr"}
    assert not (tmp_path / "run").exists()


def test_misspelt_metrics_are_told_with_those_that_cannot_be_imported_or_computed(tmp_path, own):
    wrong = [f"{own}:nope", "CohenKapa", f"{own}:text", "nomod:x", "torchmetrics.CohenKappa", f"{own}:wrong"]
    with pytest.raises(InputError) as raised:
        torchwork.train(IRIS | {"metrics": wrong}, out=tmp_path / "run")
    assert {finding.where: finding.code for finding in raised.value.findings} == {
        "metrics[0]": "no-attribute",
        "metrics[1]": "unknown-name",
        "metrics[2]": "metric-fails",
        "metrics[3]": "import-failed",
        "metrics[4]": "unknown-name",
    }
    gone = {"data": {"source": {"name": "CSV", "path": str(tmp_path / "gone.csv"), "target": "kind"}}}
    with pytest.raises(InputError) as raised:
        torchwork.train(IRIS | gone | {"metrics": wrong}, out=tmp_path / "run")
    assert {"metrics[1]", "metrics[4]"} < {finding.where for finding in raised.value.findings}
    assert not (tmp_path / "run").exists()


def test_a_metric_that_one_fold_lacks_has_no_mean_over_the_folds(tmp_path):
    done = torchwork.train_folds(IRIS, 2, out=tmp_path / "folds")
    path = done.runs[1] / rundir.METRICS
    metrics = rundir.read_json(path)
    del metrics["test"]["roc_auc"]
    rundir.write_json(path, metrics)
    names = {(figure.split, figure.metric) for figure in folds.over(done.runs)}
    assert ("test", "roc_auc") not in names
    assert {("val", "roc_auc"), ("test", "accuracy"), ("test", "brier")} <= names
