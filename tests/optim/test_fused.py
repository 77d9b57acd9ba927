"""Fused kernels wherever torch has them, but where the user says otherwise; the choice is recorded."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

import torchwork
from torchwork import changes, config
from torchwork.optim import OPTIMIZERS
from torchwork.optim.build import build
from torchwork.optim.fused import recorded


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def fused(spec, model) -> list[bool]:
    return [choice.get("fused") for choice in recorded(build(spec, model))]


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"SparseAdam", "Muon"}))
def test_every_optimizer_of_torch_with_a_fused_kernel_uses_it(name):
    has = "fused" in inspect.signature(getattr(torch.optim, name)).parameters
    assert fused({"name": name}, network()) == [True if has else None]


@pytest.mark.parametrize("option", [{"fused": False}, {"capturable": False}])
def test_an_option_of_the_users_own_decides(option):
    assert fused({"name": "Adam", **option}, network()) == [False]
    assert fused({"name": "Adam", "groups": [{"match": "0.*", **option}]}, network()) == [False]


def test_what_the_kernel_cannot_take_is_left_to_the_others():
    sparse = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Linear(3, 2))
    assert fused({"name": "SGD", "lr": 0.1}, sparse) == [False]
    several = [{"name": "SparseAdam", "match": "0.*"}, {"name": "Adam"}]
    assert fused(several, sparse) == [None, True]

    class Complex(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, dtype=torch.complex64))

    assert fused({"name": "Adam"}, Complex()) == [False]


def test_a_run_records_the_choice_and_goes_on_with_it(tmp_path):
    spec = {"data": {"source": "Iris"}, "model": "MLP", "optimizer": {"name": "Adam"}, "train": {"epochs": 1}}
    run = torchwork.train(spec, out=tmp_path / "run")
    kept = config.load(run.path / "config.yaml")
    assert kept.optimizer["fused"] is True
    assert changes.between(kept, changes.closed(config.load(spec), kept)) == []
    off = config.load(spec, ["optimizer.fused=false"])
    told = [
        str(change) for change in changes.between(kept, changes.closed(off, kept)) if change.key.startswith("optim")
    ]
    assert told == ["optimizer.fused true → false"]
