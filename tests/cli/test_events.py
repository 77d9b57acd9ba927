"""What a program reads: one JSON object a line, and nothing else on standard output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from torchwork import rundir
from torchwork.progress.events import Events

IRIS = {
    "data": {"source": "Iris", "batch_size": 16},
    "model": {"name": "MLP", "hidden": [4]},
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "train": {"epochs": 2},
}
METRICS = {"val": {"accuracy": 1.0}, "test": {"accuracy": 0.5, "roc_auc": "NaN"}}
LOUD = """
import os
from torch import nn

class Loud(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)

    def forward(self, x):
        print("printed")
        os.write(1, b"written\\n")
        return super().forward(x)
"""
ALONE = """
import sys
from torchwork import finishing, rundir
from torchwork.cli import main
finishing.finish = lambda _, to, *o, **__: rundir.write_json(to / rundir.METRICS, {"test": {"loss": 1.0}})
main(sys.argv[1:])
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config, whose runs end without the evaluation and the report, which take longer than the training."""

    def finish(parts: Any, directory: Path, *_: Any, **__: Any) -> None:
        rundir.write_json(directory / rundir.METRICS, METRICS)

    monkeypatch.setattr("torchwork.finishing.finish", finish)
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(IRIS))
    return path


def _events(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_training_is_told_in_events_and_the_last_holds_path_and_metrics(torchwork, config, tmp_path):
    done = torchwork("train", config, "--json", "--out", "run")
    assert (done.code, done.err) == (0, "")
    start, *epochs, end = _events(done.out)
    ahead = {"epochs": 2, "first_epoch": 1, "steps_per_epoch": 7, "samples_per_epoch": 105, "monitor": "val_loss"}
    assert start == {"event": "start", "run": "run", **ahead}
    rows = rundir.read_history(tmp_path / "run")
    assert [event["event"] for event in epochs] == ["epoch", "epoch"]
    for event, row in zip(epochs, rows, strict=True):
        assert {name: pytest.approx(event[name]) for name in row} == row
        assert event["best"] is True
    assert end == {"event": "end", "run": "run", "metrics": METRICS, "report": None}


def test_findings_are_events_with_all_their_parts(torchwork, config):
    done = torchwork("train", config, "model.dropout=0.5", "train.accumulate=2", "--json", "--out", "run")
    findings = [event for event in _events(done.out) if event["event"] == "finding"]
    assert findings
    assert all(set(event) == {"event", "code", "severity", "where", "message", "fix"} for event in findings)


def test_going_on_and_evaluating_are_told_in_events_too(torchwork, config, monkeypatch):
    torchwork("train", config, "--quiet", "--out", "run")
    done = torchwork("resume", "run", "--json")
    message, end = _events(done.out)
    assert (message["event"], end["event"], end["metrics"]) == ("message", "end", METRICS)
    monkeypatch.setattr("torchwork.run.evaluate", lambda *_, **__: {"val": {"loss": float("inf")}})
    done = torchwork("evaluate", "run", "--json")
    (end,) = _events(done.out)
    assert (end["event"], end["run"], end["metrics"]) == ("end", "run", {"val": {"loss": "Infinity"}})
    assert end["report"] == "run/report.html"


def test_all_folds_end_in_one_event_with_mean_and_spread(torchwork, config):
    done = torchwork("train", config, "train.epochs=1", "--folds", 2, "--json", "--out", "all")
    events = _events(done.out)
    assert [event["event"] for event in events].count("start") == 2
    assert events[-1]["run"] == "all"
    expected = {"mean": 0.5, "std": 0.0, "low": "NaN", "high": "NaN", "values": [0.5, 0.5]}
    assert events[-1]["metrics"]["test"]["accuracy"] == expected


@pytest.mark.parametrize("command", [["train", "c.yaml", "train.epochs=0", "optimizer.lrr=1"], ["resume", "nowhere"]])
def test_mistakes_are_one_object_on_standard_error(torchwork, config, command):
    done = torchwork(*command, "--json")
    assert (done.code, done.out) == (2, "")
    (error,) = _events(done.err)
    assert (error["event"], error["exit"]) == ("error", 2)
    assert error["findings"]
    assert all(found["where"] in error["message"] for found in error["findings"])


def test_what_fails_on_the_way_is_an_object_too(torchwork, config, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by nobody")

    monkeypatch.setattr("torchwork.finishing.finish", fail)
    done = torchwork("train", config, "--json", "--out", "run")
    assert done.code == 1
    assert [event["event"] for event in _events(done.out)] == ["start", "epoch", "epoch"]
    (error,) = _events(done.err)
    assert (error["exit"], error["findings"]) == (1, [])
    assert "ZeroDivisionError: by nobody" in error["message"]


def test_whatever_else_is_printed_goes_to_standard_error(tmp_path):
    (tmp_path / "loud.py").write_text(LOUD)
    settings = {**IRIS, "model": "loud:Loud", "train": {"epochs": 1}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-c", ALONE, "train", "c.yaml", "--json", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [event["event"] for event in _events(done.stdout)] == ["start", "epoch", "end"]
    assert {"printed", "written"} <= set(done.stderr.splitlines())


def test_texts_that_no_encoding_takes_are_written_still(tmp_path):
    with open(tmp_path / "out", "wb") as out:
        Events(out).message("caf\udce9 \n 猫")
    (event,) = _events((tmp_path / "out").read_text(encoding="utf-8"))
    assert event["text"].endswith("猫")
