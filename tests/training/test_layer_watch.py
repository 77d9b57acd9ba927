"""What is measured by layer: equal to a loop written by hand, the same after any resume, and without effect."""

import csv
import math
import signal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import torchwork
from torchwork import rundir
from torchwork.losses.criterion import Criterion
from torchwork.optim.several import Optimizers
from torchwork.tasks.classification import Classification
from torchwork.training.interrupt import Interrupted
from torchwork.training.layer_watch import layer_watcher
from torchwork.training.loop import TrainOptions, run_epochs
from torchwork.training.state import State
from torchwork.types import Batch, Step

EPOCHS = 3


class Loader:
    """Five unequal batches, the same in every epoch."""

    def __init__(self, sizes=(8, 8, 8, 8, 3), ignored=()):
        generator = torch.Generator().manual_seed(1)
        self.made = []
        for place, size in enumerate(sizes):
            inputs = torch.randint(0, 6, (size, 4), generator=generator)
            target = torch.randint(0, 3, (size,), generator=generator)
            self.made.append(Batch(inputs, torch.full_like(target, -100) if place in ignored else target, inputs))

    def __len__(self):
        return len(self.made)

    def batches(self, epoch, start=0):
        return iter(self.made[start:])


class Words(nn.Module):
    def __init__(self, sparse=False):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(6, 5, sparse=sparse)
        self.layers = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.layers(self.embedding(x).mean(1)) * self.scale


LAYERS = {
    "(model)": ["scale"],
    "embedding": ["embedding.weight"],
    "layers.0": ["layers.0.weight", "layers.0.bias"],
    "layers.2": ["layers.2.weight", "layers.2.bias"],
}
OPTIMIZERS = {
    "SGD": lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9),
    "Adam": lambda m: torch.optim.Adam(m.parameters(), lr=1e-2),
    "LBFGS": lambda m: torch.optim.LBFGS(m.parameters(), lr=0.1, max_iter=3),
    "SparseAdam beside Adam": lambda m: Optimizers(
        [
            torch.optim.SparseAdam(m.embedding.parameters(), lr=1e-2),
            torch.optim.Adam([*m.layers.parameters(), m.scale], lr=1e-2),
        ]
    ),
}


def task():
    return Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))


def train(model, optimizer, loader, *, watched=True, accumulate=1, clip_norm=None):
    state, rows = State(model, optimizer), []
    watchers = []
    if watched:
        watchers = [layer_watcher(state, num_batches=len(loader), accumulate=accumulate, on_rows=rows.extend)]
    options = TrainOptions(EPOCHS, accumulate=accumulate, clip_norm=clip_norm, monitor="train_loss")
    assert run_epochs(state, task(), loader, None, options, watchers=watchers)
    return rows


def together(tensors):
    parts = [t.to_dense() if t.is_sparse else t for t in tensors]
    return torch.cat([part.flatten().double() for part in parts]).norm().item()


def by_hand(model, optimizer, loader, *, accumulate=1, clip_norm=None):
    """Return (epoch, step, layer, weight norm, gradient norm, update ratio) of plain torch, the last step an epoch."""
    rows, step = [], 0
    for epoch in range(1, EPOCHS + 1):
        groups = [loader.made[i : i + accumulate] for i in range(0, len(loader), accumulate)]
        for group in groups:
            step += 1
            before = {name: p.detach().clone() for name, p in model.named_parameters()}
            total = sum(len(batch.target) for batch in group)

            def closure(group=group, total=total):
                optimizer.zero_grad()
                loss = torch.zeros(())
                for batch in group:
                    share = nn.functional.cross_entropy(model(batch.inputs), batch.target) * len(batch.target) / total
                    share.backward()
                    loss = loss + share.detach()
                if clip_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
                return loss

            optimizer.step(closure)
        named = dict(model.named_parameters())
        for layer, names in sorted(LAYERS.items(), key=lambda item: list(named).index(item[1][0])):
            weight = together([before[name] for name in names])
            moved = together([named[name].detach() - before[name] for name in names])
            rows.append((epoch, step, layer, weight, together([named[name].grad for name in names]), moved / weight))
    return rows


@pytest.mark.parametrize("accumulate", [1, 2, 5, 8])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_equal_those_of_a_loop_written_by_hand(name, accumulate):
    ours, theirs = (Words(sparse="Sparse" in name) for _ in range(2))
    found = train(ours, OPTIMIZERS[name](ours), Loader(), accumulate=accumulate)
    expected = by_hand(theirs, OPTIMIZERS[name](theirs), Loader(), accumulate=accumulate)
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    np.testing.assert_allclose([row[3:] for row in found], [row[3:] for row in expected], rtol=2e-4)


def test_gradients_are_measured_after_clipping():
    ours, theirs = Words(), Words()
    found = train(ours, OPTIMIZERS["SGD"](ours), Loader(), clip_norm=0.05)
    expected = by_hand(theirs, OPTIMIZERS["SGD"](theirs), Loader(), clip_norm=0.05)
    np.testing.assert_allclose([row[3:] for row in found], [row[3:] for row in expected], rtol=2e-4)
    last = [row.grad_norm for row in found if row.epoch == EPOCHS]
    assert np.linalg.norm(last) == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_watching_changes_no_bit_of_training(name):
    watched, alone = (Words(sparse="Sparse" in name) for _ in range(2))
    train(watched, OPTIMIZERS[name](watched), Loader())
    train(alone, OPTIMIZERS[name](alone), Loader(), watched=False)
    assert all(map(torch.equal, watched.state_dict().values(), alone.state_dict().values()))


def test_an_epoch_of_one_step_is_measured_each_time():
    model = Words()
    rows = train(model, OPTIMIZERS["Adam"](model), Loader([8]))
    assert [row.step for row in rows] == [step for step in (1, 2, 3) for _ in LAYERS]
    assert all(row.update_ratio > 0 for row in rows)


def test_what_is_frozen_or_in_no_optimizer_is_left_out():
    model = Words()
    model.layers[0].requires_grad_(False)
    rows = train(model, torch.optim.SGD([*model.layers.parameters(), model.scale], lr=0.1), Loader())
    assert {row.layer for row in rows} == {"(model)", "layers.2"}


def test_a_step_in_which_no_sample_counts_has_no_gradient_and_no_update():
    model = Words()
    rows = train(model, OPTIMIZERS["SGD"](model), Loader(ignored=[4]))
    assert all(math.isnan(row.grad_norm) for row in rows)
    assert {row.update_ratio for row in rows} == {0.0}


def test_a_layer_of_zeros_and_one_without_a_gradient_have_no_number():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.zeros, self.unused = nn.Linear(2, 3), nn.Linear(2, 2)
            nn.init.zeros_(self.zeros.weight)
            nn.init.zeros_(self.zeros.bias)

        def forward(self, x):
            return self.zeros(x[:, :2].float())

    model, rows = Two(), []
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.1))
    watch = layer_watcher(state, num_batches=1, on_rows=rows.extend)
    model(torch.ones(4, 2)).sum().backward()
    state.optimizer.step()
    state.progress.position = 1
    watch(Step(1, torch.zeros(()), 4.0, None, 0.1))
    zeros, unused = rows
    assert zeros.weight_norm == 0
    assert math.isnan(zeros.update_ratio)
    assert zeros.grad_norm == pytest.approx(4 * math.sqrt(9))
    assert math.isnan(unused.grad_norm)
    assert unused.update_ratio == 0


def test_parametrized_layers_keep_their_names_and_half_precision_is_summed_in_32_bits():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 3)), nn.Linear(3, 70_000).half())
    rows = []
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.0))
    watch = layer_watcher(state, num_batches=1, on_rows=rows.extend)
    nn.init.ones_(model[1].weight)
    nn.init.ones_(model[1].bias)
    watch = layer_watcher(state, num_batches=1, on_rows=rows.extend)
    state.progress.position = 1
    watch(Step(1, torch.zeros(()), 1.0, None, 0.0))
    assert [row.layer for row in rows] == ["0", "1"]
    assert rows[1].weight_norm == pytest.approx(math.sqrt(280_000), rel=1e-5)


def test_a_watcher_that_is_made_right_before_the_last_step_measures_it_too():
    whole, rows = Words(), []
    expected = train(whole, OPTIMIZERS["Adam"](whole), Loader())
    model = Words()
    state, options = State(model, OPTIMIZERS["Adam"](model)), TrainOptions(1, monitor="train_loss")
    assert not run_epochs(state, task(), Loader(), None, options, should_stop=lambda: state.progress.position == 4)
    watch = layer_watcher(state, num_batches=5, on_rows=rows.extend)
    run_epochs(state, task(), Loader(), None, options, watchers=[watch])
    assert rows == expected[: len(LAYERS)]


SETTINGS = {
    "plain": {},
    "accumulated": {"train": {"accumulate": 3}},
    "drop_last": {"data": {"drop_last": True}},
    "one step an epoch": {"data": {"batch_size": 105}},
    "LBFGS": {"optimizer": {"name": "LBFGS", "max_iter": 2, "lr": 0.1}},
}


def config(name):
    changes = SETTINGS[name]
    return {
        "data": {"source": "Iris", "transform": ["Normalize"], "batch_size": 32, **changes.get("data", {})},
        "model": {"name": "MLP", "hidden": [8], "dropout": 0.3},
        "optimizer": changes.get("optimizer", {"name": "Adam", "lr": 1e-2}),
        "train": {"epochs": 2, **changes.get("train", {})},
    }


class StopAt:
    def __init__(self, index):
        self.index = index

    def step(self, step, epoch):
        if step.index == self.index:
            signal.raise_signal(signal.SIGTERM)

    def start(self, *_): ...
    def epoch(self, row): ...
    def finding(self, found): ...
    def message(self, text): ...
    def stop(self): ...


@pytest.fixture
def training_alone(monkeypatch):
    """Leave out the end of a run, its evaluation and report, which is longer than the training."""
    monkeypatch.setattr("torchwork.finishing.finish", lambda *_, **__: {})


@pytest.mark.usefixtures("training_alone")
@pytest.mark.parametrize("name", SETTINGS)
def test_rows_after_a_resume_at_any_step_equal_those_of_a_straight_run_byte_for_byte(name, tmp_path):
    straight = torchwork.train(config(name), out=tmp_path / "straight").path
    expected = (straight / rundir.LAYERS).read_bytes()
    rows = list(csv.DictReader(expected.decode().splitlines()))
    assert [(row["epoch"], row["layer"]) for row in rows] == [(e, n) for e in "12" for n in ("hidden.0", "output")]
    for step in range(1, int(rows[-1]["step"]) + 1):
        place = tmp_path / str(step)
        with pytest.raises(Interrupted):
            torchwork.train(config(name), out=place, progress=StopAt(step))
        torchwork.resume(place)
        assert (place / rundir.LAYERS).read_bytes() == expected


@pytest.mark.usefixtures("training_alone")
def test_rows_of_steps_after_the_checkpoint_and_a_line_cut_short_are_written_again(tmp_path):
    straight = torchwork.train(config("plain"), out=tmp_path / "straight").path
    with pytest.raises(Interrupted):
        torchwork.train(config("plain"), out=tmp_path / "run", progress=StopAt(5))
    with open(tmp_path / "run" / rundir.LAYERS, "a", encoding="utf-8") as file:
        file.write("2,8,hidden.0,9,9,9\n2,8,output,9,9,9\n3,1")
    torchwork.resume(tmp_path / "run")
    assert (tmp_path / "run" / rundir.LAYERS).read_bytes() == (straight / rundir.LAYERS).read_bytes()
