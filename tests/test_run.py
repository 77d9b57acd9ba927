"""Runs from end to end: exact, durable, and the same when they stop in between."""

import itertools
import json
import signal

import numpy as np
import pytest
import torch
from torch import nn

import torchwork
import torchwork.assembly
from torchwork import config, rundir
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError, RunError

IRIS = {
    "name": "iris",
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16},
    "model": {"name": "MLP", "hidden": [16], "dropout": 0.3},
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "train": {"epochs": 4},
}
DIGITS = {
    "name": "digits",
    "data": {
        "source": "Digits",
        "transform": ["Normalize"],
        "augment": [{"name": "RandomCrop", "size": 8, "padding": 1}, "RandomHorizontalFlip"],
        "batch_size": 100,
    },
    "model": {"name": "MLP", "hidden": [32], "dropout": 0.2},
    "optimizer": {"name": "SGD", "lr": 0.1, "momentum": 0.9},
    "schedule": {"name": "OneCycleLR", "max_lr": 0.2},
    "train": {"epochs": 3, "accumulate": 2},
}
SCHEDULES = [
    None,
    {"name": "CosineAnnealingLR", "warmup_steps": 5},
    {"name": "ReduceLROnPlateau", "patience": 0, "factor": 0.5},
    {"name": "OneCycleLR", "max_lr": 0.1},
]
FILES = [
    rundir.CONFIG,
    rundir.ENVIRONMENT,
    rundir.DATA,
    rundir.FITTED,
    rundir.SPLIT,
    rundir.HISTORY,
    rundir.LOG,
    rundir.CHECKPOINTS,
    rundir.MODEL,
    rundir.SAMPLES,
    rundir.ARRAYS,
    rundir.METRICS,
    rundir.REPORT,
    rundir.PLOTS,
    "predictions-val.csv",
    "predictions-test.csv",
]


def weights(run):
    return (run.path / rundir.MODEL).read_bytes()


def history(run):
    return [{k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in run.history]


def stop_at(step):
    """Send this process SIGTERM as a scheduler would, when the run reaches a step."""

    class Stopper:
        def start(self, *_):
            pass

        def step(self, seen, epoch):
            if seen.index == step:
                signal.raise_signal(signal.SIGTERM)

        def epoch(self, row):
            pass

        message = finding = epoch
        stop = start

    return Stopper()


def test_a_run_leaves_every_file_of_the_design(tmp_path):
    run = torchwork.train(IRIS, out=tmp_path / "run")
    assert [name for name in FILES if not (run.path / name).exists()] == []
    assert set(run.metrics) == {"val", "test"}
    for figures in run.metrics.values():
        assert all(isinstance(value, int | float) for value in figures.values())
    assert run.metrics["test"]["accuracy"] > 0.8


def test_runs_without_out_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = {**IRIS, "train": {"epochs": 1}}
    assert [str(torchwork.train(short).path) for _ in range(2)] == ["runs/iris/1", "runs/iris/2"]


@pytest.mark.parametrize("settings", [IRIS, DIGITS], ids=["iris", "digits"])
def test_two_runs_of_one_config_are_equal_whatever_global_generators_do(settings, tmp_path):
    runs = []
    for place in ("a", "b"):
        torch.manual_seed(ord(place))
        np.random.seed(ord(place))
        runs.append(torchwork.train(settings, out=tmp_path / place))
    assert weights(runs[0]) == weights(runs[1])
    assert history(runs[0]) == history(runs[1])
    assert runs[0].metrics == runs[1].metrics


def test_another_seed_gives_other_weights(tmp_path):
    runs = [torchwork.train({**IRIS, "seed": seed}, out=tmp_path / str(seed)) for seed in (0, 1)]
    assert weights(runs[0]) != weights(runs[1])


def test_training_leaves_the_users_generators_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    torchwork.train({**IRIS, "train": {"epochs": 1}}, out=tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


def test_the_resolved_config_gives_the_same_run(tmp_path):
    first = torchwork.train(DIGITS, out=tmp_path / "first")
    again = torchwork.train(first.path / rundir.CONFIG, out=tmp_path / "again")
    assert weights(first) == weights(again)
    assert config.load(first.path / rundir.CONFIG) == config.load(again.path / rundir.CONFIG)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s["name"] if s else "none")
@pytest.mark.parametrize("step", [7, 14, 15, 27])  # 7 steps an epoch: at a border, just after one, in the middle
def test_a_run_that_stops_and_resumes_equals_a_straight_one(step, schedule, tmp_path):
    settings = {**IRIS, "schedule": schedule}
    straight = torchwork.train(settings, out=tmp_path / "straight")
    with pytest.raises(Interrupted, match=f"stopped after step {step}.*torchwork resume"):
        torchwork.train(settings, out=tmp_path / "stopped", progress=stop_at(step))
    assert not (tmp_path / "stopped" / rundir.MODEL).exists()
    resumed = torchwork.resume(tmp_path / "stopped")
    assert weights(resumed) == weights(straight)
    assert history(resumed) == history(straight)
    assert resumed.metrics == straight.metrics
    for split in ("val", "test"):
        name = rundir.predictions(split)
        assert (resumed.path / name).read_bytes() == (straight.path / name).read_bytes()


def test_augmented_accumulated_runs_resume_in_the_middle_of_an_epoch(tmp_path):
    straight = torchwork.train(DIGITS, out=tmp_path / "straight")
    for step in (3, 9):
        place = tmp_path / str(step)
        with pytest.raises(Interrupted):
            torchwork.train(DIGITS, out=place, progress=stop_at(step))
        assert weights(torchwork.resume(place)) == weights(straight)


def test_resuming_a_complete_run_changes_nothing(tmp_path):
    run = torchwork.train(IRIS, out=tmp_path / "run")
    before = weights(run)
    assert weights(torchwork.resume(run.path)) == before


def test_the_best_epoch_gives_the_weights(tmp_path):
    settings = {**IRIS, "optimizer": {"name": "SGD", "lr": 1.0}, "train": {"epochs": 6, "monitor": "val_accuracy"}}
    run = torchwork.train(settings, out=tmp_path / "run")
    best = max(row["val_accuracy"] for row in run.history)
    assert run.metrics["val"]["accuracy"] == pytest.approx(best, abs=1e-8)


def test_patience_stops_after_epochs_without_gain(tmp_path):
    settings = {**IRIS, "optimizer": {"name": "SGD", "lr": 1e-12}, "train": {"epochs": 50, "patience": 2}}
    settings["model"] = {"name": "MLP", "hidden": [4]}
    run = torchwork.train(settings, out=tmp_path / "run")
    losses = [row["val_loss"] for row in run.history]
    best = losses.index(min(losses))
    assert len(losses) == best + 3 < 50


def test_a_loss_that_becomes_infinite_stops_the_run_and_keeps_the_last_checkpoint(tmp_path):
    settings = {**IRIS, "optimizer": {"name": "SGD", "lr": 1e30}, "loss": "CrossEntropyLoss"}
    settings["model"] = {"name": "MLP", "hidden": [4]}
    with pytest.raises(RunError, match=r"^step \d+ \(epoch 1\): the loss is (nan|inf); samples \d+"):
        torchwork.train(settings, out=tmp_path / "run")
    assert "failed: step 2 (epoch 1): the loss is" in (tmp_path / "run" / rundir.LOG).read_text()


def test_a_loaded_run_predicts_as_it_was_evaluated(tmp_path):
    run = torchwork.train(IRIS, out=tmp_path / "run")
    rows = rundir.read_csv(run.path / "predictions-test.csv")
    from sklearn.datasets import load_iris

    found = torchwork.load(run.path).predict(load_iris().data[[int(row["id"]) for row in rows]])
    assert [row["prediction"] for row in found] == [row["prediction"] for row in rows]
    for one, row in zip(found, rows, strict=True):
        assert one["probability"] == pytest.approx(max(one["scores"].values()))
        for name, score in one["scores"].items():
            assert score == pytest.approx(float(row[f"score_{name}"]), rel=1e-5)


def test_arrays_that_must_not_be_written_to_are_predicted_without_a_warning(tmp_path):
    run = torchwork.train({**DIGITS, "train": {"epochs": 1}}, out=tmp_path / "run")
    images = np.frombuffer(bytes(range(64)) * 3, np.uint8).reshape(3, 8, 8)
    assert len(run.predict(images)) == 3


def test_evaluating_again_gives_the_same_figures(tmp_path):
    run = torchwork.train(IRIS, out=tmp_path / "run")
    assert torchwork.evaluate(run.path) == run.metrics
    assert set(torchwork.evaluate(run.path, ["train"])) == {"train"}
    assert set(run.metrics) == {"val", "test", "train"}
    with pytest.raises(InputError, match="no split 'holdout'"):
        torchwork.evaluate(run.path, ["holdout"])


def test_data_that_changed_are_refused_when_going_on(tmp_path):
    table = tmp_path / "t.csv"
    lines = ["x,y,label"] + [f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(60)]
    table.write_text("\n".join(lines))
    settings = {
        "data": {"source": {"name": "Table", "path": str(table), "target": "label"}, "batch_size": 16},
        "model": "MLP",
        "optimizer": "SGD",
        "train": {"epochs": 2},
    }
    run = torchwork.train(settings, out=tmp_path / "run")
    table.write_text("\n".join([*lines[:-1], "1,1,a"]))
    with pytest.raises(InputError, match=r"the data are not those of .*: row 60;"):
        torchwork.evaluate(run.path)


def test_float64_runs_are_float64_throughout(tmp_path):
    run = torchwork.train({**IRIS, "train": {"epochs": 1, "precision": "fp64"}}, out=tmp_path / "run")
    assert {p.dtype for p in run.model.parameters()} == {torch.float64}
    assert run.pipeline.dtype == torch.float64


def test_the_training_loss_is_the_mean_over_the_samples_that_were_used(tmp_path):
    settings = {
        **IRIS,
        "data": {**IRIS["data"], "drop_last": True},
        "optimizer": {"name": "SGD", "lr": 0.0},
        "model": {"name": "MLP", "hidden": [4]},
        "train": {"epochs": 1, "threads": 1},
    }
    run = torchwork.train(settings, out=tmp_path / "run")
    parts = torchwork.assembly.assemble(config.load(settings))
    batches = list(parts.data.loaders["train"].batches(0))
    assert sum(len(batch.target) for batch in batches) == 96  # 6 full batches of 105 samples
    with torch.no_grad():
        outputs = parts.model(torch.cat([b.inputs for b in batches]))
        expected = nn.functional.cross_entropy(outputs, torch.cat([b.target for b in batches]))
    assert run.history[0]["train_loss"] == pytest.approx(expected.item(), rel=1e-6)


def test_metrics_json_is_a_number_for_each_metric_of_each_split(tmp_path):
    run = torchwork.train({**IRIS, "train": {"epochs": 1}}, out=tmp_path / "run")
    content = json.loads((run.path / rundir.METRICS).read_text())
    assert all(isinstance(v, int | float) for split in content.values() for v in split.values())


def test_without_val_the_last_weights_are_kept_and_the_run_goes_on_too(tmp_path):
    settings = {**IRIS, "data": {**IRIS["data"], "split": {"train": 0.8, "test": 0.2}}}
    straight = torchwork.train(settings, out=tmp_path / "straight")
    assert set(straight.metrics) == {"test"}
    assert "val_loss" not in straight.history[0]
    with pytest.raises(Interrupted):
        torchwork.train(settings, out=tmp_path / "stopped", progress=stop_at(10))
    assert weights(torchwork.resume(tmp_path / "stopped")) == weights(straight)


TASKS = {
    "binary": {
        "data": {"source": "BreastCancer", "transform": ["Normalize"]},
        "model": {"name": "MLP", "hidden": [8], "output_activation": "Sigmoid"},
        "loss": "BCELoss",
    },
    "regression": {
        "data": {"source": "Diabetes", "transform": ["Normalize"], "split": {"train": 0.8, "val": 0.2}},
        "model": {"name": "MLP", "hidden": [8]},
        "loss": "GaussianNLLLoss",
    },
    "multilabel": {
        "data": {"source": {"name": "DigitStrips", "target": "labels", "num_strips": 200, "min_digits": 1}},
        "model": {"name": "MLP", "hidden": [8]},
        "loss": "MultiLabelMarginLoss",
    },
    "ranking": {
        "data": {"source": "Diabetes", "transform": ["Normalize"]},
        "model": {"name": "MLP", "hidden": [8], "dropout": 0.2},
        "loss": "MarginRankingLoss",
    },
    "triplets": {
        "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 20},
        "model": {"name": "MLP", "hidden": [8], "out_features": 4},
        "loss": "TripletMarginLoss",
    },
    "mined": {
        "data": {"source": "Iris", "batch_size": 20, "pairs": {"mining": "semi-hard"}},
        "model": {"name": "MLP", "hidden": [8], "out_features": 4},
        "loss": "TripletMarginLoss",
    },
    "cosine": {
        "data": {"source": "Iris", "batch_size": 20},
        "model": {"name": "MLP", "hidden": [8], "out_features": 4},
        "loss": "CosineEmbeddingLoss",
    },
    "soft": {
        "data": {"source": "Iris", "transform": ["Normalize"]},
        "model": {"name": "MLP", "hidden": [8], "output_activation": "LogSoftmax"},
        "loss": "KLDivLoss",
    },
}


@pytest.mark.parametrize("name", TASKS)
def test_a_run_of_every_task_repeats_resumes_evaluates_and_predicts(name, tmp_path):
    settings = {"optimizer": {"name": "Adam", "lr": 1e-2}, "train": {"epochs": 2}, **TASKS[name]}
    run = torchwork.train(settings, out=tmp_path / "straight")
    with pytest.raises(Interrupted):
        torchwork.train(settings, out=tmp_path / "stopped", progress=stop_at(3))
    resumed = torchwork.resume(tmp_path / "stopped")
    assert weights(resumed) == weights(run)
    assert history(resumed) == history(run)
    assert torchwork.evaluate(run.path) == run.metrics
    source = torchwork.assembly.assemble(run.config).data.source
    found = run.predict(
        np.asarray(source.read(np.arange(3), epoch=0)[0]["numbers"]) if is_table(source) else images(source)
    )
    assert [set(row) >= {"name", "prediction"} for row in found] == [True] * 3


def is_table(source):
    return source.schema.inputs == "table"


def images(source):
    return source.read(np.arange(3), epoch=0)[0].numpy()


def test_a_file_of_pairs_must_have_rows_for_every_split(tmp_path):
    path = tmp_path / "pairs.csv"
    settings = {"optimizer": "Adam", **TASKS["cosine"]}
    parts = torchwork.assembly.assemble(config.load(settings))
    train = parts.data.splits["train"].tolist()
    path.write_text("\n".join(f"{a},{b}" for a, b in itertools.pairwise(train)))
    settings["data"] = {**settings["data"], "pairs": {"file": str(path)}}
    with pytest.raises(InputError, match=r"data\.pairs\.file: .* has no rows for val and test"):
        torchwork.train(settings, out=tmp_path / "run")


def test_a_teacher_that_is_not_there_is_told_at_its_place_in_the_config(tmp_path):
    settings = {"optimizer": "Adam", **TASKS["soft"]}
    settings["data"] = {**settings["data"], "target": {"run": str(tmp_path / "nothing")}}
    with pytest.raises(InputError, match=r"data\.target\.run: is not a run directory"):
        torchwork.train(settings, out=tmp_path / "run")
