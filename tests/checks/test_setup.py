"""Findings about a whole set-up: what accumulating changes, lone samples, no validation."""

import pytest
from torch import nn

import torchwork
from torchwork.checks.setup import findings
from torchwork.types import InputError

FINE = {"accumulate": 1, "smallest_batch": 8, "mined": False, "num_val": 5}
NORMED = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def codes(model, **changes):
    return [(finding.code, finding.severity) for finding in findings(model, **FINE | changes)]


def test_nothing_is_said_of_a_plain_set_up():
    assert codes(nn.Linear(2, 2)) == []
    assert codes(NORMED) == []


@pytest.mark.parametrize("model", [NORMED, nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))], ids=["norm", "dropout"])
def test_layers_that_depend_on_the_cut_are_named_where_batches_are_accumulated(model):
    assert codes(model, accumulate=4) == [("cut", "warning")]
    assert "(1)" in findings(model, **FINE | {"accumulate": 4})[0].message


def test_mining_depends_on_the_cut_too():
    assert codes(nn.Linear(2, 2), accumulate=2, mined=True) == [("cut", "warning")]
    assert codes(nn.Linear(2, 2), mined=True) == []


def test_a_lone_sample_is_an_error_where_batch_norm_has_nothing_else_to_average():
    flat = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert codes(flat, smallest_batch=1) == [("batch-norm-one", "error")]
    assert codes(NORMED, smallest_batch=1) == [("batch-norm-one", "warning")]
    assert codes(nn.Linear(2, 2), smallest_batch=1) == []


def test_no_validation_is_told():
    assert codes(nn.Linear(2, 2), num_val=0) == [("no-val", "warning")]


def test_a_run_whose_last_batch_would_fail_is_refused_before_training(tmp_path):
    layers = ["Flatten", {"name": "Linear", "out_features": 4}, "BatchNorm1d", "Linear"]
    settings = {
        "data": {"source": "Iris", "batch_size": 26, "split": {"train": 0.7, "val": 0.3}},  # 105 = 4 of 26 and 1
        "model": {"name": "Sequential", "layers": layers},
        "optimizer": "SGD",
        "train": {"epochs": 1},
    }
    with pytest.raises(InputError, match=r"data\.batch_size: training has a batch of one sample.*drop_last"):
        torchwork.train(settings, out=tmp_path / "run")
    settings["data"]["drop_last"] = True
    assert torchwork.train(settings, out=tmp_path / "run").history
