"""What does not go with a model of which each process holds a part is refused at the start, with its key."""

from __future__ import annotations

import pytest

from torchwork import assembly, config, distribution
from torchwork.types import InputError

BASE = {
    "data": {"source": "Iris", "transform": ["Normalize"]},
    "model": "MLP",
    "optimizer": {"name": "Adam", "lr": 1e-2},
    "train": {"threads": 1},
    "distributed": {"strategy": "fsdp"},
}


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("train.ema=0.9", "train.ema"),
        ("optimizer={name: LBFGS}", "optimizer.name"),
        ("optimizer={name: Adafactor}", "optimizer.name"),
        ("optimizer={name: SGD, lr: 0.1, fused: true}", "optimizer.fused"),
        ("distributed.find_unused_parameters=true", "distributed.find_unused_parameters"),
    ],
)
def test_it_is_refused_also_where_one_process_would_train(override, key):
    with pytest.raises(InputError) as caught:
        assembly.assemble(config.load(BASE, [override]))
    (finding,) = caught.value.findings
    assert finding.where == key
    assert "distributed.strategy: fsdp" in finding.message
    assembly.assemble(config.load(BASE, [override, "distributed.strategy=ddp"])).data.close()


def test_all_that_does_not_go_with_it_is_told_at_once():
    several = config.load(BASE, ["train.ema=0.9", "train.precision=fp16", "optimizer={name: Muon}"])
    with pytest.raises(InputError) as caught:
        distribution.check(several)
    assert [found.where for found in caught.value.findings] == ["optimizer.name", "train.ema", "train.precision"]


def test_auto_is_ddp():
    assert not distribution.is_sharded(config.load(BASE, ["distributed.strategy=auto"]))
