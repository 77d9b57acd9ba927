"""Whatever became of a run's directory, the report comes out, and says what is missing and why."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import torchwork
from report.made_run import classification, regression
from report.test_html import SCRIPT, Page
from torchwork import rundir
from torchwork.report import drawings, facts, html

CONFIG = Path(__file__).parents[2] / "examples" / "digits.yaml"
SMALL = ["train.epochs=2", "device=cpu"]
SLOW = pytest.mark.slow


class Killed(BaseException):
    """What ends a run as the system would: nobody catches it."""


class Killer:
    """Ends a run after its first step, or after its first epoch."""

    def __init__(self, when: str) -> None:
        self.when = when

    def start(self, *_: object) -> None: ...
    def stop(self) -> None: ...
    def message(self, text: str) -> None: ...

    def step(self, *_: object) -> None:
        if self.when == "step":
            raise Killed

    def epoch(self, row: object) -> None:
        if self.when == "epoch":
            raise Killed

    def __getattr__(self, name: str):
        return lambda *_, **__: None


def _cells(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def _page(directory: Path) -> Page:
    return Page(html.write(directory).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with everything that a run can hold: pictures, arrays, kernels, intervals."""
    return torchwork.train(CONFIG, overrides=SMALL, out=tmp_path_factory.mktemp("trained") / "run").path


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.parametrize(("when", "epochs"), [("step", 0), ("epoch", 1)])
def test_a_run_that_was_killed_has_a_report_that_says_how_far_it_came(tmp_path, when, epochs):
    with pytest.raises(Killed):
        torchwork.train(CONFIG, overrides=SMALL, out=tmp_path / "run", progress=Killer(when))
    page = _page(tmp_path / "run")
    assert f"The run has not come to its end: {epochs} of 2 epochs are on record." in page.text
    assert "metrics.json is not there: the report lacks the final numbers" in page.text
    assert f"torchwork resume {tmp_path / 'run'}" in page.text
    assert ("history.csv is not there: the report lacks the curves." in page.text) == (when == "step")
    assert "could not be" not in page.text


def test_a_whole_run_lacks_nothing(trained):
    page = Page((trained / rundir.REPORT).read_text(encoding="utf-8"))
    assert "What this report lacks" not in page.text
    for words in ("Results", "Confusion matrix", "Findings", "Time and cost", "evaluation on test", "multiply-adds"):
        assert words in page.text


@SLOW
def test_a_run_without_a_test_split_says_all_of_val(tmp_path):
    overrides = ["train.epochs=1", "device=cpu", "data.split={train: 0.8, val: 0.2, test: 0}"]
    page = _page(torchwork.train(CONFIG, overrides=overrides, out=tmp_path / "run").path)
    assert "On val the weights of epoch 1 have accuracy" in page.text
    assert "Each class, on val" in page.words
    assert "What this report lacks" not in page.text


def test_an_empty_test_set_is_named_and_the_rest_is_there(tmp_path):
    directory = classification(tmp_path / "run", ["cat", "dog"])
    path = directory / rundir.predictions("test")
    path.write_text(path.read_text().splitlines()[0] + "\n")
    rundir.write_json(directory / rundir.METRICS, {"val": {"accuracy": 0.5}, "test": {}})
    rundir.write_json(directory / rundir.UNDEFINED, {"test": {"accuracy": "there are no samples"}})
    page = _page(directory)
    assert "predictions-test.csv cannot be read: it holds no rows: the report lacks the plots of test." in page.text
    assert "No value: accuracy on test: there are no samples." in page.text
    assert "Each class, on val" in page.words


def test_one_class_only_is_drawn(tmp_path):
    page = _page(classification(tmp_path / "run", ["only"]))
    assert "Confusion matrix" in page.words
    assert "None: every sample of test was predicted right." in page.words
    assert "could not be" not in page.text


@pytest.mark.parametrize("cell", ["", "nan", "inf", "text"])
@pytest.mark.parametrize("wrong", [5, 40])
def test_probabilities_that_are_none_are_counted_and_the_rest_is_drawn(tmp_path, cell, wrong):
    directory = classification(tmp_path / "run", ["cat", "dog", "bird"])
    path = directory / rundir.predictions("test")
    header, *rows = _cells(path)
    with path.open("w", newline="") as file:
        changed = [[*row[:3], *[cell] * (len(row) - 3)] for row in rows[:wrong]]
        csv.writer(file).writerows([header, *changed, *rows[wrong:]])
    page = _page(directory)
    assert "Confusion matrix" in page.words
    said = f"predictions-test.csv {wrong} of 40 rows have scores that are no numbers: the plots leave them out."
    assert said in page.text
    assert "could not be" not in page.text
    for title in ("ROC", "Calibration", "Scores"):
        assert (title in page.words) == (wrong < 40)


def test_scores_of_many_classes_that_are_none_are_counted_in_their_array(tmp_path):
    directory = classification(tmp_path / "run", [f"class {k}" for k in range(25)])
    (directory / rundir.ARRAYS).mkdir()
    output = np.random.default_rng(0).normal(size=(40, 25))
    output[3, 4], output[7] = np.nan, np.inf
    np.savez(directory / rundir.ARRAYS / "outputs-test.npz", id=np.arange(40), output=output, target=np.arange(40) % 25)
    said = "predictions-test.csv 2 of 40 rows have scores that are no numbers: the plots leave them out."
    assert said in _page(directory).text


def test_a_long_class_name_is_shortened_where_its_metrics_have_no_value(tmp_path):
    directory, long = classification(tmp_path / "run", ["cat", "dog"]), "中" * 300
    reasons = {f"precision/{long}": "it is never predicted", "roc_auc": f"1 of 3 classes do not occur: {long}"}
    rundir.write_json(directory / rundir.UNDEFINED, {"test": reasons})
    text = _page(directory).text
    assert "中" * 121 not in text
    assert "No value: precision of 中" in text


@pytest.mark.parametrize("column", ["id", "target", "prediction", "score_dog"])
def test_a_missing_column_is_named_with_the_file_and_what_there_is(tmp_path, column):
    directory = classification(tmp_path / "run", ["cat", "dog", "bird"])
    path = directory / rundir.predictions("test")
    place = (cells := _cells(path))[0].index(column)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[*row[:place], *row[place + 1 :]] for row in cells])
    page = _page(directory)
    assert "predictions-test.csv" in page.words
    assert f"has no column {column}; it has " in page.text
    for raw in ("could not be", "KeyError", "ValueError"):
        assert raw not in page.text


def test_numbers_that_are_none_are_counted(tmp_path):
    directory = regression(tmp_path / "run")
    path = directory / rundir.predictions("test")
    header, *rows = _cells(path)
    rows[0][header.index("prediction")], rows[1][header.index("target")] = "", "abc"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    assert "predictions-test.csv 2 of 30 rows have values that are no numbers" in _page(directory).text


def test_predictions_of_another_number_of_samples_than_the_metrics_are_a_finding(tmp_path):
    directory = classification(tmp_path / "run", ["cat", "dog"])
    path = directory / rundir.predictions("test")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:29]))
    again = f"evaluate again: torchwork evaluate {directory}."
    assert f"metrics.json is of 40 samples of test, predictions-test.csv holds 28: {again}" in _page(directory).text
    rundir.write_json(directory / rundir.TIMES, {"test": {"seconds": 1.0, "samples": 28}})
    assert "metrics.json is of" not in _page(directory).text


def test_an_accuracy_that_is_not_that_of_the_predictions_is_a_finding(tmp_path):
    directory = classification(tmp_path / "run", ["cat", "dog"])
    metrics = rundir.read_json(directory / rundir.METRICS)
    right = metrics["test"]["accuracy"]
    metrics["test"]["accuracy"] = 0.125
    rundir.write_json(directory / rundir.METRICS, metrics)
    said = f"metrics.json says accuracy 0.1250 on test, predictions-test.csv gives {right:.4f}: evaluate again"
    assert said in _page(directory).text


def test_a_damaged_metrics_json_is_told_with_the_command_that_gives_the_numbers_again(run):
    (run / rundir.METRICS).write_text('{"test": {"accu')
    page = _page(run)
    assert f"torchwork evaluate {run} gives them again" in page.text
    assert "come to its end" not in page.text
    torchwork.evaluate(run)
    assert "What this report lacks" not in _page(run).text


@pytest.mark.parametrize("cell", ["nan", "inf", "1e300"])
def test_predicted_numbers_that_are_none_do_not_break_the_page(tmp_path, cell):
    directory = regression(tmp_path / "run")
    path = directory / rundir.predictions("test")
    header, *rows = _cells(path)
    place = header.index("prediction")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *([*row[:place], cell, *row[place + 1 :]] for row in rows)])
    assert "could not be" not in _page(directory).text


def test_metrics_without_a_value_stand_with_their_reasons(tmp_path):
    directory = classification(tmp_path / "run", ["cat", "dog"])
    rundir.write_json(directory / rundir.UNDEFINED, {"test": {"roc_auc": "dog does not occur", "brier": "no scores"}})
    interval = {"accuracy": {"reason": "only 3 samples"}, "loss": {"low": 0.4, "high": 0.6, "method": "bootstrap"}}
    rundir.write_json(directory / rundir.INTERVALS, {"test": {"n": 40, "groups": None, "metrics": interval}})
    page = _page(directory)
    for words in (
        "No value: ROC AUC on test: dog does not occur.",
        "No value: Brier on test: no scores.",
        "No interval: accuracy on test: only 3 samples.",
        "0.51 (0.40 to 0.60)",
    ):
        assert words in page.text


def test_ten_thousand_classes_fit_on_a_page(tmp_path):
    directory = classification(tmp_path / "run", [f"class {i}" for i in range(10_000)], num=20_000)
    by_class = {f"{m}/class {i}": 0.5 for m in ("precision", "recall", "f1", "roc_auc") for i in range(10_000)}
    rundir.write_json(directory / rundir.METRICS, {"test": {"accuracy": 0.5, **by_class}})
    reasons = {f"roc_auc/class {i}": "it does not occur" for i in range(10_000)}
    rundir.write_json(directory / rundir.UNDEFINED, {"test": reasons})
    path = html.write(directory)
    assert path.stat().st_size < 3_000_000
    page = Page(path.read_text(encoding="utf-8"))
    assert "9,800 more are not shown; metrics.json and predictions-test.csv hold them." in page.text
    assert "and 9,980 more: it does not occur." in page.text
    assert "could not be" not in page.text


def test_deleted_pictures_are_missing_on_the_page_and_nothing_else_is(run):
    pictures = list((run / rundir.SAMPLES).glob("*.png"))
    assert len(pictures) > 5
    for path in pictures:
        path.unlink()
    page = _page(run)
    assert {"Confusion matrix", "Most wrong samples"} <= set(page.words)
    assert "Its picture is no longer in the run directory." in page.words


def _files(run: Path) -> list[Path]:
    """Return the files that a report may read, but the config, which makes the directory a run."""
    read = (".json", ".csv", ".npz", ".png")
    return sorted(p for p in run.rglob("*") if p.suffix in read and rundir.CHECKPOINTS not in p.parts)


@pytest.mark.parametrize(
    "damage", ["half", "noise", *(pytest.param(n, marks=SLOW) for n in ("empty", "list", "folder"))]
)
def test_damaged_files_are_named_and_the_page_comes_out(run, damage):
    for path in _files(run):
        content = path.read_bytes()
        path.unlink()
        if damage == "folder":
            path.mkdir()
        else:
            noise = np.random.default_rng(0).bytes(1000)
            made = {"half": content[: len(content) // 2], "empty": b"", "noise": noise, "list": b"[[1], null]"}
            path.write_bytes(made[damage])
    page = _page(run)
    assert page.scripts == [SCRIPT]
    assert "LeNet was trained on Digits" in page.text
    for name in (rundir.METRICS, rundir.DATA, rundir.MODEL_SUMMARY, rundir.INTERVALS, rundir.FINDINGS):
        assert name in page.words or damage == "folder" or (damage, name) == ("list", rundir.FINDINGS), name


def test_files_that_nobody_knows_change_nothing(trained, run):
    (run / "notes.txt").write_text("mine")
    (run / "predictions-other.csv").write_text("a,b\n1,2\n")
    (run / rundir.PLOTS / "mine.svg").write_text("<svg/>")
    (run / rundir.SAMPLES / "mine").mkdir()
    before = (trained / rundir.REPORT).read_text(encoding="utf-8")
    assert html.write(run).read_text(encoding="utf-8") == before.replace(str(trained), str(run))


@SLOW
@pytest.mark.parametrize("half", [True, False], ids=["half", "deleted"])
def test_each_file_may_be_damaged_alone(run, half):
    for path in _files(run):
        content = path.read_bytes()
        if half:
            path.write_bytes(content[: len(content) // 2])
        else:
            path.unlink()
        page = _page(run)
        assert "LeNet was trained on Digits" in page.text, path
        path.write_bytes(content)


NAMES = st.sampled_from(
    [
        "val",
        "test",
        "accuracy",
        "loss",
        "metrics",
        "n",
        "low",
        "layers",
        "classes",
        "class_counts",
        "num_samples",
        "name",
        "value",
        "parameters",
        "severity",
        "temperature",
        "seconds",
        "groups",
        "target_names",
        "input_shape",
        "output_shape",
        "train",
        "started",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["NaN", "", "<b>", "x"])
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
JSON_FILES = (
    *(rundir.METRICS, rundir.DATA, rundir.ENVIRONMENT, rundir.MODEL_SUMMARY, rundir.INTERVALS, rundir.BASELINES),
    *(rundir.UNDEFINED, rundir.CHOSEN, rundir.FINDINGS, rundir.TIMES, rundir.INSPECTED),
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return classification(tmp_path_factory.mktemp("odd") / "run", ["cat", "dog"])


@settings(max_examples=60)
@example({"data.json": {"classes": 1}})
@example({"data.json": {"target_names": True}})
@given(content=st.dictionaries(st.sampled_from(JSON_FILES), TREES, min_size=1))
def test_no_content_of_any_file_keeps_the_page_from_coming_out(plain, content):
    before = {name: (plain / name).read_bytes() for name in JSON_FILES if (plain / name).is_file()}
    try:
        for name, tree in content.items():
            (plain / name).write_text(json.dumps(tree))
        page = Page(html.render(facts.read(plain), {section: [] for section in drawings.KINDS}))
    finally:
        for name in JSON_FILES:
            (plain / name).unlink(missing_ok=True)
        for name, written in before.items():
            (plain / name).write_bytes(written)
    assert page.scripts == [SCRIPT]
    assert "b" not in page.tags
