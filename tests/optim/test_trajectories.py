"""Every optimizer of the catalog takes the very path of plain torch, also stopped, saved by name and gone on with."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.optim.networks import VARIANTS, Network, plain
from torch import nn

from torchwork import catalog
from torchwork.optim import OPTIMIZERS, state
from torchwork.optim.build import build
from torchwork.optim.clip import clip_grad_norm

STEPS, STOP = 10, 5

CASES = [(name, options) for name, variants in VARIANTS.items() for options in variants]


def batch(model: Network, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    dtype = next(model.parameters()).dtype
    target = torch.randn(6, 3, generator=generator, dtype=dtype)
    if model.sparse:
        return torch.randint(9, (6, 3), generator=generator), target
    return torch.randn(6, 5, generator=generator, dtype=dtype), target


def train(model: Network, optimizer: Any, steps: range, clip: float | None = None) -> list[float]:
    """The loop that anybody writes by hand."""
    losses = []
    for step in steps:
        inputs, target = batch(model, step)

        def closure(inputs: torch.Tensor = inputs, target: torch.Tensor = target) -> torch.Tensor:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), target)
            loss.backward()
            if clip is not None:
                clip_grad_norm(model.parameters(), clip)
            return loss.detach()

        losses.append(float(optimizer.step(closure)))
    return losses


def through_files(made: Any, model: nn.Module, folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Save and read back as a checkpoint does."""
    tensors, values = state.save(made, model)
    save_file(tensors, folder / "optimizer.safetensors")
    (folder / "optimizer.json").write_text(json.dumps(values, allow_nan=False))
    return load_file(folder / "optimizer.safetensors"), json.loads((folder / "optimizer.json").read_text())


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_catalog_holds_every_optimizer_of_torch():
    found = {n for n, v in vars(torch.optim).items() if isinstance(v, type) and issubclass(v, torch.optim.Optimizer)}
    assert set(OPTIMIZERS) == found - {"Optimizer"}
    assert set(VARIANTS) == set(OPTIMIZERS)
    for name in OPTIMIZERS:
        assert catalog.load(name, OPTIMIZERS, "optimizer", "") is getattr(torch.optim, name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_stopped_and_resumed_equals_plain_torch_bit_for_bit(name, options, dtype, tmp_path):
    by_hand = Network(name, dtype)
    losses = train(by_hand, plain(name, options, by_hand.parameters()), range(STEPS))

    first = Network(name, dtype)
    made = build({"name": name, **options}, first)
    ours = train(first, made, range(STOP))
    tensors, values = through_files(made, first, tmp_path)
    second = copy.deepcopy(first)
    again = build({"name": name, **options}, second)
    assert state.load(again, second, tensors, values) == []
    ours += train(second, again, range(STOP, STEPS))

    assert ours == losses
    assert same(second, by_hand)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "LBFGS"])
def test_groups_clipping_and_a_stop_equal_plain_torch_bit_for_bit(name, tmp_path):
    options = VARIANTS[name][-1]
    by_hand = Network(name, torch.float64)
    lrs = {"last": 0.003, "first": 0.02}
    groups = [{"params": list(getattr(by_hand, layer).parameters()), "lr": lr} for layer, lr in lrs.items()]
    losses = train(by_hand, plain(name, options, groups), range(STEPS), clip=0.5)

    spec = {"name": name, **options, "lr": 0.02, "groups": [{"match": "last.*", "lr": 0.003}]}
    first = Network(name, torch.float64)
    made = build(spec, first)
    ours = train(first, made, range(STOP), clip=0.5)
    tensors, values = through_files(made, first, tmp_path)
    second = copy.deepcopy(first)
    again = build(spec, second)
    assert state.load(again, second, tensors, values) == []
    ours += train(second, again, range(STOP, STEPS), clip=0.5)

    assert ours == losses
    assert same(second, by_hand)


def test_saving_is_a_snapshot_that_training_does_not_change():
    model = Network("Adam", torch.float32)
    made = build({"name": "Adam"}, model)
    train(model, made, range(2))
    tensors, _ = state.save(made, model)
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    train(model, made, range(2, 4))
    assert all(torch.equal(before[name], tensor) for name, tensor in tensors.items())
    assert before.keys() == {
        f"{name}/{key}" for name, _ in model.named_parameters() for key in ("step", "exp_avg", "exp_avg_sq")
    }


def test_loading_does_not_share_memory_with_what_was_loaded():
    model = Network("SGD", torch.float32)
    made = build({"name": "SGD", "momentum": 0.9}, model)
    train(model, made, range(2))
    tensors, values = state.save(made, model)
    before = tensors["first.weight/momentum_buffer"].clone()
    again = build({"name": "SGD", "momentum": 0.9}, model)
    state.load(again, model, tensors, values)
    train(model, again, range(2, 4))
    assert torch.equal(tensors["first.weight/momentum_buffer"], before)


def test_sparse_momentum_is_saved_too(tmp_path):
    straight = Network("SparseAdam", torch.float32)
    losses = train(straight, torch.optim.SGD(straight.parameters(), lr=0.1, momentum=0.9), range(STEPS))
    model = Network("SparseAdam", torch.float32)
    spec = {"name": "SGD", "lr": 0.1, "momentum": 0.9}
    made = build(spec, model)
    ours = train(model, made, range(STOP))
    tensors, values = through_files(made, model, tmp_path)
    again = build(spec, model)
    assert state.load(again, model, tensors, values) == []
    assert made.state[model.first.weight]["momentum_buffer"].is_sparse
    assert ours + train(model, again, range(STOP, STEPS)) == losses


def test_several_optimizers_resume_bit_for_bit(tmp_path):
    spec = [{"name": "Adam", "match": "first.*"}, {"name": "SGD", "momentum": 0.9, "lr": 0.1}]
    by_hand = Network("Adam", torch.float32)
    adam = torch.optim.Adam(by_hand.first.parameters(), fused=True)
    sgd = torch.optim.SGD(by_hand.last.parameters(), momentum=0.9, lr=0.1, fused=True)
    for step in range(STEPS):
        inputs, target = batch(by_hand, step)
        adam.zero_grad()
        sgd.zero_grad()
        nn.functional.mse_loss(by_hand(inputs), target).backward()
        adam.step()
        sgd.step()
    model = Network("Adam", torch.float32)
    made = build(spec, model)
    train(model, made, range(STOP))
    tensors, values = through_files(made, model, tmp_path)
    again = build(spec, model)
    assert state.load(again, model, tensors, values) == []
    train(model, again, range(STOP, STEPS))
    assert same(model, by_hand)


def test_moments_keep_the_memory_format_of_their_weights(tmp_path):
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    made = build({"name": "Adam"}, model)
    model(torch.randn(2, 3, 5, 5)).sum().backward()
    made.step()
    tensors, values = through_files(made, model, tmp_path)
    again = build({"name": "Adam"}, model)
    state.load(again, model, tensors, values)
    moment = again.state[model.weight]["exp_avg"]
    assert moment.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(moment, made.state[model.weight]["exp_avg"])
