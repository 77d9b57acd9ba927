"""Own metrics and torchmetrics' have an interval by being called on samples drawn anew, or the reason why not."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from metrics.test_intervals import classes, numbers, sequences
from torchwork import rundir
from torchwork.metrics import custom, custom_intervals, final, intervals

MINE = """
import itertools
import numpy as np

calls = itertools.count()

def right(target, prediction):
    return (target == prediction).mean()

def away(target, prediction):
    return np.abs(target - prediction).mean()

def farthest(target, prediction):
    return np.abs(target - prediction).max()

def kinds(prediction):
    return float(len(np.unique(np.round(prediction, 3))))

def of_class(target, scores, names):
    return {name: scores[target == place, place].mean() for place, name in enumerate(names)}

def other_each_time(target):
    return float(next(calls))

def spoilt(target, prediction):
    target[:] = 0
    return (target == prediction).mean()

def exact(target, prediction):
    return sum(true == read for true, read in zip(target, prediction)) / len(target)
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "own_doubt.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_doubt", None)


def found(path, data, *names, groups=None):
    specs = [{"name": f"own_doubt:{name}" if name[0].islower() else name} for name in names]
    metrics = custom.of_split(specs, path, data).metrics
    return metrics, custom_intervals.of_split(specs, path, data, metrics, groups)


def test_a_share_and_a_mean_have_the_intervals_that_they_have_under_torchworks_own_names(tmp_path):
    path, data = classes(tmp_path)
    known = intervals.of_split(path, data, final.from_predictions(path, data))["metrics"]["accuracy"]
    metrics, said = found(path, data, "right", "CohenKappa")
    assert set(said) == {"right", "CohenKappa"}
    for name, value in metrics.items():
        assert said[name]["low"] < value < said[name]["high"], name
        assert said[name]["method"] == "bootstrap"
    width = known["high"] - known["low"]
    assert said["right"]["low"] == pytest.approx(known["low"], abs=0.15 * width)
    assert said["right"]["high"] == pytest.approx(known["high"], abs=0.15 * width)


def test_numbers_texts_and_several_at_once_have_theirs_and_what_a_function_does_to_its_arrays_stays_there(tmp_path):
    path, data = numbers(tmp_path, names=("height",))
    known = intervals.of_split(path, data, final.from_predictions(path, data))["metrics"]["mae"]
    said = found(path, data, "away")[1]["away"]
    assert (said["low"], said["high"]) == pytest.approx((known["low"], known["high"]), rel=0.05)
    path, data = classes(tmp_path)
    metrics, said = found(path, data, "of_class", "spoilt")
    assert {name for name, one in said.items() if "low" in one} == set(metrics)
    assert len(metrics) == 5
    path, data = sequences(tmp_path)
    assert "low" in found(path, data, "exact")[1]["exact"]


def test_the_same_predictions_give_the_same_intervals(tmp_path):
    path, data = classes(tmp_path)
    assert found(path, data, "right") == found(path, data, "right")


def test_groups_are_drawn_whole(tmp_path):
    path, data = classes(tmp_path, num=100)
    lines = [list(row.values()) for row in rundir.read_csv(path)]
    many = tmp_path / "predictions-val.csv"
    rundir.write_csv(many, list(rundir.read_csv(path)[0]), [[i, *lines[i % 100][1:]] for i in range(500)])
    widths = [
        one["high"] - one["low"]
        for where, groups in ((path, None), (many, None), (many, [str(i % 100) for i in range(500)]))
        for one in [found(where, data, "right", groups=groups)[1]["right"]]
    ]
    assert widths[2] == pytest.approx(widths[0], rel=0.2)
    assert widths[1] < 0.6 * widths[0]


@pytest.mark.parametrize(
    ("name", "number", "why"),
    [
        ("farthest", 80, "moves it to one side|rests on about|gives no other value"),
        ("kinds", 80, "moves it to one side|does not|gives no other value"),
        ("other_each_time", 80, "gives another number"),
        ("away", 12, "there are 12 samples, fewer than 20"),
    ],
)
def test_where_an_interval_would_say_nothing_stands_the_reason(tmp_path, name, number, why):
    path, data = numbers(tmp_path, num=number, names=("height",))
    (said,) = found(path, data, name)[1].values()
    assert set(said) == {"reason"}
    assert any(part in said["reason"] for part in why.split("|")), said


def test_a_rare_class_and_a_slow_function_have_the_reason(tmp_path, monkeypatch):
    path, data = classes(tmp_path)
    data["classes"] = [*data["classes"], "rare"]
    lines = rundir.read_csv(path)
    for line in lines[:3]:
        line["target"] = "rare"
    rundir.write_csv(path, list(lines[0]), [list(line.values()) for line in lines])
    specs = [{"name": "own_doubt:right"}]
    metrics = custom.of_split(specs, path, data).metrics
    said = custom_intervals.of_split(specs, path, data, metrics)
    assert said["right"] == {"reason": "rare has 3 samples, fewer than 5"}
    path, data = classes(tmp_path)
    monkeypatch.setattr(custom_intervals, "MOST_SECONDS", 1e-6)
    said = found(path, data, "right")[1]["right"]
    assert "one call takes" in said["reason"]
    assert "needs 600 of them" in said["reason"]


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_intervals_of_own_metrics_cover_the_truth(tmp_path):
    hits = {"right": [], "CohenKappa": []}
    for repeat in range(60):
        for num in (30, 100, 400):
            path, data = classes(tmp_path, num=num, seed=repeat)
            said = found(path, data, "right", "CohenKappa")[1]
            for name in ("right", "CohenKappa"):
                if "low" in said[name]:
                    hits[name].append((said[name]["low"], said[name]["high"]))
    path, data = classes(tmp_path, num=40_000, seed=10_000)
    truth = custom.of_split([{"name": "own_doubt:right"}, {"name": "CohenKappa"}], path, data).metrics
    for name, value in truth.items():
        assert np.mean([low <= value <= high for low, high in hits[name]]) >= 0.9, name
