"""Threshold and temperature come from val alone, and are those that suit it best."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from torch import nn

from torchwork import rundir
from torchwork.metrics import chosen
from torchwork.metrics.scores import Scores, are_probabilities, sigmoid, softmax

SEEDS = st.integers(0, 2**32 - 1)


def of_classes(scores, target):
    names = tuple(f"class {place}" for place in range(scores.shape[1]))
    fine = are_probabilities(scores, rows=True)
    return Scores(names, target, scores, fine, scores.argmax(1), np.arange(len(target)))


def of_label(scores, target):
    scores, target = scores.reshape(-1, 1), target.reshape(-1, 1)
    return Scores(("wet",), target, scores, True, (scores >= 0.5).astype(int), np.arange(len(target)))


def drawn(count, num_classes, seed, scale=1.0):
    """Logits whose probabilities are true where scale is 1, too sure where it is more; and classes drawn by them."""
    draws = np.random.default_rng(seed)
    logits = draws.normal(scale=1.5, size=(count, num_classes))
    target = np.array([draws.choice(num_classes, p=row) for row in softmax(logits)])
    return logits * scale, target


@settings(max_examples=15)
@given(num_classes=st.integers(2, 6), scale=st.sampled_from([0.4, 1.0, 3.0]), seed=SEEDS)
def test_the_temperature_has_the_least_log_loss_of_all_and_leaves_predictions_as_they_are(num_classes, scale, seed):
    logits, target = drawn(300, num_classes, seed, scale)
    found = chosen.choose(of_classes(softmax(logits), target)).temperature
    losses = {
        t: float(nn.functional.cross_entropy(torch.tensor(logits) / t, torch.tensor(target))) for t in _around(found)
    }
    assert min(losses, key=losses.get) == found
    np.testing.assert_array_equal(chosen.tempered(softmax(logits), found).argmax(1), logits.argmax(1))
    np.testing.assert_allclose(chosen.tempered(softmax(logits), found), softmax(logits / found), atol=1e-9)


def _around(value):
    return [value, *(value * factor for factor in (0.1, 0.5, 0.9, 0.99, 1.01, 1.1, 2.0, 10.0))]


def test_a_model_that_is_three_times_too_sure_has_a_temperature_of_three():
    logits, target = drawn(5000, 4, 0, scale=3.0)
    assert chosen.choose(of_classes(softmax(logits), target)).temperature == pytest.approx(3.0, rel=0.1)


@settings(max_examples=25)
@given(levels=st.integers(3, 200), rate=st.floats(0.1, 0.6), labels=st.booleans(), seed=SEEDS)
def test_no_other_threshold_has_a_greater_f1(levels, rate, labels, seed):
    draws = np.random.default_rng(seed)
    target = (draws.random(300) < rate).astype(int)
    score = np.round(sigmoid(draws.normal(size=300) + 1.5 * target - 1.5) * levels) / levels
    val = of_label(score, target) if labels else of_classes(np.stack([1 - score, score], 1), target)
    found = chosen.choose(val).threshold
    if min(target.sum(), (1 - target).sum()) < chosen.LEAST_OF_EACH:
        assert found is None
        return
    chosen_by = score >= np.unique(score)[:, None]
    best = (2 * (chosen_by & (target == 1)).sum(1) / (chosen_by.sum(1) + target.sum())).max()
    assert chosen.f1_at(val, found) == pytest.approx(metrics.f1_score(target, score >= found))
    assert chosen.f1_at(val, found) == pytest.approx(best)
    assert 0 <= found <= 1


def test_of_equally_good_thresholds_the_one_closest_to_a_half_is_taken():
    target = np.repeat([0, 1], 50)
    score = np.repeat([0.3, 0.8], 50)
    assert chosen.choose(of_label(score, target)).threshold == pytest.approx(0.55)


def test_choosing_takes_val_and_nothing_else():
    assert list(inspect.signature(chosen.choose).parameters) == ["val"]


def write(directory, split, score, target):
    rows = [
        [i, "no" if t == 0 else "yes", "no", 0.1, 1 - s, s] for i, (s, t) in enumerate(zip(score, target, strict=True))
    ]
    header = ["id", "target", "prediction", "loss", "score_no", "score_yes"]
    rundir.write_csv(directory / rundir.predictions(split), header, [[*row[:4], *map(float, row[4:])] for row in rows])


def test_test_has_no_influence_on_what_is_chosen(tmp_path):
    facts = {"task": "binary", "loss": "BCEWithLogitsLoss", "classes": ["no", "yes"]}
    draws = np.random.default_rng(3)
    target = draws.integers(2, size=200)
    score = sigmoid(3 * draws.normal(size=200) + target)
    write(tmp_path, "val", score, target)
    alone = chosen.of_run(tmp_path, facts)
    assert set(alone["temperature"]) == {"value", "val"}
    values = {(alone["temperature"]["value"], alone["threshold"]["value"])}
    seen = set()
    for seed in range(5):
        other = np.random.default_rng(seed)
        write(tmp_path, "test", other.random(80), other.integers(2, size=80))
        found = chosen.of_run(tmp_path, facts)
        values.add((found["temperature"]["value"], found["threshold"]["value"]))
        seen.add(tuple(found["threshold"]["test"]["f1"]))
        assert found["threshold"]["val"] == alone["threshold"]["val"]
    assert len(values) == 1
    assert len(seen) == 5
    write(tmp_path, "test", [np.nan] * 3, [0, 1, 1])
    found = chosen.of_run(tmp_path, facts)
    assert set(found["threshold"]) == {"value", "by", "val"}
    (tmp_path / rundir.predictions("val")).unlink()
    assert chosen.of_run(tmp_path, facts) == {}


def test_figures_before_and_after_are_those_of_scikit_learn(tmp_path):
    facts = {"task": "binary", "loss": "BCEWithLogitsLoss", "classes": ["no", "yes"]}
    logits, target = drawn(400, 2, 1, scale=2.5)
    score = softmax(logits)[:, 1]
    write(tmp_path, "val", score[:200], target[:200])
    write(tmp_path, "test", score[200:], target[200:])
    found = chosen.of_run(tmp_path, facts)
    temperature, threshold = found["temperature"]["value"], found["threshold"]["value"]
    for split, rows in (("val", slice(0, 200)), ("test", slice(200, 400))):
        after = softmax(logits[rows] / temperature)
        expected = [metrics.log_loss(target[rows], p) for p in (softmax(logits[rows]), after)]
        assert found["temperature"][split]["log_loss"] == pytest.approx(expected, rel=1e-6)
        expected = [metrics.f1_score(target[rows], score[rows] >= value) for value in (0.5, threshold)]
        assert found["threshold"][split]["f1"] == pytest.approx(expected)
    before, after = found["temperature"]["val"]["calibration_error"]
    assert after < before


@pytest.mark.parametrize(
    ("scores", "target"),
    [
        (np.full((49, 2), 0.5), np.arange(49) % 2),  # too few
        (np.full((60, 2), np.nan), np.arange(60) % 2),
        (np.full((60, 2), 3.0), np.arange(60) % 2),  # no probabilities
        (np.full((60, 2), 0.5), np.full(60, -1)),  # a class that the run does not know
        (np.zeros((0, 2)), np.zeros(0, int)),
    ],
)
def test_where_val_does_not_tell_nothing_is_chosen(scores, target):
    assert chosen.choose(of_classes(scores, target)) == (None, None)


def test_a_model_that_is_always_right_has_no_temperature_and_a_rare_label_no_threshold():
    target = np.arange(60) % 3
    right = np.where(target[:, None] == np.arange(3), 0.8, 0.1)
    assert chosen.choose(of_classes(right, target)) == (None, None)
    rare = (np.arange(100) < 9).astype(int)
    assert chosen.choose(of_label(np.linspace(0.9, 0.1, 100), rare)).threshold is None


def test_several_labels_have_neither():
    scores = np.random.default_rng(0).random((100, 2))
    val = Scores(("a", "b"), (scores > 0.3).astype(int), scores, True, (scores > 0.5).astype(int), np.arange(100))
    assert chosen.choose(val) == (None, None)
