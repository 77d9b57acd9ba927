"""The metrics of an epoch are scikit-learn's, without its import."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics

from torchwork.metrics import epoch

numbers = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))


@given(st.integers(1, 60), st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_accuracy_is_that_of_scikit_learn(count, classes, seed):
    draws = np.random.default_rng(seed)
    scores, target = draws.normal(size=(count, classes)), draws.integers(classes, size=count)
    found = epoch.classification(torch.tensor(scores), torch.tensor(target))
    assert found == {"accuracy": metrics.accuracy_score(target, scores.argmax(1))}


@given(st.data(), st.integers(2, 30), st.integers(1, 3))
def test_regression_is_that_of_scikit_learn(data, count, columns):
    y, x = (data.draw(arrays.arrays(np.float64, (count, columns), elements=numbers)) for _ in range(2))
    assume((np.ptp(y, axis=0) > 1e-3).all())
    found = epoch.regression(torch.tensor(x), torch.tensor(y))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, x), rel=1e-9)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, x), rel=1e-9)
    assert found["r2"] == pytest.approx(metrics.r2_score(y, x), rel=1e-7, abs=1e-9)


def test_float32_is_summed_in_float64():
    y = torch.full((100_000, 1), 0.1)
    y[0] = 1e4
    found = epoch.regression(torch.zeros_like(y), y)
    assert found["mae"] == pytest.approx(
        metrics.mean_absolute_error(y.double().numpy(), np.zeros((100_000, 1))), rel=1e-12
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-300, 3.7e5])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_r2_of_a_constant_target_is_nan_and_the_rest_is_not(value, count):
    y = torch.full((count, 1), value, dtype=torch.float64)
    found = epoch.regression(y + 1, y)
    assert math.isnan(found["r2"])
    assert found["mae"] == pytest.approx(1.0)
    assert found["rmse"] == pytest.approx(1.0)


def test_one_column_may_be_flat():
    flat = epoch.regression(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0]))
    assert flat == epoch.regression(torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [2.0]]))


def test_it_imports_no_scikit_learn():
    code = "import sys, torchwork.metrics.epoch; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
