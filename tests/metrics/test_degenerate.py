"""Whatever a split holds, its numbers come out: finite ones, and a reason for each that is missing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from metrics.test_direction import TASKS
from metrics.test_scores import ODD, written
from torchwork import rundir
from torchwork.losses.criterion import Criterion
from torchwork.metrics import baseline, chosen, custom_arrays, final
from torchwork.metrics.direction import direction
from torchwork.metrics.table import outputs_beside
from torchwork.tasks.classification import Classification
from torchwork.tasks.regression import Regression

TRAIN = {
    "classification": {"counts": [3, 1]},
    "binary": {"counts": [0, 4]},
    "multilabel": {"rates": [0.5, 0.0, 1.0], "most_frequent": [2]},
    "regression": {"mean": [0.5, 1.0], "median": [0.0, 1.0]},
    "sequence": {"most_frequent": "ab"},
}
SPOILT = ("not", "nan", "infinite", "all nan", "constant")


def whole(path, facts):
    """Compute all that a run does of a split; check that it is in order."""
    found, undefined = final.of_split(path, facts)
    assert all(math.isfinite(value) for value in found.values())
    assert not set(found) & set(undefined)
    assert all(isinstance(reason, str) and reason for reason in undefined.values())
    base = baseline.of_split(path, facts, found)
    if base is not None:
        assert set(base["metrics"]) <= set(found)
        assert all(math.isfinite(value) for value in base["metrics"].values())
    custom_arrays.read(path, facts)
    json.dumps([found, undefined, base, chosen.of_run(path.parent, facts)], allow_nan=False)
    return found, undefined


def spoil(outputs, how, draws):
    outputs = outputs.clone()
    if how == "constant":
        outputs[:] = 0
    elif how == "all nan":
        outputs[:] = torch.nan
    elif len(outputs) and how != "not":
        outputs.view(-1)[draws.integers(outputs.numel())] = torch.nan if how == "nan" else torch.inf
    return outputs


def empty(path):
    """Leave nothing but the header of a table, and no rows of the arrays beside it."""
    path.write_text(path.read_text().splitlines()[0] + "\n")
    place = path.parent / rundir.ARRAYS / "outputs-test.npz"
    np.savez(place, **{name: array[:0] for name, array in outputs_beside(path).items()})


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(TASKS)),
    count=st.sampled_from([0, 1, 2, 3, 7, 24]),
    how=st.sampled_from(SPOILT),
    one_class=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_numbers_of_any_split_come_out(tmp_path_factory, name, count, how, one_class, seed):
    draws = np.random.default_rng(seed)
    task, outputs, targets = TASKS[name]
    rows = draws.integers(len(outputs), size=max(count, 1))
    outputs, targets = spoil(outputs[rows], how, draws), targets[rows]
    targets = targets[:1].expand_as(targets).clone() if one_class and count else targets
    path, facts = written(tmp_path_factory.mktemp("run"), task, outputs, targets)
    if not count:
        empty(path)
    facts |= {"classes": facts["classes"] or getattr(task, "symbols", None)}
    train = TRAIN.get(facts["task"], {})
    if facts["task"] == "multilabel":
        known = len(task.labels)
        train = {"rates": train["rates"][:known], "most_frequent": [known - 1]}
    elif facts["task"] == "regression":
        train = {key: values[: len(task.target_names)] for key, values in train.items()}
    _, undefined = whole(path, facts | {"train_targets": train})
    assert undefined or count
    if how in ("nan", "all nan") and count and name != "sequences":
        assert undefined


def test_ten_thousand_classes_have_their_numbers(tmp_path):
    count = 10_000
    names = tuple(f"class {place}" for place in range(count))
    outputs = torch.randn(200, count, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(200) * 50
    outputs[torch.arange(150), targets[:150]] = 50
    path, facts = written(tmp_path, Classification(Criterion(nn.CrossEntropyLoss()), names), outputs, targets)
    found, undefined = whole(path, facts | {"train_targets": {"counts": [1] * count}})
    assert found["accuracy"] == 0.75
    assert found["top_5_accuracy"] >= 0.75
    assert found["log_loss"] > 0
    assert undefined["roc_auc"].startswith("9800 of 10000 classes do not occur: class 1, class 2, class 3")
    assert len(undefined["roc_auc"]) < 200
    assert found["roc_auc/class 50"] == 1


def test_classes_called_anything_have_their_numbers_under_their_names(tmp_path):
    outputs = torch.randn(60, len(ODD), generator=torch.Generator().manual_seed(0))
    task = Classification(Criterion(nn.CrossEntropyLoss()), ODD)
    path, facts = written(tmp_path, task, outputs, torch.arange(60) % len(ODD))
    found, undefined = whole(path, facts | {"train_targets": {"counts": [1] * len(ODD)}})
    for name in ODD:
        own = [f"{metric}/{name}" for metric in ("precision", "recall", "f1", "roc_auc", "average_precision")]
        assert set(own) <= {*found, *undefined}
        assert set(own) - set(found) <= {f"precision/{name}"}
        assert {direction(metric) for metric in own} == {"higher"}
    base = baseline.of_split(path, facts | {"train_targets": {"counts": [0] * 9 + [1] + [0] * 4}}, found)
    assert len(base["name"]) < 110
    assert base["name"].endswith("…")


@pytest.mark.parametrize(
    ("target", "prediction", "metric", "reason"),
    [
        ([[1.0], [1.0]], [[1.0], [2.0]], "r2", "the targets are all equal"),
        ([[1.0]], [[2.0]], "r2", "there is one sample only"),
        ([[0.0], [5e-324]], [[1.0], [2.0]], "explained_variance", "the targets differ by less than the precision"),
        ([[1.0], [2.0]], [[1.0], [math.nan]], "mae", "the predictions of 1 of 2 samples are NaN or infinite"),
        ([[0.0], [2.0]], [[0.0], [1.0]], "poisson_deviance", "1 predicted rates are 0"),
        ([[0.0], [1e200]], [[1.0], [1.0]], "rmse", "the numbers are too large for it"),
    ],
)
def test_a_number_that_is_not_defined_says_why(tmp_path, target, prediction, metric, reason):
    task = Regression(Criterion(nn.PoissonNLLLoss(log_input=False)), ("n",))
    target, prediction = (torch.tensor(values, dtype=torch.float64) for values in (target, prediction))
    _, undefined = whole(*written(tmp_path, task, prediction, target))
    assert undefined[metric].startswith(reason)
