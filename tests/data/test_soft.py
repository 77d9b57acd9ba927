"""A teacher's probabilities stand by sample, in the student's order of classes; all others have their label."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from torchwork.data.builtin import Iris
from torchwork.data.loader import Loader
from torchwork.data.soft import distilled
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.types import InputError, Schema

CLASSES = ("setosa", "versicolor", "virginica")


def _labels() -> Target:
    source = Iris()
    return Target.fit(source.schema, source.targets, {"train": np.arange(150)}, source.name)


def _probabilities(count: int) -> np.ndarray:
    raw = np.random.default_rng(0).random((count, 3))
    return raw / raw.sum(1, keepdims=True)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_training_batches_have_the_teachers_probabilities_and_others_one_hot_labels(
    resident: bool, dtype: torch.dtype
) -> None:
    source, train, val = Iris(), np.arange(149, 20, -2), np.arange(0, 20)
    probabilities = _probabilities(len(train))
    soft = distilled(_labels(), train, probabilities, CLASSES)
    pipeline = Pipeline([], source.schema)
    pipeline.dtype = dtype
    row_of = {int(index): row for index, row in zip(train, probabilities, strict=True)}
    for ids in (train, val, np.concatenate([train, val])):
        loader = Loader(
            source, ids, pipeline=pipeline, target=soft, batch_size=16, shuffle=True, seed=1, resident=resident
        )
        for batch in loader.batches(1):
            assert batch.target.dtype == dtype
            expected = [row_of.get(int(i), np.eye(3)[source.targets[i]]) for i in batch.ids]
            assert torch.equal(batch.target, torch.tensor(np.array(expected)).to(dtype))


def test_the_columns_are_put_in_the_students_order() -> None:
    probabilities = _probabilities(4)
    soft = distilled(_labels(), np.arange(4), probabilities[:, [2, 0, 1]], ("virginica", "setosa", "versicolor"))
    np.testing.assert_array_equal(soft.at(np.arange(4), Iris().targets[:4], torch.float64).numpy(), probabilities)


def test_a_soft_target_is_one_of_classes_and_comes_back_as_one_hot_labels() -> None:
    soft, labels = distilled(_labels(), np.arange(4), _probabilities(4), CLASSES), _labels()
    assert (soft.kind, soft.classes, soft.target_names) == ("class", labels.classes, ())
    raw = np.array([0, 2, 1, 1])
    assert soft.counts(raw) == labels.counts(raw) == {"setosa": 1, "versicolor": 2, "virginica": 1}
    again = Target.from_state(json.loads(json.dumps(soft.state())))
    assert torch.equal(again.encode(raw, torch.float64), torch.eye(3, dtype=torch.float64)[raw])
    assert torch.equal(again.at(np.arange(4), raw), soft.encode(raw))
    assert again.counts(raw) == labels.counts(raw)


def test_the_state_of_an_older_run_is_still_read() -> None:
    state = {key: value for key, value in _labels().state().items() if key not in ("length", "one_hot")}
    assert Target.from_state(state).encode(np.array([2, 0])).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("probabilities", "classes", "said"),
    [
        (_probabilities(4), ("setosa", "versicolor", "rose"), "lacks 'virginica' and has 'rose'"),
        (_probabilities(4)[:, :2], ("setosa", "versicolor"), "lacks 'virginica'"),
        (_probabilities(3), CLASSES, r"got probabilities \(3, 3\), expected \(4, 3\)"),
        (_probabilities(4) * 2, CLASSES, "no probabilities"),
        (np.log(_probabilities(4)), CLASSES, "no probabilities"),
        (np.full((4, 3), np.nan), CLASSES, "no probabilities"),
    ],
)
def test_what_is_no_teacher_is_refused(probabilities: np.ndarray, classes: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        distilled(_labels(), np.arange(4), probabilities, classes)
    assert caught.value.findings[0].where == "data.target.run"


def test_numbers_have_no_teacher() -> None:
    numbers = Target.fit(Schema("array", "number", target_names=("t",)), np.zeros((2, 1)), {"train": np.arange(2)}, str)
    with pytest.raises(InputError, match="the targets are numbers"):
        distilled(numbers, np.arange(4), _probabilities(4), CLASSES)
