"""Intervals: around the very numbers of metrics.json, for every task; with reasons where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from torchwork import rundir
from torchwork.metrics import final, intervals, resampling, weighted
from torchwork.metrics.weighted import Share


def softmax(scores):
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def classes(folder, num=300, count=4, seed=0, names=None):
    draws = np.random.default_rng(seed)
    names = names or [f"class {k}" for k in range(count)]
    target = draws.integers(count, size=num)
    scores = draws.normal(size=(num, count))
    scores[np.arange(num), target] += 1.5
    scores = softmax(2 * scores)
    header = ["id", "target", "prediction", "loss", *(f"score_{name}" for name in names)]
    rows = [
        [i, names[t], names[own.argmax()], float(-np.log(own[t])), *own.tolist()]
        for i, (t, own) in enumerate(zip(target, scores, strict=True))
    ]
    path = folder / "predictions-test.csv"
    rundir.write_csv(path, header, rows)
    return path, {"task": "classification" if count > 2 else "binary", "loss": "CrossEntropyLoss", "classes": names}


def numbers(folder, num=80, names=("height", "width")):
    draws = np.random.default_rng(1)
    target = draws.poisson(5, size=(num, len(names))).astype(float)
    prediction = np.abs(target + draws.normal(size=target.shape)) + 0.1
    ends = [f"_{name}" for name in names] if len(names) > 1 else [""]
    header = ["id", *(f"{side}{end}" for end in ends for side in ("target", "prediction")), "loss"]
    rows = [
        [i, *np.stack([t, p], 1).reshape(-1).tolist(), 0.5]
        for i, (t, p) in enumerate(zip(target, prediction, strict=True))
    ]
    path = folder / "predictions-test.csv"
    rundir.write_csv(path, header, rows)
    return path, {"task": "regression", "loss": "PoissonNLLLoss", "classes": None, "target_names": list(names)}


def labels(folder, num=120, names=("red", "green", "blue")):
    draws = np.random.default_rng(2)
    target = draws.random((num, len(names))) < (0.5, 0.3, 0.4)[: len(names)]
    scores = np.clip(target * 0.4 + draws.random(target.shape) * 0.6, 0, 1)
    header = [
        "id",
        "target",
        "prediction",
        "loss",
        *(f"{kind}_{name}" for kind in ("target", "score") for name in names),
    ]
    rows = [[i, "", "", 0.5, *map(int, t), *s.tolist()] for i, (t, s) in enumerate(zip(target, scores, strict=True))]
    path = folder / "predictions-test.csv"
    rundir.write_csv(path, header, rows)
    return path, {"task": "multilabel", "loss": "BCEWithLogitsLoss", "target_names": list(names)}


def arrays(folder, ids, output, target):
    (folder / rundir.ARRAYS).mkdir()
    np.savez(folder / rundir.ARRAYS / "outputs-test.npz", id=ids, output=output, target=target)


def ranking(folder, num=90):
    draws = np.random.default_rng(3)
    target = draws.integers(20, size=num).astype(float)
    scores = np.round(target + draws.normal(size=num) * 6, 1)
    path = folder / "predictions-test.csv"
    rundir.write_csv(
        path,
        ["id", "target", "prediction", "loss"],
        [[i, t, s, 0.1] for i, (t, s) in enumerate(zip(target.tolist(), scores.tolist(), strict=True))],
    )
    arrays(folder, np.arange(num), scores, target)
    return path, {"task": "ranking", "loss": "MarginRankingLoss", "target_names": ["age"]}


def embedding(folder, num=90):
    draws = np.random.default_rng(4)
    target = draws.integers(5, size=num)
    vectors = draws.normal(size=(num, 3)) + target[:, None]
    path = folder / "predictions-test.csv"
    rundir.write_csv(
        path, ["id", "target", "prediction", "loss"], [[i, str(t), str(t), 0.1] for i, t in enumerate(target)]
    )
    arrays(folder, np.arange(num), vectors, target)
    return path, {"task": "embedding", "loss": "TripletMarginLoss", "classes": list("01234")}


def pairs(folder, num=90):
    draws = np.random.default_rng(6)
    same = draws.random(num) < 0.4
    vectors = draws.normal(size=(num, 2, 3))
    vectors[same, 1] = vectors[same, 0] + draws.normal(size=(int(same.sum()), 3))
    path = folder / "predictions-test.csv"
    target = np.where(same, 1.0, -1.0)
    rundir.write_csv(
        path, ["id", "target", "prediction", "loss"], [[i, t, 0.5, 0.1] for i, t in enumerate(target.tolist())]
    )
    arrays(folder, np.arange(num), vectors, target)
    return path, {"task": "embedding", "loss": "HingeEmbeddingLoss"}


def sequences(folder, num=60):
    draws = np.random.default_rng(5)
    target = ["".join(draws.choice(list("abc"), 4)) for _ in range(num)]
    read = [text if draws.random() < 0.7 else text[1:] + "a" for text in target]
    path = folder / "predictions-test.csv"
    rundir.write_csv(
        path,
        ["id", "target", "prediction", "loss"],
        [[i, t, r, 0.1] for i, (t, r) in enumerate(zip(target, read, strict=True))],
    )
    return path, {"task": "sequence", "loss": "CTCLoss", "classes": ["a", "b", "c"]}


TASKS = {
    "classes": classes,
    "two classes": lambda folder: classes(folder, count=2),
    "numbers": numbers,
    "one number": lambda folder: numbers(folder, names=("height",)),
    "labels": labels,
    "one label": lambda folder: labels(folder, names=("red",)),
    "ranking": ranking,
    "embedding": embedding,
    "pairs": pairs,
    "sequences": sequences,
}


@pytest.mark.parametrize("task", TASKS)
def test_weights_of_one_give_the_metrics_of_the_run(tmp_path, task):
    path, data = TASKS[task](tmp_path)
    figures = weighted.figures(weighted.read(path, data))
    once = figures.weighted(np.ones((len(figures.rows), 1)))
    metrics = {
        name: value for name, value in final.from_predictions(path, data).items() if not name.startswith("support/")
    }
    assert metrics
    for name, value in metrics.items():
        share = figures.shares.get(name)
        if share is not None:
            assert (share.hits & share.counted).sum() / max(share.counted.sum(), 1) == pytest.approx(value)
        if name in once:
            assert float(once[name][0]) == pytest.approx(value, rel=1e-9), name
        assert share is not None or name in once, name


@pytest.mark.parametrize("task", [name for name in TASKS if name not in ("ranking", "embedding", "pairs")])
def test_weights_count_samples_as_if_they_stood_there_several_times(tmp_path, task):
    path, data = TASKS[task](tmp_path)
    table = weighted.read(path, data)
    times = np.random.default_rng(0).integers(0, 3, len(table.columns["id"]))
    repeated = table.only(np.repeat(np.arange(len(times)), times))
    once = weighted.figures(repeated).weighted(np.ones((times.sum(), 1)))
    found = weighted.figures(table).weighted(times[:, None].astype(float))
    for name in once:
        assert float(found[name][0]) == pytest.approx(float(once[name][0]), rel=1e-9), name


@pytest.mark.parametrize("task", ["ranking", "embedding"])
def test_weights_over_pairs_are_right_to_first_order(tmp_path, task):
    path, data = TASKS[task](tmp_path)
    table = weighted.read(path, data)
    kept = np.random.default_rng(0).random(len(table.columns["id"])) < 0.9
    figures = weighted.figures(table)
    found = figures.weighted(kept[:, None].astype(float))
    folder = tmp_path / "kept"
    folder.mkdir()
    whole = np.load(tmp_path / rundir.ARRAYS / "outputs-test.npz")
    arrays(folder, *(whole[name][kept] for name in ("id", "output", "target")))
    columns = {name: np.array(cells)[kept] for name, cells in table.columns.items()}
    rundir.write_csv(folder / "predictions-test.csv", list(columns), zip(*columns.values(), strict=True))
    real = final.from_predictions(folder / "predictions-test.csv", data)
    for name in {"ranking": ("kendall_tau", "pairs_in_order"), "embedding": ("roc_auc", "equal_error_rate")}[task]:
        assert float(found[name][0]) == pytest.approx(real[name], abs=0.01), name


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_has_an_interval_around_it_or_a_reason(tmp_path, task):
    path, data = TASKS[task](tmp_path)
    metrics = final.from_predictions(path, data)
    found = intervals.of_split(path, data, metrics)
    assert set(found["metrics"]) == set(metrics)
    for name, said in found["metrics"].items():
        if "reason" in said:
            assert said["reason"], name
        else:
            assert said["low"] < said["high"], name
            assert said["low"] <= metrics[name] <= said["high"], name
    given = [name for name, said in found["metrics"].items() if "low" in said]
    assert len(given) > 0.5 * len([name for name in metrics if not name.startswith("support/")])


@settings(max_examples=40, deadline=None)
@given(
    shares=st.sampled_from(["each once", "even", "uneven", "one large"]),
    count=st.integers(2, 300),
    num=st.integers(20, 300),
    right=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**16),
)
def test_an_interval_contains_its_metric_however_rare_the_classes_are(
    tmp_path_factory, shares, count, num, right, seed
):
    draws = np.random.default_rng(seed)
    weights = {
        "even": np.ones(count),
        "uneven": 1 / np.arange(1, count + 1),
        "one large": np.where(np.arange(count) == 0, count, 1),
    }.get(shares)
    target = np.arange(count) if weights is None else draws.choice(count, size=num, p=weights / weights.sum())
    prediction = np.where(draws.random(len(target)) < right, target, draws.integers(count, size=len(target)))
    path, names = tmp_path_factory.mktemp("run") / "predictions-test.csv", [f"class {k}" for k in range(count)]
    rows = [[i, names[t], names[p], 0.5] for i, (t, p) in enumerate(zip(target, prediction, strict=True))]
    rundir.write_csv(path, ["id", "target", "prediction", "loss"], rows)
    data = {"task": "classification", "classes": names}
    metrics = {n: v for n, v in final.from_predictions(path, data).items() if "/" not in n}
    for name, said in intervals.of_split(path, data, metrics)["metrics"].items():
        assert said.get("reason") or said["low"] <= metrics[name] <= said["high"], name


def test_a_thousand_classes_of_one_sample_each_have_no_interval_of_a_mean_over_classes(tmp_path):
    names = [f"class {k}" for k in range(1000)]
    wrong = np.random.default_rng(0).random(1000) < 0.4
    rows = [[k, names[k], names[(k + wrong[k] * 7) % 1000], 0.5] for k in range(1000)]
    path = tmp_path / "predictions-test.csv"
    rundir.write_csv(path, ["id", "target", "prediction", "loss"], rows)
    data = {"task": "classification", "classes": names}
    metrics = {n: v for n, v in final.from_predictions(path, data).items() if "/" not in n}
    found = intervals.of_split(path, data, metrics)["metrics"]
    for name in ("f1_weighted", "precision_weighted"):
        assert found[name] == {"reason": "1,000 of 1,000 samples are of classes with fewer than 5"}
    assert {name for name, said in found.items() if "low" in said} == {"accuracy", "recall_weighted"}


def test_an_interval_that_does_not_contain_its_metric_is_a_reason(tmp_path, monkeypatch):
    path, data = classes(tmp_path)
    metrics = final.from_predictions(path, data)
    bounds = resampling.Bounds(metrics["f1_macro"] + 0.1, metrics["f1_macro"] + 0.2, 50)
    monkeypatch.setattr(resampling, "bias_corrected", lambda *_, **__: bounds)
    found = intervals.of_split(path, data, metrics | {"accuracy": 0.01})["metrics"]
    for name in ("f1_macro", "accuracy"):
        assert "does not contain it" in found[name]["reason"]


def test_the_same_predictions_give_the_same_intervals(tmp_path):
    path, data = classes(tmp_path)
    metrics = final.from_predictions(path, data)
    assert intervals.of_split(path, data, metrics) == intervals.of_split(path, data, metrics)


@pytest.mark.parametrize(("hits", "number"), [(0, 5), (5, 5), (1, 30), (497, 500), (250, 500)])
def test_wilson_is_that_of_scipy(hits, number):
    expected = stats.binomtest(hits, number).proportion_ci(0.95, "wilson")
    assert intervals.wilson(hits, number) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_metric_of_another_number_than_the_predictions_give_has_no_interval(tmp_path):
    path, data = numbers(tmp_path)
    found = intervals.of_split(path, data, {"mae": 12.0, "a.module:metric": 3.0})
    assert all("reason" in said for said in found["metrics"].values())


def test_a_perfect_model_has_wilson_and_reasons_but_no_interval_of_no_width(tmp_path):
    path, data = classes(tmp_path)
    lines = rundir.read_csv(path)
    rundir.write_csv(path, list(lines[0]), [[*{**row, "prediction": row["target"]}.values()] for row in lines])
    found = intervals.of_split(path, data, final.from_predictions(path, data))["metrics"]
    assert found["accuracy"]["method"] == "Wilson"
    assert found["accuracy"]["low"] < 1 == found["accuracy"]["high"]
    assert "no other value" in found["f1_macro"]["reason"]
    assert all(said["low"] < said["high"] for said in found.values() if "low" in said)


def test_a_mean_over_classes_has_no_interval_where_one_of_them_is_only_predicted(tmp_path):
    path, data = classes(tmp_path)
    lines = [row | {"target": "class 1"} for row in rundir.read_csv(path)]
    rundir.write_csv(path, list(lines[0]), [[*row.values()] for row in lines])
    found = intervals.of_split(path, data, final.from_predictions(path, data))["metrics"]
    assert found["f1_macro"] == {"reason": "its rarest class has 0 samples, fewer than 5"}
    assert found["balanced_accuracy"]["low"] < found["balanced_accuracy"]["high"]


def test_few_samples_groups_and_classes_are_named_as_the_reason(tmp_path):
    path, data = classes(tmp_path, num=12)
    found = intervals.of_split(path, data, final.from_predictions(path, data))["metrics"]
    assert found["f1_weighted"] == {"reason": "12 of 12 samples are of classes with fewer than 5"}
    assert "fewer than 100" in found["log_loss"]["reason"]
    assert found["support/class 1"]["reason"] == "it is a count, not an estimate"
    assert "rarest class" in found["f1_macro"]["reason"]
    path, data = numbers(tmp_path, num=12)
    metrics = final.from_predictions(path, data)
    found = intervals.of_split(path, data, metrics)["metrics"]
    assert found["mae"] == {"reason": "there are 12 samples, fewer than 20"}
    grouped = intervals.of_split(path, data, metrics, ["a", "b"] * 6, "patient")
    assert grouped["groups"] == {"by": "patient", "n": 2}
    assert grouped["metrics"]["mae"]["reason"] == "there are 2 groups, fewer than 20"


def test_groups_widen_the_intervals_by_what_they_share(tmp_path):
    """Each sample five times over: as many groups as samples, and an interval as wide as that of the groups."""
    path, data = classes(tmp_path, num=100)
    lines = [list(row.values()) for row in rundir.read_csv(path)]
    many = tmp_path / "predictions-val.csv"
    rundir.write_csv(many, list(rundir.read_csv(path)[0]), [[i, *lines[i % 100][1:]] for i in range(500)])
    metrics = final.from_predictions(path, data)
    few = intervals.of_split(path, data, metrics)["metrics"]
    blind = intervals.of_split(many, data, metrics)["metrics"]
    aware = intervals.of_split(many, data, metrics, [str(i % 100) for i in range(500)], "patient")["metrics"]
    width = {
        name: [said[name]["high"] - said[name]["low"] for said in (few, blind, aware)]
        for name in ("accuracy", "roc_auc", "f1_macro", "log_loss")
    }
    for single, wrong, right in width.values():
        assert right == pytest.approx(single, rel=0.15)
        assert wrong < 0.6 * single


def test_predictions_that_cannot_be_read_are_a_reason_and_no_error(tmp_path):
    path = tmp_path / "predictions-test.csv"
    for text in ("", "id,target\n1\n", "id,target,prediction,loss\n"):
        path.write_text(text)
        found = intervals.of_split(path, {"task": "classification", "classes": ["a", "b"]}, {"accuracy": 0.5})
        assert "reason" in found["metrics"]["accuracy"]
    path.unlink()
    assert "cannot be read" in intervals.of_split(path, {}, {"mae": 1.0})["metrics"]["mae"]["reason"]


def test_many_samples_are_resampled_in_part_and_the_widths_are_those_of_all(tmp_path, monkeypatch):
    path, data = classes(tmp_path, num=4000)
    metrics = final.from_predictions(path, data)
    whole = intervals.of_split(path, data, metrics)
    monkeypatch.setattr(intervals, "MOST_CELLS", 10_000_000)
    part = intervals.of_split(path, data, metrics)
    assert "note" not in whole
    assert "of the 4,000 samples" in part["note"]
    for name in ("f1_macro", "roc_auc", "log_loss"):
        one, other = (said["metrics"][name]["high"] - said["metrics"][name]["low"] for said in (whole, part))
        assert other == pytest.approx(one, rel=0.25)
        assert part["metrics"][name]["low"] < metrics[name] < part["metrics"][name]["high"]


def test_bias_and_skewness_are_those_of_scipys_bca():
    values = np.random.default_rng(0).exponential(size=200)
    mean = lambda weights: {"m": values @ weights / weights.sum(0)}  # noqa: E731
    units = np.arange(200)
    resampled = resampling.evaluated(mean, resampling.counts(200, 20_000, "test"), units)["m"]
    without = resampling.evaluated(mean, iter([resampling.left_out(units)]), units)["m"]
    found = resampling.bias_corrected(float(values.mean()), resampled, without, 200)
    expected = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=20_000, rng=0).confidence_interval
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.06 * width)
    assert found.high == pytest.approx(expected.high, abs=0.06 * width)


def test_a_grouped_proportion_of_one_kind_counts_each_group_once():
    units = np.repeat(np.arange(10), 7)
    every = Share(np.ones(70, bool), np.ones(70, bool))
    found = intervals.proportion(every, units)
    assert found["high"] == 1
    assert found["low"] < intervals.wilson(10, 10)[0] < intervals.wilson(70, 70)[0]
    assert math.isclose(intervals.proportion(every)["low"], intervals.wilson(70, 70)[0])
