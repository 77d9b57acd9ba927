"""Loggers: what the real packages wrote on disk, offline, is read back by the packages themselves."""

from __future__ import annotations

import importlib
import math
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import torchwork
from logs import wandb_file
from torchwork import rundir
from torchwork.logs import LOGS
from torchwork.logs.opened import check
from torchwork.training.interrupt import Interrupted
from torchwork.types import InputError

IRIS = {
    "name": "iris",
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 8},  # 14 steps an epoch
    "model": {"name": "MLP", "hidden": [4]},
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "train": {"epochs": 3},
    "log": ["tensorboard", "mlflow", "wandb"],
}
STEPS, EVERY = 14, 2
# the variables that lead to other places, or to the network
PLACES = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_DIR")


class StopAt:
    """Asks to stop at a step, as a scheduler would; keeps what is said."""

    def __init__(self, index: int = 0, crash: bool = False) -> None:
        self.index, self.crash, self.said = index, crash, []

    def step(self, step: Any, epoch: int) -> None:
        if step.index == self.index and self.crash:
            raise ZeroDivisionError("a mistake somewhere")
        if step.index == self.index:
            signal.raise_signal(signal.SIGTERM)

    def message(self, text: str) -> None:
        self.said.append(text)

    def start(self, *_: Any) -> None: ...
    def epoch(self, row: Any) -> None: ...
    def finding(self, found: Any) -> None: ...
    def stop(self) -> None: ...


METRICS = {
    "val": {"loss": 0.5, "accuracy": 0.75, "roc_auc": 0.9, "roc_auc/a<b>": 1.0},
    "test": {"loss": 0.25, "accuracy": 0.5, "roc_auc": "NaN", "roc_auc/a<b>": 0.875},
}


def finish(parts: Any, directory: Path, *_: Any, **__: Any) -> None:
    """What stands for the end of a run, its evaluation and report, which takes longer than the training."""
    rundir.write_json(directory / rundir.METRICS, METRICS)
    (directory / rundir.REPORT).write_text("<title>report</title>")
    (directory / rundir.PLOTS / "loss.svg").write_text("<svg/>")


@pytest.fixture(scope="module", autouse=True)
def _training_alone():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torchwork.finishing.finish", finish)
        for name in PLACES:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run from end to end, and what was said."""
    said = StopAt()
    run = torchwork.train(IRIS, out=tmp_path_factory.mktemp("logged") / "7", progress=said)
    return run, said.said


@pytest.fixture(scope="module", params=["stopped", "crashed"])
def stopped(request, tmp_path_factory):
    """The same run, which ended in the middle of its second epoch and was gone on with.

    One that was stopped goes on from there; one that crashed from the end of the first epoch, so that steps come again.
    """
    out = tmp_path_factory.mktemp("stopped") / "run"
    crash = request.param == "crashed"
    with pytest.raises(ZeroDivisionError if crash else Interrupted):
        torchwork.train(IRIS, out=out, progress=StopAt(STEPS + 5, crash))
    return torchwork.resume(out)


def tensorboard(run: torchwork.Run) -> dict[str, list[tuple[int, float]]]:
    accumulator = _accumulator(run)
    return {name: [(e.step, e.value) for e in accumulator.Scalars(name)] for name in accumulator.Tags()["scalars"]}


def _accumulator(run: torchwork.Run) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run.path / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    accumulator.Reload()
    return accumulator


def _client(run: torchwork.Run) -> Any:
    from mlflow.tracking import MlflowClient

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        return MlflowClient(tracking_uri=(run.path / "mlflow").absolute().as_uri())


def _mlflow_run(run: torchwork.Run) -> Any:
    return _client(run).get_run(rundir.read_json(run.path / rundir.LOGS)["mlflow"]["run_id"])


def mlflow(run: torchwork.Run) -> dict[str, list[tuple[int, float]]]:
    client, found = _client(run), _mlflow_run(run)
    names = found.data.metrics
    return {n: [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, n)] for n in names}


def _wandb_files(run: torchwork.Run) -> list[Path]:
    return sorted((run.path / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)


def wandb(run: torchwork.Run) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for path in _wandb_files(run):
        for row in wandb_file.history(path):
            for name, value in row.items():
                if not name.startswith(("_", "report")):
                    found.setdefault(name, []).append((row["_step"], value))
    return found


READERS: dict[str, Callable[[torchwork.Run], dict[str, list[tuple[int, float]]]]] = {
    "tensorboard": tensorboard,
    "mlflow": mlflow,
    "wandb": wandb,
}


def test_every_logger_is_read_back():
    assert set(READERS) == set(LOGS)


@pytest.mark.parametrize("name", READERS)
def test_the_rows_of_the_epochs_are_in_the_log(straight, name):
    run, _ = straight
    logged = READERS[name](run)
    columns = [column for column in run.history[0] if column != "step"]
    for column in columns:
        expected = [(row["step"], pytest.approx(row[column], rel=1e-6)) for row in run.history]
        assert logged[column] == expected, column


@pytest.mark.parametrize("name", READERS)
def test_the_losses_of_some_steps_are_in_the_log(straight, name):
    run, _ = straight
    logged = READERS[name](run)
    steps = [step for step, _ in logged["step/loss"]]
    assert steps == list(range(EVERY, 3 * STEPS + 1, EVERY))
    assert logged["step/lr"] == [(step, pytest.approx(0.01)) for step in steps]


@pytest.mark.parametrize("name", READERS)
def test_a_run_that_was_stopped_has_the_log_of_one_that_was_not(straight, stopped, name):
    expected, logged = READERS[name](straight[0]), READERS[name](stopped)
    timed = {"seconds", "waited"}
    assert logged.keys() == expected.keys()
    for column in logged.keys() - timed:
        steps = [step for step, _ in logged[column]]
        assert steps == sorted(set(steps)), "no step comes twice or goes back"
        assert str(logged[column]) == str(expected[column]), column


def test_tensorboard_has_the_config_the_pictures_and_the_hyperparameters(straight):
    run, _ = straight
    accumulator = _accumulator(run)
    text = accumulator.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "batch_size: 8" in text
    assert accumulator.PluginTagToContent("hparams")
    assert accumulator.Scalars("test/accuracy")[-1].value == 0.5
    assert accumulator.Scalars("test/roc_auc/a<b>")[-1].value == 0.875
    assert math.isnan(accumulator.Scalars("test/roc_auc")[-1].value)


def test_tensorboard_shows_the_pictures_of_samples(tmp_path):
    images = {**IRIS, "data": {"source": "Digits", "batch_size": 600}, "train": {"epochs": 1}, "log": ["tensorboard"]}
    run = torchwork.train(images, out=tmp_path / "run")
    assert "samples/train-batch" in _accumulator(run).Tags()["images"]


def test_mlflow_has_the_config_the_final_metrics_the_report_and_the_plots(straight):
    run, said = straight
    assert not [text for text in said if "switched off" in text]
    found = _mlflow_run(run)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "iris/7"
    assert found.data.params["optimizer.lr"] == "0.01"
    assert found.data.params["data.source.name"] == "Iris"
    assert found.data.metrics["test/accuracy"] == 0.5
    assert found.data.metrics["test/roc_auc.a_b_"] == 0.875
    assert math.isnan(found.data.metrics["test/roc_auc"])
    client = _client(run)
    files = {file.path for file in client.list_artifacts(found.info.run_id)}
    assert {"config.yaml", "metrics.json", "report.html", "plots"} <= files
    assert client.list_artifacts(found.info.run_id, "plots")


def test_wandb_has_the_config_the_final_metrics_and_the_report(straight):
    run, _ = straight
    (path,) = _wandb_files(run)
    number, settings = wandb_file.run(path)
    assert number == rundir.read_json(run.path / rundir.LOGS)["wandb"]["id"]
    assert settings["optimizer"] == {"name": "Adam", "lr": 0.01} | settings["optimizer"]
    summary = wandb_file.summary(path)
    assert summary["test/accuracy"] == 0.5
    assert summary["test/roc_auc/a<b>"] == 0.875
    page = next((path.parent / "files" / "media" / "html").glob("report_*.html"))
    assert "<title>" in page.read_text(encoding="utf-8")


def test_a_run_that_goes_on_stays_under_the_same_names(stopped):
    known = rundir.read_json(stopped.path / rundir.LOGS)
    assert {wandb_file.run(path)[0] for path in _wandb_files(stopped)} == {known["wandb"]["id"]}
    assert len(_wandb_files(stopped)) == 2
    client = _client(stopped)
    experiments = [e.experiment_id for e in client.search_experiments()]
    assert [found.info.run_id for found in client.search_runs(experiments)] == [known["mlflow"]["run_id"]]


def test_where_to_look_is_said_at_the_end(straight):
    run, said = straight
    assert f"tensorboard --logdir {run.path}/tensorboard" in "\n".join(said)
    assert any(text.startswith("mlflow: look at it by: MLFLOW_ALLOW_FILE_STORE=true mlflow ui") for text in said)
    assert any("send it by: wandb sync" in text for text in said)
    assert "wandb sync" in (run.path / rundir.LOG).read_text()


def test_nothing_is_sent_by_default(straight):
    """Counting its users, and reports of errors, are what these packages do unless told not to."""
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ


def test_the_model_is_the_same_with_and_without_logs(straight, tmp_path):
    plain = torchwork.train({**IRIS, "log": []}, out=tmp_path / "plain")
    assert [row["train_loss"] for row in plain.history] == [row["train_loss"] for row in straight[0].history]
    assert not (plain.path / rundir.LOGS).exists()


def test_mlflow_goes_where_its_variable_points(tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "all").as_uri())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "flowers")
    run = torchwork.train({**IRIS, "log": ["mlflow"]}, out=tmp_path / "run")
    assert not (run.path / "mlflow").exists()
    client = MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("flowers").experiment_id])
    assert found.data.metrics["test/accuracy"] == 0.5


class Breaking:
    """A logger of a user's own that fails at one of its calls."""

    def __init__(self, job: Any, at: str) -> None:
        self.at, self.calls = at, 0
        self._fail("start")

    def _fail(self, here: str) -> None:
        if self.at == here:
            raise OSError(28, "No space left on device")

    def numbers(self, step: int, values: Any) -> None:
        self.calls += 1
        assert self.calls == 1 or self.at != "numbers", "it is switched off"
        self._fail("numbers")

    def end(self, step: int, metrics: Any) -> None:
        self._fail("end")

    def close(self, status: str) -> str:
        self._fail("close")
        return "kept"


@pytest.mark.parametrize("at", ["start", "numbers", "end", "close", "never"])
def test_a_logger_that_fails_is_told_of_once_and_ends_nothing(tmp_path, monkeypatch, at):
    monkeypatch.setitem(sys.modules, "loggers_of_mine", sys.modules[__name__])
    said = StopAt()
    log = [{"name": "loggers_of_mine:Breaking", "at": at}, "tensorboard"]
    run = torchwork.train({**IRIS, "train": {"epochs": 2}, "log": log}, out=tmp_path / "run", progress=said)
    warned = [text for text in said.said if "switched off" in text]
    assert len(warned) == (at != "never")
    assert all("No space left on device" in text for text in warned)
    assert len(tensorboard(run)["val_loss"]) == 2, "the other one goes on"
    assert ("kept" in said.said) == (at == "never")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # tensorboard's writer raises twice
def test_a_disk_that_takes_no_more_events_ends_nothing(tmp_path, monkeypatch):
    from tensorboard.summary.writer.record_writer import RecordWriter

    written = RecordWriter.write
    count = iter(range(1000))

    def write(self: Any, data: bytes) -> None:
        if next(count) > 10:
            raise OSError(28, "No space left on device")
        written(self, data)

    monkeypatch.setattr(RecordWriter, "write", write)
    said = StopAt()
    run = torchwork.train({**IRIS, "log": ["tensorboard"]}, out=tmp_path / "run", progress=said)
    assert len(run.history) == 3
    assert len([text for text in said.said if "tensorboard fails and is switched off" in text]) == 1


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "tensorboard"), ("mlflow", "mlflow"), ("wandb", "wandb")])
def test_a_package_that_is_missing_is_told_before_training_with_the_command(tmp_path, monkeypatch, name, module):
    for loaded in [found for found in sys.modules if found == module or found.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError) as wrong:
        torchwork.train({**IRIS, "log": [name], "device": "cuda:7"}, out=tmp_path / "run")
    found = {finding.where: finding for finding in wrong.value.findings}
    assert found["log[0]"].fix == f"pip install 'torchwork[{name}]'"
    assert "device" in found, "all at once"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (["tensorbord"], "did you mean 'tensorboard'?"),
        ("wandb", "write a list: [wandb]"),
        ([{"name": "wandb", "mode": "loud"}], "expected"),
        ([{"name": "mlflow", "job": 1}], "it is this run"),
        (["tensorboard", "tensorboard"], "named twice"),
        (["nowhere:Logger"], "cannot import"),
    ],
)
def test_wrong_loggers_are_told_before_training(tmp_path, log, said):
    with pytest.raises(InputError, match=re.escape(said)):
        torchwork.train({**IRIS, "log": log}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_package_that_fails_at_its_import_is_told(monkeypatch):
    module = importlib.import_module(LOGS["wandb"].partition(":")[0])
    monkeypatch.setattr(module, "require", lambda: (_ for _ in ()).throw(TypeError("Descriptors cannot be created")))
    (found,) = check([{"name": "wandb"}])
    assert "TypeError: Descriptors cannot be created" in found.message
