"""Averaged weights against torch.optim.swa_utils, and which weights a run judges, keeps and goes on from."""

import copy

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import torchwork
from torchwork.losses.criterion import Criterion
from torchwork.tasks.classification import Classification
from torchwork.training import checkpoint
from torchwork.training.averaging import AveragedWeights
from torchwork.training.evaluate import OneBatch, evaluate
from torchwork.training.loop import TrainOptions, run_epochs, updates, windows
from torchwork.training.state import State
from torchwork.types import Batch, InputError

TASK = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))


class Network(nn.Module):
    """With the statistics of batch norm, tied weights, a frozen one, a mask of infinities and a table of places."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 6, bias=False)
        self.tied = nn.Linear(6, 8)
        self.tied.weight = self.first.weight
        self.out = nn.Linear(8, 3).requires_grad_(False)
        self.register_buffer("mask", torch.triu(torch.full((8, 8), -torch.inf), 1))
        self.register_buffer("places", torch.arange(8))

    def forward(self, x):
        return self.out(self.norm(self.tied(self.last(self.norm(self.first(x))))))


def batches(count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [
        Batch(
            torch.randn(8, 6, generator=generator), torch.randint(0, 3, (8,), generator=generator), np.arange(8) + 8 * i
        )
        for i in range(count)
    ]


def fresh(decay=0.9):
    model = Network().train()
    return State(model, torch.optim.Adam(model.parameters(), lr=0.02), averaged=AveragedWeights(model, decay))


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_average_is_torchs_bit_for_bit_but_for_buffers_that_have_none():
    state = fresh()
    theirs = AveragedModel(state.model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in updates(state, windows(batches(25), 1), TASK):
        theirs.update_parameters(state.model)
    ours, expected = state.averaged.model.state_dict(), theirs.module.state_dict()
    without = {"mask", "places", "norm.num_batches_tracked"}
    for name in ours.keys() - without:
        assert torch.equal(ours[name], expected[name]), name
    for name in without:
        assert torch.equal(ours[name], state.model.state_dict()[name])
    assert expected["mask"].isnan().any()  # which is why these are copied
    assert not same(state.averaged.model, state.model)
    assert torch.equal(ours["first.weight"], ours["tied.weight"])
    assert not torch.equal(ours["norm.running_mean"], state.model.norm.running_mean)


def test_the_average_follows_its_formula():
    state = fresh(0.8)
    running = updates(state, windows(batches(12), 1), TASK)
    seen = [state.model.last.weight.detach().double().clone() for _ in running]
    shares = [0.8**11, *(0.2 * 0.8 ** (11 - t) for t in range(1, 12))]
    assert sum(shares) == pytest.approx(1)
    expected = sum(share * weight for share, weight in zip(shares, seen, strict=True))
    assert torch.allclose(state.averaged.model.last.weight.double(), expected, atol=1e-6)


def test_averaging_changes_nothing_of_the_training():
    with_average, without = fresh(), fresh()
    without.averaged = None
    for state in (with_average, without):
        list(updates(state, windows(batches(10), 1), TASK))
    assert same(with_average.model, without.model)


class Batches:
    def __init__(self, found):
        self.found = found

    def __len__(self):
        return len(self.found)

    def batches(self, epoch, start=0):
        return iter(self.found[start:])


def test_each_epoch_is_judged_by_the_averaged_weights(tmp_path):
    state, val = fresh(), OneBatch(batches(1, seed=2)[0])
    judged = []

    def keep(is_best):
        judged.append(evaluate(copy.deepcopy(state.averaged.model), TASK, val).loss)

    run_epochs(state, TASK, Batches(batches(5)), val, TrainOptions(3), save=keep)
    assert [row["val_loss"] for row in state.progress.history] == judged
    assert evaluate(state.model, TASK, val).loss != judged[-1]


@pytest.mark.parametrize("cut", [1, 4])
def test_the_average_goes_through_a_checkpoint(tmp_path, cut):
    straight, first, resumed = fresh(), fresh(), fresh()
    list(updates(straight, windows(batches(9), 1), TASK))
    list(updates(first, windows(batches(9)[:cut], 1), TASK))
    checkpoint.save(first, tmp_path)
    nn.init.zeros_(resumed.averaged.model.last.weight)
    checkpoint.load(checkpoint.latest(tmp_path), resumed)
    assert same(resumed.averaged.model, first.averaged.model)
    list(updates(resumed, windows(batches(9)[cut:], 1), TASK))
    assert same(straight.model, resumed.model)
    assert same(straight.averaged.model, resumed.averaged.model)
    assert resumed.averaged.updates == 9


def test_an_average_that_begins_later_begins_with_the_weights_of_the_checkpoint(tmp_path):
    before, resumed = fresh(), fresh()
    before.averaged = None
    list(updates(before, windows(batches(3), 1), TASK))
    checkpoint.save(before, tmp_path)
    checkpoint.load(checkpoint.latest(tmp_path), resumed)
    assert same(resumed.averaged.model, before.model)
    assert resumed.averaged.updates == 0


CONFIG = {
    "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 16},
    "model": {"name": "MLP", "hidden": [8]},
    "optimizer": {"name": "Adam", "lr": 0.01},
    "train": {"epochs": 3, "threads": 1, "ema": 0.9},
}


@pytest.mark.parametrize("split", [{"train": 0.8, "val": 0.1, "test": 0.1}, {"train": 0.8, "test": 0.2}])
def test_a_run_keeps_and_reports_the_averaged_weights(tmp_path, split):
    config = {**CONFIG, "data": {**CONFIG["data"], "split": split}}
    run = torchwork.train(config, out=tmp_path / "run")
    place = checkpoint.latest(run.path / "checkpoints")
    averaged, trained = (
        safetensors.torch.load_file(place / name) for name in ("averaged.safetensors", "model.safetensors")
    )
    kept = safetensors.torch.load_file(run.path / "model.safetensors")
    assert kept.keys() == averaged.keys()
    assert all(torch.equal(kept[name], averaged[name]) for name in kept)  # the last epoch is the best
    assert not any(torch.equal(kept[name], trained[name]) for name in kept)
    again = torchwork.train({**config, "train": {**CONFIG["train"], "ema": None}}, out=tmp_path / "plain")
    plain = safetensors.torch.load_file(again.path / "model.safetensors")
    assert all(torch.equal(plain[name], trained[name]) for name in kept)


def test_a_decay_that_is_too_slow_for_the_run_is_told_and_one_that_is_none_refused(tmp_path):
    config = {**CONFIG, "train": {**CONFIG["train"], "epochs": 1, "ema": 0.999}}
    run = torchwork.train(config, out=tmp_path / "run")
    said = (run.path / "log.txt").read_text()
    assert "train.ema: averages over about the last 1000 updates, of the 7 that this run has" in said
    for wrong in (0, 1, 1.5, -0.1):
        with pytest.raises(InputError, match=r"train\.ema"):
            torchwork.train({**CONFIG, "train": {"ema": wrong}}, out=tmp_path / "wrong")


def test_a_function_call_ends_with_the_averaged_weights():
    data = torch.randn(64, 6), torch.randint(0, 3, (64,))
    for val in (None, data):
        model, seen = Network(), []
        watch = [lambda step, model=model, seen=seen: seen.append(model.last.weight.detach().clone())]
        how = {"loss": nn.CrossEntropyLoss(), "optimizer": "Adam", "epochs": 2, "batch_size": 16}
        found = torchwork.fit(model, data, val, **how, ema=0.5, watchers=watch)
        average = seen[0].clone()
        for weight in seen[1 : 4 * (found.best_epoch or 2)]:
            average.lerp_(weight, 0.5)
        assert torch.equal(model.last.weight, average)
