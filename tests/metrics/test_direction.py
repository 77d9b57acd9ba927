"""It is known of every metric that a run writes which way it is better."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metrics.test_scores import written
from torchwork.losses.criterion import Criterion
from torchwork.metrics import final
from torchwork.metrics.direction import HIGHER, LOWER, direction, higher_is_better
from torchwork.metrics.found import Found
from torchwork.tasks.binary import Binary
from torchwork.tasks.classification import Classification
from torchwork.tasks.embedding import Embedding
from torchwork.tasks.multilabel import Multilabel
from torchwork.tasks.ranking import Ranking
from torchwork.tasks.regression import Regression
from torchwork.tasks.sequence import Sequence

N = 24


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def labels(count):
    return (normal(N, count) > 0).float()


TASKS = {
    "two classes": (Binary(Criterion(nn.BCEWithLogitsLoss()), ("a", "b")), normal(N, 1), torch.arange(N) % 2),
    "three classes": (Classification(Criterion(nn.NLLLoss()), tuple("abc")), normal(N, 3), torch.arange(N) % 3),
    "eight classes": (
        Classification(Criterion(nn.CrossEntropyLoss()), tuple("abcdefgh")),
        normal(N, 8),
        torch.arange(N) % 8,
    ),
    "labels": (Multilabel(Criterion(nn.BCEWithLogitsLoss()), ("a", "b", "c")), normal(N, 3), labels(3)),
    "one label": (Multilabel(Criterion(nn.BCEWithLogitsLoss()), ("a",)), normal(N, 1), labels(1)),
    "ordered labels": (Multilabel(Criterion(nn.MultiLabelMarginLoss()), ("a", "b")), normal(N, 2), labels(2)),
    "numbers": (Regression(Criterion(nn.MSELoss()), ("x", "y")), normal(N, 2), normal(N, 4)[:, 2:]),
    "counts": (Regression(Criterion(nn.PoissonNLLLoss()), ("x",)), normal(N, 1), normal(N, 1).abs().round()),
    "an order": (Ranking(Criterion(nn.MarginRankingLoss())), normal(N, 1), normal(N, 1)),
    "vectors": (Embedding(Criterion(nn.TripletMarginLoss()), ("a", "b")), normal(N, 3), torch.arange(N) % 2),
    "triplets": (Embedding(Criterion(nn.TripletMarginLoss()), given="file"), normal(N, 3, 2), torch.zeros(N)),
    "pairs": (Embedding(Criterion(nn.HingeEmbeddingLoss()), given="file"), normal(N, 2, 3), normal(N).sign()),
    "sequences": (
        Sequence(Criterion(nn.CTCLoss()), ("a", "b")),
        normal(N, 4, 3).log_softmax(2),
        torch.arange(2 * N).reshape(N, 2) % 2,
    ),
}


def found_of(place, name) -> Found:
    path, facts = written(place, *TASKS[name])
    return final.of_split(path, facts | {"classes": facts["classes"] or getattr(TASKS[name][0], "symbols", None)})


@pytest.mark.parametrize("name", TASKS)
def test_every_metric_of_every_task_is_better_one_way(tmp_path, name):
    found = found_of(tmp_path, name)
    assert not found.undefined
    assert found.metrics
    unknown = [metric for metric in found.metrics if direction(metric) is None]
    assert all(metric.startswith("support/") for metric in unknown)


def test_no_metric_is_known_that_no_task_has(tmp_path):
    """Names that nobody writes any more would be dead, and are often a name that was changed in one place only."""
    written_names = {"loss"}
    for place, name in enumerate(TASKS):
        (tmp_path / str(place)).mkdir()
        for metric in found_of(tmp_path / str(place), name).metrics:
            base = metric.split("/")[0]
            written_names |= {base, *(base.removesuffix(f"_{mean}") for mean in ("macro", "micro", "weighted"))}
    assert written_names >= HIGHER | LOWER


def test_a_better_prediction_is_better_by_every_metric(tmp_path):
    """The direction is that of the numbers, and not only of a list: the truth against noise."""
    for place, (name, (task, outputs, targets)) in enumerate(TASKS.items()):
        if name in ("triplets", "pairs", "vectors", "sequences"):
            continue
        noise, truth = found_of_outputs(tmp_path / f"{place}n", task, outputs, targets), None
        truth = found_of_outputs(tmp_path / f"{place}t", task, perfect(name, targets, outputs), targets)
        for metric, value in noise.items():
            way = direction(metric)
            if way is not None:
                assert (truth[metric] >= value) if way == "higher" else (truth[metric] <= value), (name, metric)


def perfect(name, targets, outputs):
    if name in ("three classes", "eight classes"):
        return (30 * nn.functional.one_hot(targets, outputs.shape[1])).float().log_softmax(1)
    if name == "two classes":
        return (60 * targets[:, None] - 30).float()
    if name == "counts":
        return targets.clamp(min=1e-6).log()
    return 60 * targets - 30 if "label" in name else targets


def found_of_outputs(place, task, outputs, targets):
    place.mkdir()
    path, facts = written(place, task, outputs, targets)
    return final.from_predictions(path, facts)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("support/accuracy", None),
        ("mae/accuracy", "lower"),
        ("recall/loss", "higher"),
        ("val_f1_macro", "higher"),
        ("train_loss", "lower"),
        ("recall_at_10", "higher"),
        ("CohenKappa", None),
        ("lr", None),
        ("map_at_r", "higher"),
    ],
)
def test_a_class_or_target_may_be_called_as_a_metric(metric, expected):
    assert direction(metric) == expected
    assert higher_is_better(metric) is (expected == "higher")
