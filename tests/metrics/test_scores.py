"""Scores of classes and labels, read from what a run writes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from torchwork import rundir
from torchwork.losses.criterion import Criterion
from torchwork.metrics.scores import read_scores, sigmoid, softmax
from torchwork.tasks.binary import Binary
from torchwork.tasks.classification import Classification
from torchwork.tasks.multilabel import Multilabel
from torchwork.tasks.regression import Regression
from torchwork.tasks.supervised import Evaluation

N = 30
ODD = (
    "target",
    "loss",
    "id",
    "score_a",
    '<script>alert("x")</script>',
    "a,b",
    'say "no"',
    "it's",
    "数字七",
    "x" * 300,
    "two\nlines",
    " padded ",
    "NA",
    "",
)


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def written(place: Path, task, outputs, targets):
    """Write what a run writes of a split; return the path of the table and the facts that go with it."""
    ones = torch.ones(len(outputs)).double()
    evaluation = Evaluation(torch.arange(len(outputs)) + 100, outputs, targets, ones, ones)
    path = place / rundir.predictions("test")
    rundir.write_csv(path, *task.table(evaluation))
    (place / rundir.ARRAYS).mkdir(exist_ok=True)
    np.savez(place / rundir.ARRAYS / "outputs-test.npz", id=evaluation.ids, output=outputs, target=targets)
    classes = None if isinstance(task, Multilabel) else getattr(task, "classes", None)
    names = getattr(task, "labels", None) or getattr(task, "target_names", ())
    return path, {
        "task": type(task).__name__.lower(),
        "loss": task.criterion.name,
        "classes": classes,
        "target_names": names,
    }


@pytest.mark.parametrize("count", [2, 20, 21, 300])
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.NLLLoss(), nn.MultiMarginLoss()])
def test_scores_of_classes_are_the_tasks_probabilities_from_columns_and_from_arrays(tmp_path, count, loss):
    outputs = normal(N, count) * 3
    outputs = outputs.log_softmax(1) if isinstance(loss, nn.NLLLoss) else outputs
    targets = torch.arange(N) % count
    task = Classification(Criterion(loss), tuple(f"c{place}" for place in range(count)))
    found = read_scores(*written(tmp_path, task, outputs, targets))
    assert found.classes == task.classes
    assert found.probabilities
    assert not found.multilabel
    np.testing.assert_array_equal(found.target, targets)
    np.testing.assert_array_equal(found.prediction, outputs.argmax(1))
    np.testing.assert_array_equal(found.ids, np.arange(N) + 100)
    np.testing.assert_allclose(found.scores, task.probabilities(outputs), rtol=1e-8)


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.BCELoss(), nn.SoftMarginLoss()])
def test_two_classes_of_one_output_have_two_scores(tmp_path, loss):
    outputs = normal(N, 1).sigmoid() if isinstance(loss, nn.BCELoss) else normal(N, 1)
    task = Binary(Criterion(loss), ("no", "yes"))
    found = read_scores(*written(tmp_path, task, outputs, torch.arange(N) % 2))
    np.testing.assert_allclose(found.scores, task.probabilities(outputs), rtol=1e-8)
    assert found.classes == ("no", "yes")
    assert found.probabilities


@pytest.mark.parametrize("count", [1, 3, 25])
@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.SoftMarginLoss(), nn.MultiLabelMarginLoss(), nn.BCELoss()])
def test_labels_have_a_target_each(tmp_path, count, loss):
    scores, there = normal(N, count), normal(N, 2 * count)[:, count:] > 0
    outputs = scores.sigmoid() if isinstance(loss, nn.BCELoss) else scores
    targets = there.float() * 2 - 1 if isinstance(loss, nn.SoftMarginLoss) else there.float()
    task = Multilabel(Criterion(loss), tuple(f"label {place}" for place in range(count)))
    found = read_scores(*written(tmp_path, task, outputs, targets))
    ranks = isinstance(loss, nn.MultiLabelMarginLoss)
    assert found.multilabel
    assert found.probabilities is not ranks
    np.testing.assert_array_equal(found.target, there.int())
    np.testing.assert_array_equal(found.prediction, (scores > 0).int())
    np.testing.assert_allclose(found.scores, scores if ranks else scores.double().sigmoid(), rtol=1e-6)


def test_lists_of_labels_end_at_their_first_minus_one(tmp_path):
    task = Multilabel(Criterion(nn.MultiLabelMarginLoss()), tuple(f"l{place}" for place in range(22)))
    targets = torch.full((2, 22), -1)
    targets[0, :2] = torch.tensor([21, 3])
    targets[1, 1] = 5  # behind the end: no label
    found = read_scores(*written(tmp_path, task, normal(2, 22), targets))
    assert [np.flatnonzero(row).tolist() for row in found.target] == [[3, 21], []]


def test_classes_may_be_called_anything(tmp_path):
    task = Classification(Criterion(nn.CrossEntropyLoss()), ODD)
    outputs, targets = normal(N, len(ODD)), torch.arange(N) % len(ODD)
    found = read_scores(*written(tmp_path, task, outputs, targets))
    assert found.classes == ODD
    np.testing.assert_array_equal(found.target, targets)
    np.testing.assert_array_equal(found.prediction, outputs.argmax(1))
    labels = Multilabel(Criterion(nn.BCEWithLogitsLoss()), ODD)
    found = read_scores(*written(tmp_path, labels, outputs, (outputs > 1).float()))
    np.testing.assert_array_equal(found.target, outputs > 1)


def test_ten_thousand_classes_and_labels_are_read(tmp_path):
    names = tuple(f"class number {place}" for place in range(10_000))
    outputs, targets = normal(12, len(names)), torch.arange(12) * 800
    found = read_scores(*written(tmp_path, Classification(Criterion(nn.CrossEntropyLoss()), names), outputs, targets))
    assert found.scores.shape == (12, 10_000)
    np.testing.assert_array_equal(found.target, targets)
    there = torch.zeros(12, len(names)).scatter_(1, targets[:, None], 1.0)
    found = read_scores(*written(tmp_path, Multilabel(Criterion(nn.MultiLabelMarginLoss()), names), outputs, there))
    np.testing.assert_array_equal(found.target.argmax(1), targets)


@pytest.mark.parametrize("count", [3, 30])
def test_scores_that_are_nan_are_kept_and_are_no_probabilities(tmp_path, count):
    outputs = normal(N, count)
    outputs[4, 1] = torch.nan
    task = Classification(Criterion(nn.CrossEntropyLoss()), tuple(map(str, range(count))))
    found = read_scores(*written(tmp_path, task, outputs, torch.arange(N) % count))
    assert np.isnan(found.scores[4]).all()
    assert np.isfinite(np.delete(found.scores, 4, 0)).all()
    assert not found.probabilities


def test_a_class_that_the_run_does_not_know_has_no_place(tmp_path):
    path = tmp_path / "predictions-val.csv"
    rundir.write_csv(path, ["id", "target", "prediction", "loss", "score_a"], [[0, "?", "a", 0.1, 1.0]])
    found = read_scores(path, {"classes": ["a"]})
    assert found.target.tolist() == [-1]
    assert found.prediction.tolist() == [0]


def test_a_table_without_rows_has_scores_of_no_samples(tmp_path):
    path = tmp_path / "predictions-val.csv"
    rundir.write_csv(path, ["id", "target", "prediction", "loss", "score_a", "score_b"], [])
    found = read_scores(path, {"classes": ["a", "b"]})
    assert found.scores.shape == (0, 2)
    assert found.target.shape == (0,)


def test_what_has_no_scores_has_none(tmp_path):
    assert read_scores(tmp_path / "predictions-test.csv", {"classes": ["a", "b"]}) is None
    task = Regression(Criterion(nn.MSELoss()), ("height",))
    assert read_scores(*written(tmp_path, task, normal(N, 1), normal(N, 1))) is None
    names = tuple(map(str, range(30)))
    path, facts = written(
        tmp_path, Classification(Criterion(nn.CrossEntropyLoss()), names), normal(N, 30), torch.arange(N)
    )
    (tmp_path / rundir.ARRAYS / "outputs-test.npz").unlink()
    assert read_scores(path, facts) is None


def test_softmax_and_sigmoid_are_torchs():
    outputs = normal(50, 7).double() * 30
    np.testing.assert_allclose(softmax(outputs.numpy()), outputs.softmax(1), rtol=1e-12)
    np.testing.assert_allclose(sigmoid(outputs.numpy()), outputs.sigmoid(), rtol=1e-12)
