"""scikit-learn's data sets come through with their own values, names and order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import datasets

from torchwork.data.source import open_source


def test_digits_are_scaled_to_levels_and_rounded() -> None:
    source = open_source({"name": "Digits"})
    found = datasets.load_digits()
    images, targets = source.read(np.arange(len(source)), epoch=1)
    assert images.dtype == torch.uint8
    assert images.shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal(images[:, 0].numpy(), np.rint(found.images * 255 / 16))
    np.testing.assert_array_equal(targets, found.target)
    assert set(np.unique(images.numpy())) == {round(level * 255 / 16) for level in range(17)}
    assert source.schema.classes == tuple("0123456789")


@pytest.mark.parametrize(
    ("name", "load"),
    [("Iris", datasets.load_iris), ("Wine", datasets.load_wine), ("BreastCancer", datasets.load_breast_cancer)],
)
def test_class_tables_equal_scikit_learns(name: str, load: object) -> None:
    source, found = open_source({"name": name}), load()
    inputs, targets = source.read(np.arange(len(source)), epoch=1)
    np.testing.assert_array_equal(inputs["numbers"].numpy(), found.data)
    np.testing.assert_array_equal(targets, found.target)
    assert source.schema.classes == tuple(found.target_names)
    assert source.schema.numbers == tuple(found.feature_names)


def test_diabetes_has_its_own_units() -> None:
    source = open_source({"name": "Diabetes"})
    found = datasets.load_diabetes(scaled=False)
    inputs, targets = source.read(np.arange(442), epoch=1)
    np.testing.assert_array_equal(inputs["numbers"].numpy(), found.data)
    np.testing.assert_array_equal(targets[:, 0], found.target)
    assert source.schema.target == "number"
