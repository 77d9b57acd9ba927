"""Processes that each hold a part of the model (``fully_shard``) train what one does, and what DDP does."""

from __future__ import annotations

import functools
import json

import pytest
import torch
from torch import nn

from ranks import cases
from ranks.test_equal import CASES, assert_equal
from torchwork import distribution
from torchwork.optim import OPTIMIZERS as OF_TORCH
from torchwork.types import InputError

NOT_SHARDED = {
    *("LBFGS", "a sparse embedding", "parameters that are not used", "averaged weights"),
    *("averaged weights and synchronised batch norm", "a scaled loss"),
}
SHARDED = {
    **{name: options for name, options in CASES.items() if name not in NOT_SHARDED},
    "fewer rows than processes": {"target": "score", "outputs": 1, "task": "ranking"},
}
OPTIMIZERS = {
    **{name: {"name": name, "lr": 1e-2} for name in ("Adadelta", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop")},
    "Adagrad": {"name": "Adagrad", "fused": False},
    "AdamW": {"name": "AdamW", "lr": 1e-2, "amsgrad": True},
}
SHARDED |= {name: {"optimizer": spec} for name, spec in OPTIMIZERS.items()}
BY_THREE = {"ragged", "fewer rows than processes", "tied weights"}


def test_every_optimizer_of_the_catalog_is_tried_here_or_refused():
    assert OPTIMIZERS.keys() | set(distribution._WHOLE) | {"SGD", "Adam"} == OF_TORCH.keys()


@functools.cache
def alone(name):
    return cases.train(**{**SHARDED[name], "recomputes": False})


def train(options):
    return cases.train(**options, strategy="fsdp")


def tried():
    for world in (2, 3):
        for name in SHARDED:
            always = name in BY_THREE or (world == 2 and name not in OPTIMIZERS) or (world, name) == (2, "Adagrad")
            yield pytest.param(world, name, marks=() if always else pytest.mark.slow)


@pytest.mark.parametrize(("world", "name"), list(tried()))
def test_processes_that_hold_parts_of_the_model_train_what_one_does(together, world, name):
    assert_equal(together(world)(train, SHARDED[name]), alone(name))


def test_of_weights_and_of_the_optimizers_state_each_process_holds_its_rows(together):
    (first, of_first, whole), (second, of_second, _) = together(2)(held)
    assert first + second == whole
    assert first < 0.6 * whole  # the last layer's three rows are two and one
    assert (of_first, of_second) == (2 * first, 2 * second)


def held():
    """Return the numbers that this process holds, and those of the whole."""
    from torchwork import shards

    state = trained({"optimizer": {"name": "Adam"}, "epochs": 1})
    parameters = list(state.model.parameters())
    own = sum(shards.own_part(p).numel() for p in parameters)
    momenta = [v for one in state.optimizer.state.values() for v in one.values() if v.dim()]
    return own, sum(shards.own_part(v).numel() for v in momenta), sum(p.numel() for p in parameters)


def trained(options):
    """Return the state after training."""
    seen, real = [], cases.run_epochs
    try:
        cases.run_epochs = lambda state, *rest, **more: seen.append(state) or real(state, *rest, **more)
        cases.train(**options, strategy="fsdp")
    finally:
        cases.run_epochs = real
    return seen[0]


def snapshot(options):
    from torchwork import dist
    from torchwork.training import checkpoint

    state = trained(options)
    state.gather()
    return checkpoint.snapshot(state) if dist.is_first() else state.gathered


@pytest.mark.parametrize("world", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_checkpoint_is_that_of_one_process(together, world):
    options = {"model": "tied", "optimizer": {"name": "Adam", "lr": 1e-2}}
    wanted = snapshot(options)
    found, *others = together(world)(snapshot, options)
    assert others == [None] * (world - 1)
    assert (found.name, found.averaged) == (wanted.name, wanted.averaged)
    assert found.model[1] == wanted.model[1] == {"2.weight": "0.weight"}  # what is tied is kept once
    for one, other in ((found.model[0], wanted.model[0]), (found.optimizer[0], wanted.optimizer[0])):
        assert one.keys() == other.keys()
        for name, tensor in one.items():
            assert (tensor.dtype, tensor.device) == (other[name].dtype, other[name].device)
            torch.testing.assert_close(tensor, other[name], rtol=1e-12, atol=1e-12, msg=name)
    assert json.loads(found.content)["optimizer"] == json.loads(wanted.content)["optimizer"]


LOW = {"double": False, "precision": "bf16", "model": "normed", "optimizer": {"name": "Adam", "lr": 1e-2}}


def test_in_bf16_the_weights_that_are_sent_in_it_change_no_loss(together):
    # ddp sends its gradients in float32, too
    found, wanted = together(2)(train, LOW), together(2)(cases_train, LOW)
    assert found[0]["losses"] == wanted[0]["losses"]
    assert found[0]["losses"] != cases.train(**{**LOW, "precision": "fp32"})["losses"]


def cases_train(options):
    return cases.train(**options)


class Borrowing(nn.Module):
    """Uses the weights of a layer without calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        return nn.functional.linear(x, self.fc.weight)


def refused(kind):
    before = cases.model_of
    try:
        cases.model_of = lambda *arguments: kind()
        cases.train(double=False, strategy="fsdp")
    except InputError as error:
        return str(error)
    finally:
        cases.model_of = before
    return ""


class Scaled(nn.Module):
    """Has a parameter without a dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.scale = nn.Linear(6, 3), nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.scale * self.fc(x)


class Looking(nn.Module):
    """Has a weight whose gradient is sparse."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.fc = nn.Embedding(4, 3, sparse=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(x) + self.table((x[:, 0] > 0).long())


@pytest.mark.parametrize(
    ("kind", "said"), [(Borrowing, "without calling it"), (Scaled, "scalar"), (Looking, "table.weight are sparse")]
)
def test_a_model_that_cannot_be_shared_out_is_refused_with_the_key_that_asked_for_it(together, kind, said):
    for message in together(2)(refused, kind):
        assert message.startswith("distributed.strategy: the model cannot be shared out by fully_shard: ")
        assert said in message
