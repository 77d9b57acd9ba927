"""Runs side by side: what they share is tested, what differs is shown, and what cannot be compared is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from torchwork import rundir
from torchwork.metrics import final, intervals, paired
from torchwork.report import compare, facts, html, seeds, shared
from torchwork.report.plots.compared import curves_of_runs
from torchwork.types import InputError

CLASSES = ["cat", "dog", "<script>alert(1)</script>"]


def made(
    place,
    *,
    seed=0,
    lift=1.5,
    lr=0.1,
    num=200,
    first=0,
    classes=CLASSES,
    groups=None,
    content="c",
    finished=True,
    flip=0,
):
    """Write a run of a classifier: ``lift`` is how good it is, ``first`` the number of its first test sample."""
    place.mkdir(parents=True)
    config = {"name": "run", "seed": seed, "data": {"source": {"name": "Made"}}, "optimizer": {"name": "SGD", "lr": lr}}
    (place / rundir.CONFIG).write_text(yaml.safe_dump(config), encoding="utf-8")
    data = {"task": "classification", "loss": "CrossEntropyLoss", "classes": classes, "num_samples": {"test": num}}
    rundir.write_json(place / rundir.DATA, data)
    rundir.write_json(place / rundir.ENVIRONMENT, {"python": "3.11", "device": "cpu"})
    draws = np.random.default_rng(7)
    everything = 1000
    target, common = draws.integers(len(classes), size=everything), draws.normal(size=(everything, len(classes)))
    own = np.random.default_rng([seed, int(10 * lift)])
    scores = common + 0.5 * own.normal(size=common.shape)
    scores[np.arange(everything), target] += lift
    scores = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    chosen = np.arange(first, first + num)
    header = [*("id", "name", "target", "split", "content"), *([] if groups is None else ["group"])]
    told = (target + (np.arange(everything) < flip)) % len(classes)
    rundir.write_csv(
        place / rundir.SPLIT,
        header,
        [
            [i, f"s{i}.png", classes[told[i]], "test", f"{content}{i}", *([] if groups is None else [groups(i)])]
            for i in chosen
        ],
    )
    rundir.write_csv(
        place / rundir.HISTORY, ["epoch", "train_loss", "val_loss"], [[1, 1.0, 1.1], [2, 0.5, 0.6 - seed / 100]]
    )
    if finished:
        path = place / rundir.predictions("test")
        rows = [
            [
                i,
                classes[told[i]],
                classes[scores[i].argmax()],
                float(-np.log(scores[i, target[i]])),
                *scores[i].tolist(),
            ]
            for i in chosen
        ]
        rundir.write_csv(path, ["id", "target", "prediction", "loss", *(f"score_{name}" for name in classes)], rows)
        metrics = final.from_predictions(path, data)
        rundir.write_json(place / rundir.METRICS, {"test": metrics})
        rundir.write_json(place / rundir.INTERVALS, {"test": intervals.of_split(path, data, metrics)})
    return place


def test_a_real_difference_on_the_same_samples_is_said_to_be_one(tmp_path):
    good, bad = made(tmp_path / "good" / "1", lift=3.0), made(tmp_path / "bad" / "1", lift=0.8)
    (pair,) = compare.compare([bad, good]).pairs
    hits = [
        np.array([row["target"] == row["prediction"] for row in rundir.read_csv(run / "predictions-test.csv")])
        for run in (bad, good)
    ]
    assert pair.p == paired.mcnemar(*hits).p < 0.001
    assert pair.tests["accuracy"].value == pytest.approx(hits[0].mean() - hits[1].mean())
    assert pair.sentence.startswith("good/1 is better than bad/1 in accuracy. The difference of ")
    assert "is more than chance would give: p < 0.001 (McNemar's test)." in pair.sentence


def test_a_lower_loss_is_the_better_one():
    pair = shared.Pair("a", "b", "test", main="rmse", method="paired bootstrap", p=0.01)
    pair.tests = {"rmse": paired.Difference(-0.5, -0.8, -0.2, 0.01)}
    said = "a is better than b in RMSE. The difference of 0.5 (0.2 to 0.8) is more than chance would give: p = 0.010"
    assert shared.sentence(pair, several=False) == f"{said} (paired bootstrap)."


def test_a_comparison_is_shown_as_what_it_says_not_as_the_runs_that_it_holds(tmp_path):
    said = repr(compare.compare([made(tmp_path / "one"), made(tmp_path / "two", lift=0.5)]))
    assert said.splitlines()[0].endswith("/one, " + tmp_path.name + "/two")
    assert "McNemar's test" in said
    assert len(said) < 1000


def test_equal_models_do_not_differ(tmp_path):
    first, second = made(tmp_path / "a" / "1"), made(tmp_path / "b" / "1")
    (pair,) = compare.compare([first, second]).pairs
    assert pair.p == 1
    assert pair.sentence.startswith("In accuracy no difference beyond chance was found between a/1 and b/1: p = 1.00 (")


def test_only_samples_that_both_have_count_and_other_data_are_refused(tmp_path):
    run, shifted = made(tmp_path / "a" / "1"), made(tmp_path / "b" / "1", first=100, lift=2)
    (pair,) = compare.compare([run, shifted]).pairs
    assert pair.shared == 100
    assert "Of their 200 and 200 samples of test the 100 that both have count." in pair.notes[0]
    (pair,) = compare.compare([run, made(tmp_path / "c" / "1", content="other")]).pairs
    assert pair.shared == 0
    assert "no sample of test in common" in pair.notes[0]
    assert pair.sentence == ""
    (pair,) = compare.compare([run, made(tmp_path / "d" / "1", flip=50)]).pairs
    assert pair.shared == 150
    assert "50 samples have another target" in pair.notes[0]


def test_groups_that_stayed_whole_are_drawn_whole(tmp_path):
    runs = [
        made(tmp_path / name / "1", lift=lift, groups=lambda i: f"p{i // 8}") for name, lift in (("a", 1.2), ("b", 1.5))
    ]
    (grouped,) = compare.compare(runs).pairs
    assert grouped.method == "signs of the groups' differences drawn at random"
    plain = [made(tmp_path / name / "2", lift=lift) for name, lift in (("a", 1.2), ("b", 1.5))]
    (single,) = compare.compare(plain).pairs
    assert grouped.tests["log_loss"].value == pytest.approx(single.tests["log_loss"].value)
    assert grouped.tests["log_loss"].low != single.tests["log_loss"].low


def test_p_of_several_pairs_are_corrected_together(tmp_path):
    runs = [made(tmp_path / name / "1", lift=lift) for name, lift in (("a", 1.2), ("b", 1.6), ("c", 2.2))]
    found = compare.compare(runs)
    assert [pair.p_holm for pair in found.pairs] == paired.holm([pair.p for pair in found.pairs])
    assert all("after Holm" in pair.sentence for pair in found.pairs)


def test_configs_are_compared_over_their_seeds_and_too_few_seeds_are_said(tmp_path):
    few = [
        made(tmp_path / "few" / f"{lr}-{seed}", lr=lr, seed=seed, lift=1 + lr) for lr in (0.1, 0.9) for seed in (0, 1)
    ]
    found = compare.compare(few)
    assert [(group.seeds, len(group.runs)) for group in found.groups] == [([0, 1], 2), ([0, 1], 2)]
    assert "Two seeds are two models" in found.said_of_seeds[0]
    assert "train 5 seeds of each or more" in found.said_of_seeds[1]
    many = [
        made(tmp_path / "many" / f"{lr}-{seed}", lr=lr, seed=seed, lift=1 + lr)
        for lr in (0.1, 2.0)
        for seed in range(5)
    ]
    found = compare.compare(many)
    first, second = (group.values for group in found.groups)
    assert f"p {shared.p_value(seeds.welch(first, second).p, equals=True)} (Welch's t-test)" in found.said_of_seeds[1]
    assert "is more than seeds would give" in found.said_of_seeds[1]
    assert any("tested against the first" in note for note in found.notes)
    twice = compare.compare([few[0], few[1], made(tmp_path / "again" / "1", lr=0.1, seed=0, lift=1.1)])
    assert "has the config and the seed of" in twice.notes[0]


def test_welch_rejects_in_at_most_5_percent_under_no_difference():
    draws = np.random.default_rng(0)
    rejected = [seeds.welch(draws.normal(0, 1, 5), draws.normal(0, 3, 5)).p < 0.05 for _ in range(300)]
    assert np.mean(rejected) <= 0.06


def test_what_differs_is_shown_and_nothing_else(tmp_path):
    found = compare.compare([made(tmp_path / "a" / "1"), made(tmp_path / "b" / "1", lr=0.2, num=150)])
    assert found.differs["config"] == [("optimizer.lr", ["0.1", "0.2"])]
    assert found.differs["data"] == [("num_samples.test", ["200", "150"])]
    assert found.differs["environment"] == []


def changed(run, harmless, key="optimizer.lr"):
    entry = {"step": 7, "epoch": 1, "changes": [{"key": key, "old": "<b>1", "new": "2"}], "harmless": harmless}
    rundir.write_json(run / rundir.CHANGES, [entry])


def test_a_run_whose_config_was_changed_on_its_way_is_told_and_counts_as_no_other_seed(tmp_path):
    runs = [made(tmp_path / name / "1", seed=seed) for name, seed in (("a", 0), ("b", 1), ("c", 2))]
    changed(runs[1], harmless=True, key="train.epochs")
    changed(runs[2], harmless=False)
    found = compare.compare(runs)
    assert dict(found.differs["config"])["changed on the way"] == [
        *("–", "After step 7: train.epochs <b>1 → 2.", "After step 7: optimizer.lr <b>1 → 2."),
    ]
    assert [group.runs for group in found.groups] == [["a/1", "b/1"], ["c/1"]]
    assert "&lt;b&gt;1 → 2" in compare.page(found)


def test_the_environment_says_what_was_otherwise_where_a_run_was_resumed(tmp_path, capsys):
    from torchwork.cli.comparing import compare_runs

    runs = [made(tmp_path / name / "1") for name in "ab"]
    environment = rundir.read_json(runs[1] / rundir.ENVIRONMENT)
    sessions = [{"step": 3, "started": "later"}, {"step": 9, "differs": {"packages.torch": ["2.13.0", "2.14.0"]}}]
    git = {"commit": "abc", "dirty": True, "changed": ["<i>.py"]}
    rundir.write_json(runs[1] / rundir.ENVIRONMENT, {**environment, "git": git, "resumed": sessions, "started": "now"})
    differs = dict(compare.compare(runs).differs["environment"])
    assert differs["torch after step 9"] == ["–", "2.14.0 (it was 2.13.0)"]
    assert differs["git.commit"] == ["–", "abc"]
    assert not any("resumed" in key for key in differs)
    compare_runs(runs, tmp_path / "page.html", False)
    said = capsys.readouterr().out
    assert "what differs in the environment" in said
    assert "started" not in said
    page = html.render(facts.read(runs[1]), {})
    assert "changed since: &lt;i&gt;.py" in page
    assert "3, 9" in page


@pytest.mark.parametrize("text", ["[1]", '[{"changes": 3}]', '[{"changes": [1], "harmless": 2}]', "{}", "nonsense"])
def test_a_record_of_changes_that_is_none_stops_no_page(tmp_path, text):
    run, other = made(tmp_path / "a" / "1"), made(tmp_path / "b" / "1")
    (run / rundir.CHANGES).write_text(text)
    rundir.write_json(run / rundir.ENVIRONMENT, {"git": 3, "resumed": {"step": 1}})
    assert "a/1" in compare.page(compare.compare([run, other]))
    assert "Config" in html.render(facts.read(run), {})


def test_what_differs_in_the_data_is_told_without_quotes_and_brackets(tmp_path):
    runs = [made(tmp_path / name / "1") for name in "ab"]
    for run, classes in zip(runs, (["cat", "3"], ["it's", "3"]), strict=True):
        facts = rundir.read_json(run / rundir.DATA)
        rundir.write_json(run / rundir.DATA, {**facts, "classes": classes})
    assert compare.compare(runs).differs["data"] == [("classes", ["cat, 3", "it's, 3"])]


def test_of_several_pairs_every_sentence_and_note_names_its_own(tmp_path, capsys):
    from torchwork.cli.comparing import compare_runs

    runs = [made(tmp_path / name / "1", lift=lift) for name, lift in (("a", 1), ("b", 1), ("c", 1.1))]
    compare_runs([*runs, made(tmp_path / "d" / "1", first=100)], tmp_path / "page.html", False)
    said = " ".join(capsys.readouterr().out.split())
    assert "found between a/1 and b/1: p = 1.00" in said
    assert "a/1 and c/1 cannot be told apart" in said or "c/1 is better than a/1" in said
    assert "a/1 and d/1: Of their 200 and 200 samples" in said


def test_a_run_that_has_not_ended_has_curves_and_a_sentence(tmp_path):
    found = compare.compare([made(tmp_path / "a" / "1"), made(tmp_path / "b" / "1", finished=False)])
    assert "b/1 has not come to its end" in found.notes[0]
    assert found.pairs == []
    assert "<svg" in compare.page(found)


@pytest.mark.parametrize(
    "broken", [rundir.SPLIT, rundir.predictions("test"), rundir.INTERVALS, rundir.DATA, rundir.HISTORY]
)
@pytest.mark.parametrize("text", [None, "", "nonsense"])
def test_a_run_with_a_broken_file_is_still_compared(tmp_path, broken, text):
    run, other = made(tmp_path / "a" / "1"), made(tmp_path / "b" / "1", lift=2)
    (other / broken).unlink()
    if text is not None:
        (other / broken).write_text(text)
    assert "a/1" in compare.page(compare.compare([run, other]))


def test_wrong_input_is_told_all_at_once(tmp_path):
    run = made(tmp_path / "a" / "1")
    with pytest.raises(InputError) as raised:
        compare.compare([run, run, tmp_path / "nowhere", tmp_path])
    assert [finding.code for finding in raised.value.findings] == ["no-run", "no-run", "same-run"]
    with pytest.raises(InputError, match="two runs or more"):
        compare.compare([run])
    other = made(tmp_path / "b" / "1")
    rundir.write_json(other / rundir.DATA, {"task": "regression"})
    with pytest.raises(InputError, match="different tasks"):
        compare.compare([run, other])


def test_everything_from_the_runs_is_escaped_and_the_page_is_the_same_each_time(tmp_path):
    runs = [made(tmp_path / "<b>x" / "1"), made(tmp_path / "中文" / "1", lift=2.5)]
    text = compare.page(compare.compare(runs))
    assert "<b>x" not in text
    assert "&lt;b&gt;x/1" in text
    assert "<script" not in text
    assert "中文/1" in text
    assert text == compare.page(compare.compare(runs))
    json.dumps(compare.compare(runs).plain(), default=str)


def test_curves_lie_one_above_the_other():
    histories = {f"r{k}": {"epoch": [1, 2, 3], "val_loss": [1.0, 0.5 + k, 0.4]} for k in range(8)}
    figure = curves_of_runs(histories)
    lines = figure.axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == [history["val_loss"] for history in histories.values()]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 8
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(histories)
    assert curves_of_runs({"a": {}}) is not None


def test_the_command_prints_the_same_and_leaves_one_file(tmp_path, capsys):
    from torchwork.cli import main

    runs = [str(made(tmp_path / name / "1", lift=lift)) for name, lift in (("a", 1), ("b", 3))]
    page = tmp_path / "c.html"
    with pytest.raises(SystemExit) as ended:
        main(["compare", *runs, "-o", str(page)])
    printed = capsys.readouterr().out
    assert not ended.value.code
    assert "more than chance would give" in printed
    assert page.is_file()
    with pytest.raises(SystemExit):
        main(["compare", *runs, "-o", str(page), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["accuracy"]["b/1"]["low"] < found["metrics"]["accuracy"]["b/1"]["value"]
    with pytest.raises(SystemExit) as ended:
        main(["compare", runs[0], runs[0]])
    assert ended.value.code == 2
