"""Tests of two models on the same samples: at most 5% rejected where there is no difference; real ones are found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from torchwork.metrics import paired, weighted_classes, weighted_numbers, weighted_scores


def test_mcnemar_is_the_exact_binomial_test_and_the_corrected_chi_squared_beyond():
    draws = np.random.default_rng(0)
    first, second = draws.random((2, 500)) < 0.7
    found = paired.mcnemar(first, second)
    assert (found.first, found.second) == (int((first & ~second).sum()), int((~first & second).sum()))
    assert found.p == stats.binomtest(found.first, found.first + found.second).pvalue
    many = np.arange(4000) < 2100
    exact = stats.binomtest(2100, 4000).pvalue
    assert paired.mcnemar(many, ~many).p == pytest.approx(exact, rel=0.02)


def test_models_that_are_right_on_the_same_samples_do_not_differ():
    right = np.arange(30) < 20
    assert paired.mcnemar(right, right).p == 1
    found = paired.bootstrap(*[weighted_scores.of_means({"a": right.astype(float)})] * 2, 30)["a"]
    assert found.value == 0
    assert found.reason == "the two are the same on every sample"


def test_mcnemar_rejects_in_at_most_5_percent_under_no_difference():
    draws, rejected = np.random.default_rng(1), []
    for num in (30, 100, 400):
        for _ in range(400):
            hard = draws.random(num)
            first, second = (draws.random(num) < hard for _ in range(2))
            rejected.append(paired.mcnemar(first, second).p < 0.05)
    assert np.mean(rejected) <= 0.05


def test_grouped_proportions_reject_in_at_most_5_percent_under_no_difference():
    draws, rejected, blind = np.random.default_rng(2), [], []
    for count in (8, 15, 40):
        for _ in range(150):
            units = np.repeat(np.arange(count), 6)
            first, second = (draws.random(len(units)) < draws.beta(2, 1, count)[units] for _ in range(2))
            rejected.append(paired.grouped_shares(first, second, units) < 0.05)
            blind.append(paired.mcnemar(first, second).p < 0.05)
    assert np.mean(rejected) <= 0.055
    assert np.mean(blind) > 0.1


def of_classes(target, scores):
    one = scores[np.arange(len(target)), target]
    positive = target[:, None] == np.arange(scores.shape[1])
    names = [str(k) for k in range(scores.shape[1])]
    parts = [
        weighted_classes.of_classes(target, scores.argmax(1), names),
        weighted_scores.of_scores(positive, scores, names, None),
        weighted_scores.of_means({"log_loss": -np.log(one)}),
    ]
    return lambda weights: {name: value for part in parts for name, value in part(weights).items() if "/" not in name}


def two_models(draws, num, *, better=0.0):
    """Return the metrics of two models whose scores share a part, the first perhaps better."""
    target = draws.integers(3, size=num)
    common = draws.normal(size=(num, 3))
    models = []
    for lift in (better, 0.0):
        scores = common + draws.normal(size=(num, 3))
        scores[np.arange(num), target] += 1.5 + lift
        powers = np.exp(scores)
        models.append(of_classes(target, powers / powers.sum(1, keepdims=True)))
    return models


def rejections(make, sizes, each):
    found = {}
    for num in sizes:
        for repeat in range(each):
            for name, said in paired.bootstrap(*make(np.random.default_rng([num, repeat]), num), num).items():
                found.setdefault(name, []).append(said.p < 0.05)
    return {name: float(np.mean(hits)) for name, hits in found.items()}


def two_regressions(draws, num):
    target = draws.normal(size=num)
    common = draws.normal(size=num)
    return [weighted_numbers.of_numbers(target, target + common + draws.normal(size=num)) for _ in range(2)]


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(paired, "_TIMES", 300)


def test_the_paired_bootstrap_rejects_in_at_most_5_percent_under_no_difference(few_resamples):
    found = rejections(two_models, (27, 100), 60) | rejections(two_regressions, (27, 100), 60)
    assert len(found) >= 12
    assert np.mean(list(found.values())) <= 0.05, found


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_paired_bootstrap_rejects_in_at_most_5_percent_for_each_metric():
    found = rejections(two_models, (27, 60, 200, 800), 125) | rejections(two_regressions, (27, 60, 200, 800), 125)
    print(found)
    assert np.mean(list(found.values())) <= 0.05, found
    assert max(found.values()) <= 0.065, found


def test_the_paired_bootstrap_finds_a_real_difference_that_unpaired_intervals_hide(few_resamples):
    first, second = two_models(np.random.default_rng(5), 600, better=0.6)
    found = paired.bootstrap(first, second, 600)
    for name in ("accuracy", "roc_auc", "log_loss"):
        assert found[name].p < 0.01
        assert found[name].low * found[name].high > 0
        assert found[name].low < found[name].value < found[name].high


def test_groups_are_drawn_whole():
    draws = np.random.default_rng(0)
    values = np.repeat(draws.normal(0.3, 1, 40), 10)
    models = [weighted_scores.of_means({"m": values}), weighted_scores.of_means({"m": np.zeros(400)})]
    groups = [str(i // 10) for i in range(400)]
    blind, aware = (paired.bootstrap(*models, 400, own)["m"] for own in (None, groups))
    assert aware.high - aware.low > 2 * (blind.high - blind.low)
    assert aware.p == pytest.approx(stats.ttest_1samp(values[::10], 0).pvalue, rel=0.5)
    assert paired.bootstrap(*models, 400, ["a", "b"] * 200)["m"].reason == "there are 2 groups, fewer than 20"


def test_holm_is_that_of_scipy_and_statsmodels_by_hand():
    assert paired.holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert paired.holm([0.5, 0.9]) == [1.0, 1.0]
    assert paired.holm([]) == []
