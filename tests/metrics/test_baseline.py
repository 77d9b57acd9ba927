"""A baseline looks at no input, and knows the training split alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.dummy import DummyClassifier, DummyRegressor
from torch import nn

from metrics.test_scores import written
from torchwork.losses.criterion import Criterion
from torchwork.metrics import baseline, chance, edits, final, retrieval
from torchwork.metrics.final_numbers import ERRORS
from torchwork.tasks.binary import Binary
from torchwork.tasks.classification import Classification
from torchwork.tasks.embedding import Embedding
from torchwork.tasks.multilabel import Multilabel
from torchwork.tasks.ranking import Ranking
from torchwork.tasks.regression import Regression
from torchwork.tasks.sequence import Sequence

N = 50


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(8))


def of(tmp_path, task, outputs, targets, train, **changed):
    """Return a split's baseline and its own metrics, where the training split has the encoded targets ``train``."""
    path, facts = written(tmp_path, task, outputs, targets)
    known = facts["classes"] or getattr(task, "symbols", None)
    of_train = baseline.of_train(facts["task"], facts["loss"], train, known)
    facts |= {"classes": known, "train_targets": of_train, **changed}
    own = final.from_predictions(path, facts)
    return baseline.of_split(path, facts, own), own


@pytest.mark.parametrize("count", [2, 3, 8, 30])
def test_of_classes_it_is_scikit_learns_dummy_of_the_training_split(tmp_path, count):
    draws = np.random.default_rng(count)
    train = draws.choice(count, size=200, p=draws.dirichlet(np.ones(count) * 5))
    train[:count] = np.arange(count)
    targets = torch.arange(N) % count
    task = Classification(Criterion(nn.CrossEntropyLoss()), tuple(f"class {place}" for place in range(count)))
    found, own = of(tmp_path, task, normal(N, count), targets, train)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((200, 1)), train)
    rates = dummy.predict_proba(np.zeros((N, 1)))
    figures, guess = found["metrics"], int(np.bincount(train).argmax())
    assert found["name"] == f"the most frequent class of train: class {guess}"
    assert figures["accuracy"] == dummy.score(np.zeros((N, 1)), targets)
    assert figures["balanced_accuracy"] == pytest.approx(1 / min(count, N))
    assert figures["log_loss"] == pytest.approx(metrics.log_loss(targets, rates, labels=np.arange(count)))
    assert figures["roc_auc"] == 0.5
    assert figures[f"average_precision/class {guess}"] == pytest.approx(float((targets == guess).double().mean()))
    assert set(figures) <= set(own)
    missing = {name.partition("/")[::2] for name in set(own) - set(figures)}
    assert {kind for kind, _ in missing} <= {"support", "precision"}, "all but these has a baseline"
    assert ("precision", f"class {guess}") not in missing
    assert ("precision", "") not in missing


def test_the_guess_is_that_of_train_and_not_of_the_split_itself(tmp_path):
    task = Binary(Criterion(nn.BCEWithLogitsLoss()), ("no", "yes"))
    targets = torch.ones(N, dtype=torch.int64)
    targets[0] = 0
    found, _ = of(tmp_path, task, normal(N, 1), targets, np.array([0, 0, 0, 1]))
    assert found["name"].endswith(": no")
    assert found["metrics"]["accuracy"] == 1 / N
    assert found["metrics"]["log_loss"] == pytest.approx(-(np.log(0.75) + 49 * np.log(0.25)) / 50)


def test_shares_of_classes_count_as_their_most_probable_class():
    train = np.array([[0.1, 0.9], [0.6, 0.4], [0.2, 0.8]])
    assert baseline.of_train("classification", "CrossEntropyLoss", train, None) == {"counts": [1, 2]}


@given(columns=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_of_numbers_it_is_the_mean_and_for_absolute_errors_the_median_of_train(tmp_path_factory, columns, seed):
    draws = np.random.default_rng(seed)
    train, targets = draws.gamma(2, size=(99, columns)), torch.from_numpy(draws.gamma(2, size=(N, columns)))
    task = Regression(Criterion(nn.MSELoss()), tuple("abc"[:columns]))
    found, own = of(tmp_path_factory.mktemp("run"), task, normal(N, columns), targets, train)
    nothing = np.zeros((N, 1))
    mean, median = (
        DummyRegressor(strategy=s).fit(np.zeros((99, 1)), train).predict(nothing) for s in ("mean", "median")
    )
    mean, median = (guess.reshape(N, columns) for guess in (mean, median))
    figures = found["metrics"]
    assert figures["rmse"] == pytest.approx(metrics.root_mean_squared_error(targets, mean), rel=1e-7)
    assert figures["r2"] == pytest.approx(metrics.r2_score(targets, mean), rel=1e-7, abs=1e-9)
    assert figures["mae"] == pytest.approx(metrics.mean_absolute_error(targets, median), rel=1e-7)
    error = metrics.median_absolute_error(targets, median)
    assert figures["median_absolute_error"] == pytest.approx(error, rel=1e-7)
    assert set(ERRORS) < set(figures) == set(own)
    assert found["name"].startswith("the mean of train")


def test_of_counts_it_is_the_mean_rate(tmp_path):
    task = Regression(Criterion(nn.PoissonNLLLoss()), ("n",))
    targets, train = normal(N, 1).abs().round(), np.array([[0.0], [3.0], [0.0]])
    found, _ = of(tmp_path, task, normal(N, 1), targets, train)
    expected = metrics.mean_poisson_deviance(targets[:, 0], np.ones(N))
    assert found["metrics"]["poisson_deviance"] == pytest.approx(expected)
    assert found["name"].startswith("the mean rate of train, 1 ")


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.MultiLabelMarginLoss()])
def test_of_labels_it_is_the_most_frequent_set_and_the_shares(tmp_path, loss):
    train = np.array([[1.0, 0, 1], [1, 0, 1], [0, 1, 0]])
    targets = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]])
    found, own = of(tmp_path, Multilabel(Criterion(loss), ("a", "b", "c")), normal(4, 3), targets, train)
    ranks = isinstance(loss, nn.MultiLabelMarginLoss)
    said = "the labels as often as train has them" if ranks else "the most frequent labels of train: a, c"
    assert found["name"] == said
    rates = np.broadcast_to([2 / 3, 1 / 3, 2 / 3], (4, 3))
    assert found["metrics"]["lrap"] == pytest.approx(metrics.label_ranking_average_precision_score(targets, rates))
    assert set(found["metrics"]) == {name for name in own if not name.startswith("support/")}
    if not ranks:
        guess = np.broadcast_to([1, 0, 1], (4, 3))
        assert found["metrics"]["exact_match"] == metrics.accuracy_score(targets, guess)
        assert found["metrics"]["f1_micro"] == pytest.approx(metrics.f1_score(targets, guess, average="micro"))


def test_of_sequences_it_is_the_most_frequent_one(tmp_path):
    targets = torch.tensor([[0, 0, -1], [1, 0, 1], [-1, -1, -1]])
    task = Sequence(Criterion(nn.CTCLoss()), ("3", "1"))
    outputs = normal(3, 4, 3).log_softmax(2)
    found, _ = of(tmp_path, task, outputs, targets, np.array([[1, 1, -1], [0, 0, -1], [0, 0, -1]]))
    assert found["name"] == "the most frequent sequence of train: 33"
    assert found["metrics"] == edits.rates(["33", "131", ""], ["33"] * 3)
    found, _ = of(tmp_path, task, outputs, targets, np.array([[-1, -1], [0, 1], [-1, -1]]))
    assert found["name"].endswith(": an empty one")
    assert found["metrics"] == {"character_error_rate": 1.0, "exact_match": 1 / 3}


def test_an_order_and_pairs_have_chance(tmp_path):
    found, _ = of(
        tmp_path, Ranking(Criterion(nn.MarginRankingLoss())), normal(N, 1), normal(N, 1), normal(9, 1).numpy()
    )
    assert found == {"name": "a random order", "metrics": {"kendall_tau": 0.0, "pairs_in_order": 0.5}}
    task = Embedding(Criterion(nn.HingeEmbeddingLoss()), given="file")
    found, _ = of(tmp_path, task, normal(N, 2, 3), normal(N).sign(), np.zeros(3))
    assert found["metrics"] == {"roc_auc": 0.5, "equal_error_rate": 0.5}


@pytest.mark.parametrize("sizes", [(2, 5, 1, 9), (20, 20), (1, 2)])
def test_neighbours_at_random_reach_what_a_simulation_finds(sizes):
    classes = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes))
    draws = torch.Generator().manual_seed(0)
    rounds = [
        retrieval.ranked(torch.randn(len(classes), 8, generator=draws, dtype=torch.float64), classes)
        for _ in range(400)
    ]
    expected = chance.ranked(classes.numpy())
    assert set(expected) == {name for name, value in rounds[0].items() if np.isfinite(value)}
    for name, value in expected.items():
        drawn = np.array([found[name] for found in rounds])
        assert value == pytest.approx(drawn.mean(), abs=4 * drawn.std() / len(drawn) ** 0.5 + 1e-9), name


def test_classes_of_one_sample_each_have_no_chance():
    assert chance.ranked(np.arange(5)) == {}


def test_a_run_that_kept_no_facts_and_a_split_without_rows_have_no_baseline(tmp_path):
    task = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b"))
    path, facts = written(tmp_path, task, normal(N, 2), torch.arange(N) % 2)
    assert baseline.of_split(path, facts, {"accuracy": 1.0}) is None
    path, facts = written(tmp_path, task, normal(0, 2), torch.arange(0))
    assert baseline.of_split(path, facts | {"train_targets": {"counts": [1, 2]}}, {}) is None


def test_what_the_split_lacks_has_no_baseline_either(tmp_path):
    task = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))
    found, own = of(tmp_path, task, normal(N, 3), torch.arange(N) % 2, np.array([2, 2, 1, 0]))
    assert "roc_auc" not in own
    assert "roc_auc" not in found["metrics"]
    assert found["metrics"]["accuracy"] == 0
