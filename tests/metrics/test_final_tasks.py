"""The final metrics of labels, counts, orders, vectors and sequences, from a run's table and arrays."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from sklearn import metrics
from torch import nn

from torchwork import rundir
from torchwork.losses.criterion import Criterion
from torchwork.metrics import final, final_labels, order, retrieval
from torchwork.tasks.binary import Binary
from torchwork.tasks.embedding import Embedding
from torchwork.tasks.multilabel import Multilabel
from torchwork.tasks.ranking import Ranking
from torchwork.tasks.regression import Regression
from torchwork.tasks.sequence import Sequence
from torchwork.tasks.supervised import Evaluation

N = 40


def written(place: Path, task, outputs, targets, ids=None):
    """Write what a run writes of a split; return its final metrics."""
    count = len(outputs)
    ids = torch.arange(count) if ids is None else ids
    evaluation = Evaluation(ids, outputs, targets, torch.ones(count).double(), torch.ones(count).double())
    path = place / rundir.predictions("test")
    rundir.write_csv(path, *task.table(evaluation))
    (place / rundir.ARRAYS).mkdir(exist_ok=True)
    np.savez(place / rundir.ARRAYS / "outputs-test.npz", id=ids, output=outputs, target=targets)
    facts = {
        "task": type(task).__name__.lower(),
        "loss": task.criterion.name,
        "classes": getattr(task, "classes", None) or getattr(task, "symbols", None),
        "target_names": getattr(task, "labels", None) or getattr(task, "target_names", ()),
    }
    found = final.from_predictions(path, facts)
    assert all(math.isfinite(value) for value in found.values())
    return found, task.metrics(evaluation)


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


def test_two_classes_have_a_roc_auc(tmp_path):
    outputs, targets = normal(N, 1), torch.arange(N) % 2
    found, each_epoch = written(tmp_path, Binary(Criterion(nn.BCEWithLogitsLoss()), ("no", "yes")), outputs, targets)
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(targets, outputs[:, 0]))
    assert found["accuracy"] == pytest.approx(each_epoch["accuracy"])
    assert found["log_loss"] == pytest.approx(nn.BCEWithLogitsLoss()(outputs[:, 0], targets.float()).item(), rel=1e-5)


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.SoftMarginLoss(), nn.MultiLabelMarginLoss(), nn.BCELoss()])
@pytest.mark.parametrize("count", [3, 25])  # 25 labels have no columns: the arrays are read
def test_labels(tmp_path, loss, count):
    scores, present = normal(N, count), normal(N, 2 * count)[:, count:] > 0
    present[:, 0] |= ~present.any(1)
    outputs = scores.sigmoid() if isinstance(loss, nn.BCELoss) else scores
    targets = present.float() * 2 - 1 if isinstance(loss, nn.SoftMarginLoss) else present.float()
    task = Multilabel(Criterion(loss), tuple(f"label {place}" for place in range(count)))
    found, each_epoch = written(tmp_path, task, outputs, targets)
    assert found["lrap"] == pytest.approx(metrics.label_ranking_average_precision_score(present, scores))
    assert found["lrap"] == pytest.approx(each_epoch["lrap"])
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(present, scores))
    precisions = metrics.average_precision_score(present, scores, average=None)
    assert found["average_precision"] == pytest.approx(precisions.mean())
    assert found["average_precision/label 1"] == pytest.approx(precisions[1])
    assert found["roc_auc/label 1"] == pytest.approx(metrics.roc_auc_score(present[:, 1], scores[:, 1]))
    if isinstance(loss, nn.MultiLabelMarginLoss):
        assert "f1_macro" not in found
    else:
        assert found["accuracy"] == pytest.approx(((scores >= 0) == present).double().mean().item())
        assert found["f1_macro"] == pytest.approx(metrics.f1_score(present, scores >= 0, average="macro"))
        shares = metrics.precision_recall_fscore_support(present, scores >= 0)
        names = ("precision", "recall", "f1", "support")
        assert [found[f"{name}/label 1"] for name in names] == pytest.approx([share[1] for share in shares])
        for average in ("macro", "micro"):
            means = metrics.precision_recall_fscore_support(present, scores >= 0, average=average)
            assert [found[f"{name}_{average}"] for name in names[:3]] == pytest.approx(list(means[:3]))
        assert found["exact_match"] == pytest.approx(metrics.accuracy_score(present, scores >= 0))


def test_a_label_has_no_share_where_there_is_nothing_to_divide_by_and_counts_as_zero_in_the_means():
    names = ["both", "unpredicted", "absent", "neither"]
    present = np.array([[True, True, False, False], [True, False, False, False]])
    predicted = np.array([[True, False, True, False], [True, False, False, False]])
    found, undefined = final_labels.of_labels(names, present, predicted, predicted.astype(float))
    assert {name for name in undefined if name.startswith(("precision", "recall", "f1"))} == {
        *("precision/unpredicted", "recall/absent"),
        *("precision/neither", "recall/neither", "f1/neither"),
    }
    assert not set(found) & set(undefined)
    means = metrics.precision_recall_fscore_support(present, predicted, average="macro", zero_division=0)
    assert [found[f"{name}_macro"] for name in ("precision", "recall", "f1")] == pytest.approx(list(means[:3]))
    assert found["recall/unpredicted"] == found["precision/absent"] == 0


def test_one_label(tmp_path):
    outputs, present = normal(N, 1), torch.arange(N)[:, None] % 2
    found, _ = written(tmp_path, Multilabel(Criterion(nn.BCEWithLogitsLoss()), ("wet",)), outputs, present.float())
    assert found["f1_macro"] == pytest.approx(metrics.f1_score(present, outputs >= 0))
    assert "lrap" not in found


@pytest.mark.parametrize("log_input", [True, False])
def test_counts_have_a_deviance_of_their_rates(tmp_path, log_input):
    outputs, targets = normal(N, 1), normal(N, 1).abs().round()
    outputs = outputs if log_input else outputs.exp()
    task = Regression(Criterion(nn.PoissonNLLLoss(log_input=log_input)), ("n",))
    found, each_epoch = written(tmp_path, task, outputs, targets)
    rates = outputs.exp() if log_input else outputs
    assert found["poisson_deviance"] == pytest.approx(metrics.mean_poisson_deviance(targets[:, 0], rates[:, 0]))
    assert found["poisson_deviance"] == pytest.approx(each_epoch["poisson_deviance"], rel=1e-6)
    assert found["mae"] == pytest.approx((rates - targets).abs().mean().item(), rel=1e-5)


def test_a_gaussian_is_judged_by_its_means_and_tells_its_deviations(tmp_path):
    outputs, targets = normal(N, 4), normal(N, 2)
    task = Regression(Criterion(nn.GaussianNLLLoss()), ("x", "y"))
    found, _ = written(tmp_path, task, outputs, targets)
    assert found["mae"] == pytest.approx((outputs[:, :2] - targets).abs().mean().item(), rel=1e-5)
    first = rundir.read_csv(tmp_path / rundir.predictions("test"))[0]
    assert float(first["std_y"]) == pytest.approx(math.exp(outputs[0, 3].item() / 2), rel=1e-5)
    assert task.predictions(outputs)[0]["std"]["y"] == pytest.approx(float(first["std_y"]), rel=1e-6)


def test_an_order_has_kendalls_tau(tmp_path):
    outputs, targets = normal(N, 1), normal(N, 1).round()
    found, each_epoch = written(tmp_path, Ranking(Criterion(nn.MarginRankingLoss())), outputs, targets)
    assert found["kendall_tau"] == pytest.approx(kendalltau(outputs[:, 0], targets[:, 0]).statistic)
    assert found == pytest.approx(each_epoch)


def test_pairs_of_a_file_are_in_order_or_not(tmp_path):
    outputs = torch.tensor([[[2.0], [1.0]], [[1.0], [2.0]], [[1.0], [1.0]]])
    task = Ranking(Criterion(nn.MarginRankingLoss()), "file")
    found, each_epoch = written(tmp_path, task, outputs, torch.tensor([1.0, 1.0, -1.0]))
    assert found == each_epoch == {"pairs_in_order": 0.5}


@pytest.mark.parametrize(
    ("loss", "metric"), [(nn.TripletMarginLoss(), "euclidean"), (nn.CosineEmbeddingLoss(), "cosine")]
)
def test_vectors(tmp_path, loss, metric):
    outputs, targets = normal(N, 3), torch.arange(N) % 4
    task = Embedding(Criterion(loss), ("a", "b", "c", "d"))
    found, each_epoch = written(tmp_path, task, outputs, targets)
    assert found["recall_at_1"] == retrieval.recall_at_1(outputs, targets, metric)
    assert found["map_at_r"] == pytest.approx(retrieval.map_at_r(outputs, targets, metric))
    assert found["roc_auc"] == retrieval.same_or_different(outputs, targets, metric)[0]
    assert all(found[name] == pytest.approx(value) for name, value in each_epoch.items())
    assert found["equal_error_rate"] == retrieval.same_or_different(outputs, targets, metric)[1]
    rows = rundir.read_csv(tmp_path / rundir.predictions("test"))
    hits = [row["target"] == row["prediction"] for row in rows]
    assert np.mean(hits) == pytest.approx(found["recall_at_1"])


def test_a_sample_that_is_an_anchor_twice_is_not_its_own_neighbour(tmp_path):
    outputs, targets = torch.tensor([[0.0], [0.1], [5.0], [0.0]]), torch.tensor([0, 1, 0, 0])
    task = Embedding(Criterion(nn.TripletMarginLoss()), ("a", "b"))
    found, each_epoch = written(tmp_path, task, outputs, targets, ids=torch.tensor([7, 8, 9, 7]))
    assert found["recall_at_1"] == each_epoch["recall_at_1"] == 0.0


def test_pairs_of_a_file_have_a_roc_auc(tmp_path):
    outputs, targets = normal(N, 2, 3), normal(N).sign()
    task = Embedding(Criterion(nn.HingeEmbeddingLoss()), given="file")
    found, each_epoch = written(tmp_path, task, outputs, targets)
    near = -(outputs[:, 0] - outputs[:, 1]).double().norm(dim=1)
    assert found["roc_auc"] == each_epoch["roc_auc"] == pytest.approx(metrics.roc_auc_score(targets > 0, near))
    assert found["equal_error_rate"] == order.equal_error_rate(near, targets > 0)


@pytest.mark.parametrize("symbols", [("1", "3", "7"), ("sh", "a", "ng")])
def test_sequences(tmp_path, symbols):
    read = torch.tensor([[1, 1, 0, 1], [2, 0, 3, 3], [0, 0, 0, 0]])  # 00, 12, nothing
    outputs = nn.functional.one_hot(read, 4).float().log_softmax(2)
    targets = torch.tensor([[0, 0, -1], [1, 0, 2], [-1, -1, -1]])
    task = Sequence(Criterion(nn.CTCLoss()), symbols)
    found, each_epoch = written(tmp_path, task, outputs, targets)
    assert found == each_epoch == {"character_error_rate": pytest.approx(1 / 5), "exact_match": pytest.approx(2 / 3)}
    between = "" if symbols[0] == "1" else " "
    assert task.predictions(outputs)[1] == {"prediction": between.join([symbols[1], symbols[2]])}
