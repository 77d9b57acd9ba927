"""What the opening paragraph and the list of what is missing say of runs that failed, stopped or learned nothing."""

from __future__ import annotations

import pytest

from report.made_run import classification, regression
from report.test_html import Page
from torchwork import rundir
from torchwork.report import facts, html, summary
from torchwork.report.drawn import training

CLASSES = ["cat", "dog", "bird"]
FAILED = "the loss is inf at step 2. There is no checkpoint yet"
STAMP = "2026-01-02 03:04:05  "


def _page(directory) -> Page:
    return Page(html.render(facts.read(directory), {}))


@pytest.fixture
def run(tmp_path):
    return classification(tmp_path / "run", CLASSES)


@pytest.fixture
def half(run):
    (run / rundir.METRICS).unlink()
    return run


@pytest.mark.parametrize(
    ("phase", "message", "said"),
    [
        ("failed", FAILED, f"failed: {FAILED}"),
        ("failed", "", "failed: it gives no reason"),
        ("stopped", "stopped after step 7, which is saved", "stopped after step 7, which is saved"),
        ("stopped", "SystemExit", "stopped: SystemExit"),
    ],
)
def test_a_run_that_failed_or_stopped_says_why_at_the_top_and_under_what_is_missing(half, phase, message, said):
    rundir.write_json(half / rundir.LIVE, {"phase": phase, "message": message})
    text = _page(half).text
    assert f"3 of 3 epochs are on record. It {said}." in text
    assert f"The run {said} (live.json). The report lacks what would have come after." in text


def test_without_live_json_the_log_tells_why(half):
    lines = ["failed: something older", "resumed from the beginning", f"failed: {FAILED}", "warning: disk"]
    (half / rundir.LOG).write_text("".join(f"{STAMP}{line}\n" for line in lines))
    assert facts.read(half).ended == f"failed: {FAILED}"


@pytest.mark.parametrize("live", ['{"phase": "training", "message": ""}', "[]", '{"pha', None])
def test_a_run_that_goes_on_or_was_killed_gives_no_old_reason(half, live):
    after = "" if live else f"{STAMP}resumed from 3\n"
    (half / rundir.LOG).write_text(f"{STAMP}failed: {FAILED}\n{after}")
    if live is not None:
        (half / rundir.LIVE).write_text(live)
    assert facts.read(half).ended == ""


def test_a_run_that_came_to_its_end_does_not_say_where_it_stopped_before(run):
    (run / rundir.LOG).write_text(f"{STAMP}stopped after step 3, which is saved\n")
    assert facts.read(run).ended == ""


NO_BETTER = "In accuracy it is no better than the baseline, which looks at no input."


@pytest.mark.parametrize(("base", "said"), [(0.9, True), (0.825, True), (0.4, False), ("NaN", False)])
def test_what_is_no_better_than_its_baseline_is_said_in_a_sentence(run, base, said):
    baseline = {"name": "the most frequent class", "metrics": {"accuracy": base}}
    rundir.write_json(run / rundir.METRICS, {"test": {"accuracy": 0.825}})
    rundir.write_json(run / rundir.BASELINES, {"test": baseline})
    assert (NO_BETTER in summary.sentences(facts.read(run))) == said


@pytest.mark.parametrize(("value", "said"), [(0.2, False), (0.0, False), (-0.1, True)])
def test_an_r2_below_zero_is_said_in_a_sentence(tmp_path, value, said):
    directory = regression(tmp_path / "run")
    rundir.write_json(directory / rundir.METRICS, {"test": {"mae": 0.8, "r2": value}})
    assert any("R² is below 0" in sentence for sentence in summary.sentences(facts.read(directory))) == said


def test_an_error_above_that_of_the_baseline_is_said_too(tmp_path):
    directory = regression(tmp_path / "run")
    rundir.write_json(directory / rundir.BASELINES, {"test": {"name": "the mean", "metrics": {"mae": 0.7}}})
    assert any("In MAE it is no better than the baseline" in s for s in summary.sentences(facts.read(directory)))


@pytest.mark.parametrize(
    ("size", "said"), [(0, "There is no test: val, by"), (40, "Test was left unseen, and val, by")]
)
def test_a_run_without_figures_of_test_says_that_those_of_val_flatter(run, size, said):
    rundir.write_json(run / rundir.METRICS, {"val": {"accuracy": 0.5}})
    (run / rundir.predictions("test")).unlink()
    data = rundir.read_json(run / rundir.DATA)
    rundir.write_json(run / rundir.DATA, data | {"num_samples": {"train": 160, "val": 40, "test": size}})
    text = _page(run).text
    assert f"{said} which the epoch was chosen, flatters." in text


@pytest.mark.parametrize("groups", ["", ", groups: [{match: fc*, lr: 0.02}]"])
def test_of_several_groups_it_is_said_whose_learning_rate_is_drawn(run, groups):
    config = (run / rundir.CONFIG).read_text()
    (run / rundir.CONFIG).write_text(config.replace("lr: 0.001}", f"lr: 0.001{groups}}}"))
    (curves,) = training.drawings(facts.read(run))
    assert ("that of the first group of parameters in the config" in curves.caption) == bool(groups)
