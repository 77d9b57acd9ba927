"""Metrics by name from torchmetrics and by import path from the user, on the predictions of every task."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch
import torchmetrics
from sklearn import metrics
from torch import nn

from metrics.test_direction import TASKS, written
from torchwork.losses.criterion import Criterion
from torchwork.metrics import METRICS, custom, custom_arrays
from torchwork.tasks.classification import Classification
from torchwork.types import InputError

OF_CLASSES = {"task": "classification", "loss": "CrossEntropyLoss", "classes": ["a", "b", "c"]}
MINE = """
def wrong(target, prediction):
    return (target != prediction).sum()

def cost(y_true, y_score, *, weight=1.0):
    return weight * float(abs(y_score[:, 0] - (y_true == 0)).mean())

def each(target, names):
    return [float((target == place).mean()) for place in range(len(names))]

def several(target):
    target[:] = 0
    return {"size": len(target), "one": 1}

def fails_later(target):
    if len(target) != 32:
        raise RuntimeError("too many\\nlines")
    return 1.0

def nothing(target):
    return float("nan")

def texts(target):
    return "many"

def no_parameters():
    return 1

def accuracy(target, prediction):
    return 1.0

class Plain:
    pass

value = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "my_own_metrics.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield "my_own_metrics"
    sys.modules.pop("my_own_metrics", None)


def facts_of(name, place):
    task, outputs, targets = TASKS[name]
    path, facts = written(place, task, outputs, targets)
    return path, facts | {"classes": facts["classes"] or getattr(task, "symbols", None)}


def three(tmp_path):
    outputs = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    task = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))
    return (*written(tmp_path, task, outputs, torch.arange(40) % 3), outputs)


def test_a_metric_of_torchmetrics_by_its_bare_name_gets_task_and_classes_from_the_data(tmp_path):
    path, facts, outputs = three(tmp_path)
    specs = [{"name": "CohenKappa"}, {"name": "FBetaScore", "beta": 2, "average": "macro", "as": "f2"}]
    assert len(custom.load(specs, facts)) == 2
    found = custom.of_split(specs, path, facts)
    target, prediction = np.arange(40) % 3, outputs.argmax(1)
    assert found.metrics["CohenKappa"] == pytest.approx(metrics.cohen_kappa_score(target, prediction), abs=1e-6)
    expected = metrics.fbeta_score(target, prediction, beta=2, average="macro")
    assert found.metrics["f2"] == pytest.approx(expected, abs=1e-6)
    assert not found.undefined


def test_a_metric_of_torchmetrics_by_its_path_is_the_same(tmp_path):
    path, facts, _ = three(tmp_path)
    specs = [
        {"name": "torchmetrics.classification:MulticlassCohenKappa", "num_classes": 3},
        {"name": "torchmetrics.functional:cohen_kappa", "task": "multiclass"},
        {"name": "torchmetrics.functional.classification:multiclass_cohen_kappa"},
        {"name": "CohenKappa"},
    ]
    found = custom.of_split(specs, path, facts).metrics
    assert len(found) == 4
    assert len({round(value, 6) for value in found.values()}) == 1


def test_a_number_for_each_class_is_written_by_class_with_the_mean(tmp_path):
    path, facts, outputs = three(tmp_path)
    found = custom.of_split([{"name": "Specificity", "average": "none"}], path, facts).metrics
    confusion = metrics.confusion_matrix(np.arange(40) % 3, outputs.argmax(1))
    rest = confusion.sum() - confusion.sum(0) - confusion.sum(1) + np.diag(confusion)
    expected = rest / (confusion.sum() - confusion.sum(1))
    assert [found[f"Specificity/{name}"] for name in "abc"] == pytest.approx(list(expected), abs=1e-6)
    assert found["Specificity"] == pytest.approx(expected.mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("MeanSquaredError", "counts", None),
        ("MeanSquaredError", "numbers", {"MeanSquaredError", "MeanSquaredError/x", "MeanSquaredError/y"}),
        ("PearsonCorrCoef", "an order", None),
        ("SpearmanCorrCoef", "numbers", {"SpearmanCorrCoef", "SpearmanCorrCoef/x", "SpearmanCorrCoef/y"}),
        ("CharErrorRate", "sequences", None),
        ("MatthewsCorrCoef", "two classes", None),
        ("AUROC", "two classes", None),
        ("AUROC", "labels", None),
        ("HammingDistance", "one label", None),
        ("Accuracy", "vectors", None),
    ],
)
def test_each_task_gives_torchmetrics_what_it_takes(tmp_path, name, task, expected):
    path, facts = facts_of(task, tmp_path)
    custom.load([{"name": name}], facts)
    found = custom.of_split([{"name": name}], path, facts)
    assert set(found.metrics) == (expected or {name})


@pytest.mark.parametrize("name", METRICS)
def test_every_name_of_the_catalog_is_of_torchmetrics_and_fits_some_task(name):
    assert name in torchmetrics.__all__
    kinds = [
        {"task": "classification", "classes": ["a", "b", "c"]},
        {"task": "binary", "classes": ["a", "b"]},
        {"task": "regression", "target_names": ["x"]},
        {"task": "sequence", "classes": ["0", "1"]},
    ]
    spec = {"name": name} | ({"p": 3} if name == "MinkowskiDistance" else {})
    codes = []
    for facts in kinds:
        try:
            custom.load([spec], facts)
        except InputError as error:
            codes += [finding.code for finding in error.findings]
        else:
            codes.append("fits")
    assert "fits" in codes
    assert set(codes) <= {"fits", "misfit", "metric-fails"}


def test_a_function_takes_what_it_names_and_its_options(tmp_path, mine):
    path, facts, outputs = three(tmp_path)
    specs = [
        {"name": f"{mine}:several"},  # changes its target: the others see the true one
        {"name": f"{mine}:wrong"},
        {"name": f"{mine}:cost", "weight": 2},
        {"name": f"{mine}:each"},
    ]
    custom.load(specs, facts)
    found = custom.of_split(specs, path, facts).metrics
    target = np.arange(40) % 3
    assert found["wrong"] == (target != outputs.argmax(1).numpy()).sum()
    off = np.abs(outputs.double().softmax(1)[:, 0].numpy() - (target == 0)).mean()
    assert found["cost"] == pytest.approx(2 * off, rel=1e-6)
    assert [found[f"each/{name}"] for name in "abc"] == [14 / 40, 13 / 40, 13 / 40]
    assert found["several/size"] == 40


def test_a_function_of_scikit_learn_is_one_too(tmp_path):
    path, facts, outputs = three(tmp_path)
    specs = [
        {"name": "sklearn.metrics:matthews_corrcoef"},
        {"name": "sklearn.metrics:roc_auc_score", "multi_class": "ovo", "as": "area"},
    ]
    custom.load(specs, facts)
    found = custom.of_split(specs, path, facts).metrics
    target, scores = np.arange(40) % 3, outputs.double().softmax(1).numpy()
    assert found["matthews_corrcoef"] == metrics.matthews_corrcoef(target, scores.argmax(1))
    assert found["area"] == pytest.approx(metrics.roc_auc_score(target, scores, multi_class="ovo"))


def test_a_metric_that_fails_at_the_end_is_undefined_and_the_others_stay(tmp_path, mine):
    path, facts, _ = three(tmp_path)
    specs = [{"name": f"{mine}:{name}"} for name in ("fails_later", "nothing", "wrong", "gone")]
    custom.load(specs[:3], facts)
    found = custom.of_split(specs, path, facts)
    assert set(found.metrics) == {"wrong"}
    assert found.undefined["fails_later"] == "it failed: RuntimeError: too many"
    assert found.undefined["nothing"] == "it gave nan"
    assert "no 'gone'" in found.undefined["gone"]


def test_scores_that_are_nan_make_no_class_for_torchmetrics(tmp_path):
    outputs = torch.randn(40, 3)
    outputs[3] = torch.nan
    task = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))
    found = custom.of_split([{"name": "Accuracy"}], *written(tmp_path, task, outputs, torch.arange(40) % 3))
    assert found.metrics == {}
    assert "NaN" in found.undefined["Accuracy"]


def test_a_split_without_samples_has_no_metrics(tmp_path):
    task = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))
    found = custom.of_split([{"name": "Accuracy"}], *written(tmp_path, task, torch.zeros(0, 3), torch.arange(0)))
    assert found == ({}, {"Accuracy": "there are no samples"})
    assert custom.of_split([], tmp_path / "nowhere.csv", {}) == ({}, {})


def test_every_mistake_is_told_at_once_with_its_place(mine):
    specs = [
        {"name": "CohenKappa", "weights": 3},
        {"name": "MeanSquaredError", "squard": True},
        {"name": "no_such_module:f"},
        {"name": f"{mine}:no_parameters"},
        {"name": f"{mine}:accuracy"},
        {"name": f"{mine}:texts"},
        {"name": f"{mine}:Plain"},
        {"name": f"{mine}:wrong", "option": 1},
        {"name": f"{mine}:value"},
        {"name": "Accuracy", "as": "a/b"},
        {"name": f"{mine}:wrong"},
        {"name": f"{mine}:cost", "as": "wrong"},
        {"name": "PearsonCorrCoef"},
        {"name": "FBetaScore", "beta": "x"},
    ]
    with pytest.raises(InputError) as raised:
        custom.load(specs, OF_CLASSES)
    codes = {finding.where.split(".")[0]: finding.code for finding in raised.value.findings}
    assert codes == {
        "metrics[0]": "wrong-type",
        "metrics[1]": "metric-fails",
        "metrics[2]": "import-failed",
        "metrics[3]": "no-arguments",
        "metrics[4]": "name-taken",
        "metrics[5]": "metric-fails",
        "metrics[6]": "no-metric",
        "metrics[7]": "unknown-option",
        "metrics[8]": "no-function",
        "metrics[9]": "name-taken",
        "metrics[11]": "name-taken",
        "metrics[12]": "metric-fails",
        "metrics[13]": "wrong-type",
    }


def test_what_the_task_has_not_is_refused(mine):
    numbers = {"task": "regression", "loss": "MSELoss", "target_names": ["x"]}
    with pytest.raises(InputError, match="for classes or labels, and this is a regression"):
        custom.load([{"name": "CohenKappa"}], numbers)
    with pytest.raises(InputError, match="asks for scores, and a regression has none"):
        custom.load([{"name": f"{mine}:cost"}], numbers)


def test_without_torchmetrics_it_is_said_how_to_get_it(monkeypatch):
    def find_spec(name):
        return None if name == "torchmetrics" else object()

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    for name in ("CohenKappa", "torchmetrics.classification:MulticlassCohenKappa"):
        with pytest.raises(InputError, match=r"pip install 'torchwork\[torchmetrics\]'"):
            custom.load([{"name": name}], OF_CLASSES)


@pytest.mark.parametrize("name", TASKS)
def test_the_sample_that_a_metric_is_tried_on_is_as_the_arrays_of_a_run(tmp_path, name):
    path, facts = facts_of(name, tmp_path)
    real, made = custom_arrays.read(path, facts), custom_arrays.sample(facts)
    assert (real.names, real.task) == (made.names, made.task)
    for side in ("target", "prediction", "scores"):
        one, other = getattr(real, side), getattr(made, side)
        assert type(one) is type(other)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            assert one.shape[1:] == other.shape[1:]
