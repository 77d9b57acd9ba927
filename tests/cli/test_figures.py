"""The table of figures shows intervals and baseline of the last split where there are such, and what is missing."""

from __future__ import annotations

import pytest

from torchwork import rundir
from torchwork.cli import figures

METRICS = {"val": {"loss": 0.5, "accuracy": 0.91, "f1/cat": 1.0}, "test": {"loss": 0.25, "accuracy": 0.9888}}


def write(run, name, content):
    rundir.write_json(run / name, content)


def printed(capsys, run, metrics=METRICS):
    figures.print_figures(run, metrics)
    return capsys.readouterr().out.splitlines()


def test_intervals_and_baselines_of_the_last_split_stand_beside_its_figures(tmp_path, capsys):
    accuracy = {"low": 0.968, "high": 0.996, "method": "Wilson"}
    write(tmp_path, rundir.INTERVALS, {"test": {"n": 9, "metrics": {"accuracy": accuracy, "loss": {"reason": "few"}}}})
    write(tmp_path, rundir.BASELINES, {"test": {"name": "the most frequent: cat", "metrics": {"accuracy": 0.1}}})
    assert printed(capsys, tmp_path) == [
        "",
        "figures",
        "             val    test   95% interval  baseline",
        "loss      0.5000  0.2500",
        "accuracy  0.9100  0.9888  0.9680–0.9960    0.1000",
        "",
        "baseline: the most frequent: cat",
    ]


def test_no_dash_stands_before_a_minus(tmp_path, capsys):
    write(tmp_path, rundir.INTERVALS, {"test": {"metrics": {"loss": {"low": -0.5, "high": 0.25}}}})
    assert printed(capsys, tmp_path)[3] == "loss      0.5000  0.2500  -0.5000 to 0.2500"


def test_a_run_without_them_has_its_figures_alone(tmp_path, capsys):
    assert printed(capsys, tmp_path)[2:] == [
        "             val    test",
        "loss      0.5000  0.2500",
        "accuracy  0.9100  0.9888",
    ]
    assert printed(capsys, tmp_path, {}) == []


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"test": 3}', '{"test": {"metrics": [1]}}', '{"test": {"metrics": 1}}']
)
def test_files_that_are_damaged_break_nothing(tmp_path, capsys, content):
    for name in (rundir.INTERVALS, rundir.BASELINES, rundir.UNDEFINED):
        (tmp_path / name).write_text(content)
    assert printed(capsys, tmp_path)[4] == "accuracy  0.9100  0.9888"


def test_what_is_not_defined_is_said_once_for_each_reason(tmp_path, capsys):
    reason = "3 of 4 classes do not occur: a, b\nc"
    missing = {"roc_auc": reason, "average_precision": reason, "roc_auc/a": "it does not occur", "own": "x" * 300}
    write(tmp_path, rundir.UNDEFINED, {"val": {"brier": "no"}, "test": missing})
    assert printed(capsys, tmp_path)[5:] == [
        "",
        "not defined on test: roc_auc, average_precision: 3 of 4 classes do not occur: a, b c",
        f"not defined on test: own: {'x' * 100}…",
    ]


def test_numbers_that_are_none_are_shown_as_such(tmp_path, capsys):
    assert printed(capsys, tmp_path, {"val": {"loss": "NaN", "rmse": 1e-9}})[3:] == ["loss    NaN", "rmse  1e-09"]
