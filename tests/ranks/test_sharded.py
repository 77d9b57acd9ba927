"""Processes that each hold a part of the model (``fully_shard``) train what one does, and what DDP does."""

from __future__ import annotations

import functools

import pytest

from ranks import cases
from ranks.test_equal import CASES, assert_equal

NOT_SHARDED = {
    *("LBFGS", "a sparse embedding", "parameters that are not used", "averaged weights"),
    *("averaged weights and synchronised batch norm", "a scaled loss"),
}
SHARDED = {
    **{name: options for name, options in CASES.items() if name not in NOT_SHARDED},
    "fewer rows than processes": {"target": "score", "outputs": 1, "task": "ranking"},
    "computed again": {"recomputes": True},
    "computed again with batch norm": {"recomputes": True, "model": "norm", "sync": True},
    **{name: {"optimizer": {"name": name, "lr": 1e-2}} for name in ("Adamax", "NAdam", "RAdam", "RMSprop", "Adadelta")},
    "Adagrad": {"optimizer": {"name": "Adagrad", "fused": False}},
    "AdamW": {"optimizer": {"name": "AdamW", "lr": 1e-2, "amsgrad": True}},
    "ASGD": {"optimizer": {"name": "ASGD", "lr": 1e-2}},
}


@functools.cache
def alone(name):
    return cases.train(**{**SHARDED[name], "recomputes": False})


def train(options):
    return cases.train(**options, strategy="fsdp")


@pytest.mark.parametrize("name", SHARDED)
@pytest.mark.parametrize("world", [2, 3])
def test_processes_that_hold_parts_of_the_model_train_what_one_does(together, world, name):
    assert_equal(together(world)(train, SHARDED[name]), alone(name))
