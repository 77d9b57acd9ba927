"""The final metrics equal scikit-learn's on the arrays behind the table, and none is ever NaN."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from torchwork import rundir
from torchwork.metrics import final, probabilities
from torchwork.metrics.areas import areas
from torchwork.metrics.classification_report import classification_report


def write_classes(path, target, prediction, scores=None, classes=()):
    header = ["id", "target", "prediction", "loss"]
    rows = [[i, t, p, 0.5] for i, (t, p) in enumerate(zip(target, prediction, strict=True))]
    if scores is not None:
        header += [f"score_{name}" for name in classes]
        rows = [row + [float(s) for s in own] for row, own in zip(rows, scores, strict=True)]
    rundir.write_csv(path, header, rows)
    return path


def write_numbers(path, target, prediction, names=("",)):
    header = ["id", *(f"{side}{'_' if n else ''}{n}" for n in names for side in ("target", "prediction")), "loss"]
    pairs = np.stack([target, prediction], axis=2).reshape(len(target), -1)
    rundir.write_csv(path, header, [[i, *map(float, row), 0.5] for i, row in enumerate(pairs)])
    return path


def softmax(scores):
    exponents = np.exp(scores - scores.max(1, keepdims=True))
    return exponents / exponents.sum(1, keepdims=True)


def sane(found) -> None:
    assert all(math.isfinite(value) for value in found.values())
    json.dumps(found, allow_nan=False)


@settings(max_examples=40)
@given(count=st.integers(1, 80), num_classes=st.integers(2, 7), seed=st.integers(0, 2**32 - 1))
def test_classification_is_that_of_scikit_learn(tmp_path_factory, count, num_classes, seed):
    draws = np.random.default_rng(seed)
    classes = [f"class {chr(122 - i)}" for i in range(num_classes)]  # not in the order of the alphabet
    scores = softmax(draws.normal(scale=3, size=(count, num_classes)))
    target, prediction = draws.integers(num_classes, size=count), scores.argmax(1)
    path = tmp_path_factory.mktemp("run") / "predictions-test.csv"
    write_classes(path, [classes[i] for i in target], [classes[i] for i in prediction], scores, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, undefined = final.of_split(path, {"classes": classes})
    sane(found)
    assert not set(found) & set(undefined)
    assert found["accuracy"] == metrics.accuracy_score(target, prediction)
    for average in ("macro", "weighted"):
        expected = metrics.precision_recall_fscore_support(target, prediction, average=average, zero_division=0)
        own = [found[f"{name}_{average}"] for name in ("precision", "recall", "f1")]
        assert own == pytest.approx(list(expected[:3]), rel=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn tells of predicted classes that do not occur
        assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(target, prediction))
    labels = np.arange(num_classes)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(target, scores, labels=labels), rel=1e-6)
    brier = metrics.brier_score_loss(target, scores[:, 1] if num_classes == 2 else scores, labels=labels)
    assert found["brier"] == pytest.approx(brier, rel=1e-6)
    if num_classes > 2:
        best = 5 if num_classes > 5 else 2
        expected = metrics.top_k_accuracy_score(target, scores, k=best, labels=labels)
        assert found[f"top_{best}_accuracy"] == pytest.approx(expected)
    assert len([name for name in found if name.startswith("top_")]) == (num_classes > 2)
    check_areas(found, undefined, target, scores, classes)
    report = metrics.classification_report(target, prediction, output_dict=True, zero_division=0)
    present = set(target) | set(prediction)
    for index, name in enumerate(classes):
        if index not in present:
            assert f"support/{name}" not in found
            continue
        divided = {"precision": index in prediction, "recall": index in target, "f1": True}
        for kind, expected in zip(("precision", "recall", "f1", "support"), report[str(index)].values(), strict=True):
            if divided.get(kind, True):
                assert found[f"{kind}/{name}"] == expected
            else:
                assert f"{kind}/{name}" in undefined


def check_areas(found, undefined, target, scores, classes):
    hits = target[:, None] == np.arange(len(classes))
    for name, function in (
        ("roc_auc", metrics.roc_auc_score),
        ("average_precision", metrics.average_precision_score),
    ):
        each = {}
        for place, label in enumerate(classes):
            if hits[:, place].any() and (name != "roc_auc" or not hits[:, place].all()):
                each[label] = function(hits[:, place], scores[:, place])
                assert found[f"{name}/{label}"] == pytest.approx(each[label], rel=1e-9)
            else:
                assert f"{name}/{label}" in undefined
        if hits.any(0).all():
            expected = each[classes[1]] if len(classes) == 2 else np.mean(list(each.values()))
            assert found[name] == pytest.approx(expected, rel=1e-9)
        else:
            assert name in undefined


@settings(max_examples=20)
@given(count=st.integers(1, 300), num_classes=st.integers(2, 6), seed=st.integers(0, 2**32 - 1))
def test_calibration_error_is_that_of_torchmetrics(count, num_classes, seed):
    from torchmetrics.functional.classification import multiclass_calibration_error

    draws = np.random.default_rng(seed)
    scores = torch.from_numpy(draws.dirichlet(np.ones(num_classes), size=count))
    target = torch.from_numpy(draws.integers(num_classes, size=count))
    confidence, prediction = scores.max(1)
    found = probabilities.calibration_error(confidence.numpy(), (prediction == target).numpy())
    expected = multiclass_calibration_error(scores, target, num_classes, n_bins=15, norm="l1")
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_calibration_error_counts_each_sample_in_one_bin_also_at_the_ends():
    assert probabilities.calibration_error(np.array([0.0, 1.0, 1.0]), np.array([True, False, False])) == 1.0
    assert probabilities.calibration_error(np.array([0.2, 0.4]), np.array([False, False])) == pytest.approx(0.3)


@settings(max_examples=40)
@given(levels=st.integers(1, 5), count=st.integers(1, 60), seed=st.integers(0, 2**32 - 1))
def test_areas_are_those_of_scikit_learn_with_ties(levels, count, seed):
    draws = np.random.default_rng(seed)
    scores, hits = draws.integers(levels, size=(count, 3)) / levels, draws.integers(2, size=(count, 3)) > 0
    found = areas(scores, iter(hits.T))
    for place, (score, hit) in enumerate(zip(scores.T, hits.T, strict=True)):
        expected = [np.nan, np.nan]
        if hit.any():
            expected = [
                np.nan if hit.all() else metrics.roc_auc_score(hit, score),
                metrics.average_precision_score(hit, score),
            ]
        assert found[place].tolist() == pytest.approx(expected, rel=1e-12, nan_ok=True)


@settings(max_examples=40)
@given(count=st.integers(2, 40), columns=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_regression_is_that_of_scikit_learn_by_target_and_in_the_mean(tmp_path_factory, count, columns, seed):
    draws = np.random.default_rng(seed)
    target = draws.normal(loc=5, size=(count, columns)).round(4)
    assume(all(len(set(column)) > 1 for column in target.T))
    prediction = (target + draws.normal(size=(count, columns))).round(4)
    names = ("",) if columns == 1 else tuple("abc"[:columns])
    path = write_numbers(tmp_path_factory.mktemp("run") / "predictions-val.csv", target, prediction, names)
    found = final.from_predictions(path, {"classes": None, "target_names": list(names)})
    sane(found)
    functions = {
        "mae": metrics.mean_absolute_error,
        "rmse": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
        "explained_variance": metrics.explained_variance_score,
        "median_absolute_error": metrics.median_absolute_error,
    }
    for name, function in functions.items():
        assert found[name] == pytest.approx(function(target, prediction), rel=1e-9)
        if columns > 1:
            expected = function(target, prediction, multioutput="raw_values")
            assert [found[f"{name}/{column}"] for column in names] == pytest.approx(list(expected), rel=1e-9)
    quantiles = np.quantile(np.abs(target - prediction), [0.9, 0.95], axis=0)
    for name, expected in zip(("absolute_error_q90", "absolute_error_q95"), quantiles, strict=True):
        assert found[name] == pytest.approx(expected.mean(), rel=1e-9)
    assert len(found) == 7 * (1 if columns == 1 else 1 + columns)


def test_what_is_undefined_is_left_out(tmp_path):
    target = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    path = write_numbers(tmp_path / "p.csv", target, target + 1, ("a", "b"))
    found, undefined = final.of_split(path, {"target_names": ["a", "b"]})
    sane(found)
    assert {"r2/a", "mae/b", "mae", "rmse"} <= set(found)
    assert undefined == {
        "r2": "not defined for b",
        "explained_variance": "not defined for b",
        "r2/b": "the targets are all equal",
        "explained_variance/b": "the targets are all equal",
    }


def test_predictions_that_are_not_finite_have_no_metrics(tmp_path):
    target = np.array([[1.0, 5.0], [2.0, 6.0]])
    path = write_numbers(tmp_path / "p.csv", target, np.array([[1.0, np.nan], [2.0, np.inf]]), ("a", "b"))
    found = final.from_predictions(path, {"target_names": ["a", "b"]})
    assert {"mae/a", "rmse/a", "r2/a", "explained_variance/a"} <= set(found)
    assert all(name.endswith("/a") for name in found)
    path = write_classes(tmp_path / "q.csv", ["x", "y"], ["x", "x"], [[np.nan, np.nan]] * 2, ["x", "y"])
    found, undefined = final.of_split(path, {"classes": ["x", "y"]})
    sane(found)
    assert "accuracy" in found
    assert not {"roc_auc", "log_loss"} & set(found)
    assert undefined["log_loss"] == "the scores of 2 of 2 samples are NaN or infinite"


def test_one_class_in_the_split_has_a_reason(tmp_path):
    path = write_classes(tmp_path / "p.csv", ["x", "x"], ["x", "y"], [[0.9, 0.1], [0.4, 0.6]], ["x", "y"])
    found, undefined = final.of_split(path, {"classes": ["x", "y"]})
    assert undefined["roc_auc"] == undefined["average_precision"] == "there is one class only"
    assert undefined["roc_auc/x"] == "no other class occurs"
    assert undefined["average_precision/y"] == "it does not occur"
    assert found["average_precision/x"] == 1
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.4]).mean())


def test_a_class_that_is_never_predicted_has_no_precision_but_counts_as_zero_in_the_mean(tmp_path):
    path = write_classes(tmp_path / "p.csv", ["x", "y", "y"], ["x", "x", "x"])
    found, undefined = final.of_split(path, {"classes": ["x", "y", "never"]})
    assert "precision/y" not in found
    assert undefined["precision/y"] == "it is never predicted"
    assert found["precision_macro"] == pytest.approx((1 / 3 + 0) / 2)
    assert found["recall/y"] == found["f1/y"] == 0
    assert found["support/y"] == 2
    assert found["balanced_accuracy"] == 0.5
    assert not [name for name in found if name.endswith("/never")]


def test_a_class_that_is_predicted_but_does_not_occur_counts_in_the_macro_mean_only(tmp_path):
    path = write_classes(tmp_path / "p.csv", ["x", "x"], ["x", "y"])
    found, undefined = final.of_split(path, {"classes": ["x", "y"]})
    assert "recall/y" not in found
    assert undefined["recall/y"] == "it does not occur"
    assert found["precision/y"] == found["f1/y"] == 0
    assert found["recall_macro"] == 0.25
    assert found["balanced_accuracy"] == found["recall_weighted"] == 0.5


def test_scores_beyond_twenty_classes_are_not_there_and_not_missed(tmp_path):
    path = write_classes(tmp_path / "p.csv", ["x", "y"], ["x", "y"])
    found = final.from_predictions(path, {"classes": ["x", "y"]})
    assert found["accuracy"] == 1
    assert not {"roc_auc", "log_loss"} & set(found)


def test_scores_that_are_no_probabilities_have_an_area_but_no_log_loss(tmp_path):
    scores = [[2.0, -1.0], [-3.0, 1.0], [0.0, 0.5]]
    path = write_classes(tmp_path / "p.csv", ["x", "y", "x"], ["x", "y", "y"], scores, ["x", "y"])
    found = final.from_predictions(path, {"classes": ["x", "y"]})
    assert found["roc_auc"] == 1
    assert "log_loss" not in found


def test_names_of_classes_stay_text(tmp_path):
    names = ["NA", "1.0", "01", "nan", 'a,"b"']
    path = write_classes(tmp_path / "p.csv", names, names)
    found = final.from_predictions(path, {"classes": names})
    assert [found[f"support/{name}"] for name in names] == [1] * 5


def test_a_table_without_rows_has_no_metrics(tmp_path):
    for facts in (
        {"classes": ["x", "y"]},
        {"task": "regression", "classes": None},
        {"task": "binary", "classes": "xy"},
    ):
        found, undefined = final.of_split(write_classes(tmp_path / "p.csv", [], []), facts)
        assert found == {}
        assert set(undefined.values()) == {"there are no samples"}


def test_the_report_lists_classes_in_their_own_order_and_ends_with_the_accuracy(tmp_path):
    path = write_classes(tmp_path / "p.csv", ["zebra", "ant", "ant"], ["zebra", "zebra", "ant"])
    report = classification_report(path, ["zebra", "absent", "ant"])
    assert report == metrics.classification_report(
        [0, 1, 1], [0, 0, 1], target_names=["zebra", "ant"], digits=4, zero_division=0
    )
    assert "accuracy" in report
    assert "absent" not in report
