"""ROC AUC, Kendall's tau, label ranking and Poisson deviance are scikit-learn's and scipy's, ties and all."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import kendalltau
from sklearn import metrics

from torchwork.metrics import epoch, order

SEEDS = st.integers(0, 2**32 - 1)
COARSE = st.integers(2, 40)  # of so few different scores, ties are many


@given(st.integers(2, 200), COARSE, SEEDS)
def test_roc_auc_is_that_of_scikit_learn_with_ties(count, levels, seed):
    draws = np.random.default_rng(seed)
    scores, positive = draws.integers(levels, size=count) / levels, draws.integers(2, size=count).astype(bool)
    found = order.roc_auc(torch.tensor(scores), torch.tensor(positive))
    if positive.all() or not positive.any():
        assert math.isnan(found)
    else:
        assert found == pytest.approx(metrics.roc_auc_score(positive, scores), abs=1e-12)


@given(st.integers(2, 200), COARSE, SEEDS)
def test_the_equal_error_rate_is_where_scikit_learns_curve_has_as_many_of_both_errors(count, levels, seed):
    draws = np.random.default_rng(seed)
    scores, positive = draws.integers(levels, size=count) / levels, draws.integers(2, size=count).astype(bool)
    found = order.equal_error_rate(torch.tensor(scores), torch.tensor(positive))
    if positive.all() or not positive.any():
        assert math.isnan(found)
        return
    false_rate, true_rate, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
    assert found == pytest.approx(
        brentq(lambda x: 1 - x - np.interp(x, *_upper_envelope(false_rate, true_rate)), 0, 1), abs=1e-9
    )


def _upper_envelope(false_rate, true_rate):
    """Where the curve is upright, np.interp wants to know which end to take: points a hair apart."""
    return false_rate + 1e-13 * np.arange(len(false_rate)), true_rate


def test_the_equal_error_rate_of_perfect_and_of_inverse_scores_is_zero_and_one():
    positive = torch.tensor([False, False, True])
    assert order.equal_error_rate(torch.tensor([0.0, 0.1, 0.9]), positive) == 0
    assert order.equal_error_rate(torch.tensor([0.8, 0.9, 0.1]), positive) == 1
    assert order.equal_error_rate(torch.tensor([0.5, 0.5, 0.5]), positive) == 0.5
    assert math.isnan(order.equal_error_rate(torch.tensor([0.5, math.nan, 0.5]), positive))


@given(st.integers(2, 150), COARSE, SEEDS)
def test_kendalls_tau_is_that_of_scipy_with_ties(count, levels, seed):
    draws = np.random.default_rng(seed)
    scores, target = (draws.integers(levels, size=count).astype(float) for _ in range(2))
    found, expected = (
        order.kendall_tau(torch.tensor(scores), torch.tensor(target)),
        kendalltau(scores, target).statistic,
    )
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_chunks_change_nothing(monkeypatch):
    draws = np.random.default_rng(0)
    scores, target = (torch.tensor(draws.integers(9, size=100).astype(float)) for _ in range(2))
    whole = order.kendall_tau(scores, target), order.pairs_in_order(scores, target)
    monkeypatch.setattr(order, "_CHUNK", 7)
    assert (order.kendall_tau(scores, target), order.pairs_in_order(scores, target)) == whole


@given(st.integers(2, 30), COARSE, SEEDS)
def test_pairs_in_order_is_that_of_counting(count, levels, seed):
    draws = np.random.default_rng(seed)
    scores, target = (draws.integers(levels, size=count).astype(float) for _ in range(2))
    points = [
        (np.sign((scores[i] - scores[j]) * (target[i] - target[j])) + 1) / 2
        for i in range(count)
        for j in range(i)
        if target[i] != target[j]
    ]
    found = order.pairs_in_order(torch.tensor(scores), torch.tensor(target))
    assert found == pytest.approx(np.mean(points) if points else math.nan, nan_ok=True)


@pytest.mark.parametrize("measure", [order.kendall_tau, order.pairs_in_order])
def test_nothing_is_said_of_nan(measure):
    assert math.isnan(measure(torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0])))


def test_roc_auc_of_nan_is_nan():
    assert math.isnan(order.roc_auc(torch.tensor([0.1, math.nan]), torch.tensor([True, False])))


@given(st.integers(1, 300), st.integers(1, 6), COARSE, SEEDS)
def test_label_ranking_average_precision_is_that_of_scikit_learn(count, labels, levels, seed):
    draws = np.random.default_rng(seed)
    scores = draws.integers(levels, size=(count, labels)) / levels
    present = draws.integers(2, size=(count, labels)).astype(bool)
    found = epoch.label_ranking_average_precision(torch.tensor(scores), torch.tensor(present))
    if labels > 1:  # scikit-learn takes one column for two classes
        assert found == pytest.approx(metrics.label_ranking_average_precision_score(present, scores), abs=1e-12)
    else:
        assert found == 1.0


@given(st.integers(2, 80), st.integers(2, 5), SEEDS)
def test_multilabel_is_that_of_scikit_learn(count, labels, seed):
    draws = np.random.default_rng(seed)
    scores, present = draws.random((count, labels)), draws.integers(2, size=(count, labels)).astype(bool)
    present[0], present[1] = True, False
    found = epoch.multilabel(torch.tensor(scores), torch.tensor(present))
    assert found["accuracy"] == pytest.approx(((scores >= 0.5) == present).mean())
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(present, scores, average="macro"))


@given(st.integers(1, 80), SEEDS)
def test_binary_is_that_of_scikit_learn(count, seed):
    draws = np.random.default_rng(seed)
    scores, target = draws.random(count), draws.integers(2, size=count)
    found = epoch.binary(torch.tensor(scores), torch.tensor(target))
    assert found["accuracy"] == metrics.accuracy_score(target, scores >= 0.5)


@given(st.integers(1, 80), SEEDS)
def test_poisson_deviance_is_that_of_scikit_learn(count, seed):
    draws = np.random.default_rng(seed)
    rate, target = draws.random(count) + 0.01, draws.poisson(2.0, count).astype(float)
    found = epoch.poisson_deviance(torch.tensor(rate), torch.tensor(target))
    assert found == pytest.approx(metrics.mean_poisson_deviance(target, rate), rel=1e-9, abs=1e-12)


def test_a_rate_of_0_where_there_are_counts_is_infinitely_wrong():
    assert epoch.poisson_deviance(torch.tensor([0.0]), torch.tensor([1.0])) == math.inf
    assert epoch.poisson_deviance(torch.tensor([0.0]), torch.tensor([0.0])) == 0.0
