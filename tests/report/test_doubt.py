"""Numbers stand with their intervals, their baselines and the reasons of what is not there; what was found, is told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.made_run import classification
from report.test_html import Page
from torchwork import rundir
from torchwork.report import cost, data_facts, doubt, facts, html, summary
from torchwork.report.facts import SEVERITIES

WILSON = {"low": 0.968, "high": 0.9962, "method": "Wilson"}


@pytest.fixture
def run(tmp_path):
    """A run of which everything is on record."""
    directory = classification(tmp_path / "run", ["cat", "dog"])
    rundir.write_json(directory / rundir.METRICS, {"test": {"loss": 0.0502, "accuracy": 0.98884, "roc_auc": 0.99996}})
    metrics = {
        "accuracy": WILSON,
        "loss": {"low": 0.027, "high": 0.137, "method": "bootstrap"},
        "roc_auc": {"reason": "too few samples"},
    }
    intervals = {"test": {"n": 269, "groups": {"by": "patient", "n": 31}, "metrics": metrics}}
    rundir.write_json(directory / rundir.INTERVALS, intervals)
    baseline = {"name": "the most frequent class of train: cat", "metrics": {"accuracy": 0.1004, "loss": 2.3026}}
    rundir.write_json(directory / rundir.BASELINES, {"test": baseline})
    chosen = {"temperature": {"value": 1.25, "val": {"log_loss": [0.5, 0.4]}, "test": {"log_loss": [0.6, 0.55]}}}
    rundir.write_json(directory / rundir.CHOSEN, chosen)
    rundir.write_json(directory / rundir.TIMES, {"test": {"seconds": 0.25, "samples": 269}})
    found = [
        {"code": "a", "severity": "info", "where": "data", "message": "a note", "fix": "nothing"},
        {"code": "b", "severity": "warning", "where": "data.split", "message": "<b>a warning</b>", "fix": "mend it"},
        {"code": "c", "severity": "warning", "where": "", "message": "another", "fix": ""},
    ]
    rundir.write_json(directory / rundir.FINDINGS, found)
    return directory


def _words(directory) -> Page:
    return Page(html.render(facts.read(directory), {}))


def test_a_number_stands_with_its_interval_and_baseline(run):
    page = _words(run)
    assert "On test the weights of epoch 2 have accuracy 0.989 (0.968 to 0.996), baseline 0.100." in page.text
    made = facts.read(run)
    assert doubt.doubted(made, "test", "accuracy") == ("0.989", "0.968 to 0.996", "0.100")
    assert doubt.doubted(made, "test", "loss") == ("0.050", "0.027 to 0.137", "2.303")
    assert doubt.doubted(made, "test", "roc_auc") == ("0.99996", "", "")
    assert "It predicts the most frequent class of train: cat." in page.text
    assert "Wilson, bootstrap; 269 samples of test, in 31 groups by patient that are drawn as wholes" in page.text
    assert "No interval: ROC AUC on test: too few samples." in page.text


@given(
    value=st.floats(-1e6, 1e6, allow_subnormal=False),
    below=st.floats(1e-6, 1e3),
    above=st.floats(1e-6, 1e3),
)
def test_an_interval_as_shown_holds_the_value_as_shown_and_has_a_width(tmp_path_factory, value, below, above):
    metrics = {"m": {"low": value - below, "high": value + above, "method": "bootstrap"}}
    made = facts.Facts(
        directory=tmp_path_factory.getbasetemp(),
        **{name: {} for name in ("config", "environment", "data", "model", "history", "predictions")},
        config_text="",
        metrics={"test": {"m": value}},
        intervals={"test": {"n": 100, "groups": None, "metrics": metrics}},
    )
    shown = doubt.doubted(made, "test", "m")
    low, high = (float(end.replace(",", "")) for end in shown.interval.split(" to "))
    centre = float(shown.value.replace(",", ""))
    assert low <= centre <= high
    assert low < high
    assert abs(centre - value) <= (below + above) / 10
    assert value == 1 or not (value < 1 <= centre)


def test_what_val_chose_shows_what_it_would_change(run):
    choices = doubt.choices(facts.read(run))
    assert [(c.what, c.split, c.metric, c.before, c.after) for c in choices] == [
        ("temperature 1.250", "val", "log loss", "0.5000", "0.4000"),
        ("temperature 1.250", "test", "log loss", "0.6000", "0.5500"),
    ]
    assert "What could be chosen on val" in _words(run).words


def test_every_finding_is_on_the_page_the_worst_first(run):
    page = _words(run)
    assert "The checks found 2 warnings." in page.words
    assert page.words.index("Warnings (2)") < page.words.index("Notes (1)")
    for words in ("<b>a warning</b>", "mend it", "another", "a note"):
        assert words in page.text
    assert {found.severity for found in facts.read(run).run_findings} <= set(SEVERITIES)


def test_without_findings_it_says_that_there_are_none_only_where_checks_were_made(run):
    rundir.write_json(run / rundir.FINDINGS, [])
    assert "The checks before training found nothing to say." in _words(run).words
    (run / rundir.FINDINGS).unlink()
    assert "Findings" not in _words(run).words


def test_costs_are_sums_of_what_was_measured(run):
    rows = dict(cost.rows(facts.read(run)))
    assert rows["training"] == "1.5 s for 3 epochs, with val after each"
    assert rows["samples a second"] == "400 in training, with val after each"  # 3 × (160 + 40) in 1.5 s
    assert rows["evaluation on test"] == "0.25 s for 269 samples"
    assert "waiting for data" not in rows
    (run / rundir.HISTORY).unlink()
    assert not {"training", "an epoch", "samples a second"} & {name for name, _ in cost.rows(facts.read(run))}


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("by: stratified", "each class has the same share in all of them"),
        ("by: grouped, group: patient", "Groups stay whole.*is read from the column patient"),
        ("by: grouped, pattern: '_(.+)_'", r"is read from the name, by _\(\.\+\)_"),
        ("by: time, time: date", "the earliest samples train.*is read from the column date"),
        ("by: random, folds: 5, fold: 2", "Of 5 folds, number 2 is val"),
        ("by: grouped, test_groups: [a, b]", "The groups of test were chosen by name: a, b"),
    ],
)
def test_the_page_says_how_samples_were_split(run, split, said):
    text = (run / rundir.CONFIG).read_text()
    (run / rundir.CONFIG).write_text(re.sub(r"split: \{.*\}", lambda _: f"split: {{{split}}}", text))
    assert re.search(said, " ".join(data_facts.split_sentences(facts.read(run))))


def test_headlines_are_of_test_before_val(run):
    made = facts.read(run)
    assert summary.headline_split(made) == "test"
    assert [headline.name for headline in summary.headlines(made)] == ["accuracy", "ROC AUC", "loss"]
    assert summary.headline_note(made).startswith("On test, 40 samples, with 95% intervals.")
