"""Recall@1, MAP@R and same-or-different against plain loops and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.metrics.pairwise import cosine_distances, euclidean_distances
from sklearn.neighbors import KNeighborsClassifier

from torchwork.metrics import edits, order, retrieval

SEEDS = st.integers(0, 2**32 - 1)
METRICS = st.sampled_from(["euclidean", "cosine"])
OF = {"euclidean": euclidean_distances, "cosine": cosine_distances}


def draw(count, classes, seed):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(count, 3)), draws.integers(classes, size=count)


def map_at_r_by_loops(distances, classes):
    precisions = []
    for query in range(len(classes)):
        others = [place for place in np.argsort(distances[query], kind="stable") if place != query]
        relevant = [classes[place] == classes[query] for place in others]
        number = sum(relevant)
        if number:
            at = [sum(relevant[: i + 1]) / (i + 1) for i in range(number) if relevant[i]]
            precisions.append(sum(at) / number)
    return np.mean(precisions) if precisions else math.nan


@given(st.integers(2, 40), st.integers(1, 5), METRICS, SEEDS)
def test_map_at_r_is_that_of_the_definition(count, classes, metric, seed):
    x, y = draw(count, classes, seed)
    found = retrieval.map_at_r(torch.tensor(x), torch.tensor(y), metric)
    assert found == pytest.approx(map_at_r_by_loops(OF[metric](x), y), abs=1e-12, nan_ok=True)


@settings(max_examples=20)
@given(st.integers(4, 40), METRICS, SEEDS)
def test_recall_at_1_is_that_of_the_nearest_neighbour_left_one_out(count, metric, seed):
    x, y = draw(count, 2, seed)
    y[:4] = 0, 0, 1, 1  # no class with one sample
    hits = []
    for query in range(count):
        rest = np.delete(np.arange(count), query)
        nearest = KNeighborsClassifier(1, metric=metric).fit(x[rest], y[rest])
        hits.append(nearest.predict(x[query : query + 1])[0] == y[query])
    assert retrieval.recall_at_1(torch.tensor(x), torch.tensor(y), metric) == pytest.approx(np.mean(hits))


def test_the_only_sample_of_a_class_has_nothing_to_find_and_does_not_count():
    x = torch.tensor([[0.0], [0.1], [9.0]])
    assert retrieval.recall_at_1(x, torch.tensor([0, 0, 1])) == 1.0
    assert retrieval.map_at_r(x, torch.tensor([0, 0, 1])) == 1.0
    assert math.isnan(retrieval.recall_at_1(x, torch.tensor([0, 1, 2])))
    assert math.isnan(retrieval.map_at_r(x, torch.tensor([0, 1, 2])))


@given(st.integers(2, 60), st.integers(1, 4), METRICS, SEEDS)
def test_same_or_different_is_scikit_learns_roc_auc_over_all_pairs(count, classes, metric, seed):
    x, y = draw(count, classes, seed)
    first, second = np.triu_indices(count, 1)
    same = y[first] == y[second]
    area, rate = retrieval.same_or_different(torch.tensor(x), torch.tensor(y), metric)
    if same.all() or not same.any():
        assert math.isnan(area)
        assert math.isnan(rate)
    else:
        near = -OF[metric](x)[first, second].round(12)
        assert area == pytest.approx(metrics.roc_auc_score(same, near), abs=1e-9)
        assert rate == pytest.approx(order.equal_error_rate(torch.tensor(near), torch.tensor(same)), abs=1e-9)


@settings(max_examples=30)
@given(st.integers(2, 40), st.integers(1, 5), METRICS, SEEDS)
def test_what_is_ranked_once_is_what_each_measure_finds_alone(count, classes, metric, seed):
    x, y = draw(count, classes, seed)
    found = retrieval.ranked(torch.tensor(x), torch.tensor(y), metric)
    alone = [
        measure(torch.tensor(x), torch.tensor(y), metric) for measure in (retrieval.recall_at_1, retrieval.map_at_r)
    ]
    assert [found["recall_at_1"], found["map_at_r"]] == pytest.approx(alone, abs=1e-12, nan_ok=True)
    distances, queries = OF[metric](x), [place for place in range(count) if (y == y[place]).sum() > 1]
    precisions, hits = [], {5: [], 10: []}
    for query in queries:
        others = np.delete(np.arange(count), query)
        same, near = y[others] == y[query], -distances[query][others]
        precisions.append(metrics.average_precision_score(same, near))
        for k, found_at in hits.items():
            found_at.append(same[np.argsort(-near, kind="stable")[:k]].any())
    if not queries:
        assert all(math.isnan(value) for value in found.values())
        return
    assert found["mean_average_precision"] == pytest.approx(np.mean(precisions), abs=1e-12)
    for k, found_at in hits.items():
        expected = np.mean(found_at) if count > k else math.nan
        assert found[f"recall_at_{k}"] == pytest.approx(expected, nan_ok=True)


def test_equal_distances_count_half():
    x = torch.tensor([[0.0], [1.0], [2.0]])
    assert retrieval.same_or_different(x, torch.tensor([0, 0, 1]))[0] == 0.75  # 1 against 1 and against 2


def test_chunks_change_nothing(monkeypatch):
    x, y = (torch.tensor(part) for part in draw(100, 4, 0))
    measures = (
        lambda: [retrieval.recall_at_1(x, y), retrieval.map_at_r(x, y)],
        lambda: list(retrieval.ranked(x, y).values()),
        lambda: retrieval.same_or_different(x, y),
    )
    whole = [measure() for measure in measures]
    monkeypatch.setattr(retrieval, "_CHUNK", 7)
    for measure, before in zip(measures, whole, strict=True):
        assert measure() == pytest.approx(before, abs=1e-12)


def test_triplets_in_order_are_counted():
    triplets = torch.tensor([[[0.0], [1.0], [2.0]], [[0.0], [2.0], [1.0]], [[0.0], [1.0], [-1.0]]])
    assert retrieval.triplets_in_order(triplets) == 0.5


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_edit_distance_is_that_of_its_recursive_definition(first, second):
    def plain(a, b):
        if not a or not b:
            return len(a) + len(b)
        if a[0] == b[0]:
            return plain(a[1:], b[1:])
        return 1 + min(plain(a[1:], b), plain(a, b[1:]), plain(a[1:], b[1:]))

    assert edits.distance(first, second) == plain(first, second)


def test_the_error_rate_is_of_all_characters_and_not_a_mean_of_rates():
    found = edits.rates(["1", "12345", ""], ["2", "12345", ""])
    assert found == {"character_error_rate": 1 / 6, "exact_match": 2 / 3}
    assert math.isnan(edits.rates([""], ["1"])["character_error_rate"])


@given(st.lists(st.sampled_from(["sh", "a", "ng"]), max_size=5))
def test_symbols_survive_being_joined(symbols):
    known = ["sh", "a", "ng"]
    assert edits.separated(edits.joined(symbols, known), known) == symbols
    assert edits.separated(edits.joined(list("310"), list("0123")), list("0123")) == list("310")
