"""Metrics of train are those of the outputs that the steps were made by, and do not depend on when a run stopped."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import nn
from torch.utils.data import TensorDataset

from torchwork.data.collated import CollatedLoader
from torchwork.losses.criterion import Criterion
from torchwork.metrics import running
from torchwork.tasks import contracts
from torchwork.training import checkpoint
from torchwork.training.loop import TrainOptions, run_epochs
from torchwork.training.state import State
from torchwork.training.tally import Tally


def made(kind, num=300, seed=0):
    """Return inputs, targets, a model and a loss."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(num, 6, generator=draws)
    y = x[:, :2] + torch.randn(num, 2, generator=draws)
    whole = {
        "classes": (y.argmax(1), 2, nn.CrossEntropyLoss()),
        "distributions": (y.softmax(1), 2, nn.CrossEntropyLoss()),
        "yes or no": (y[:, 0].gt(0).float()[:, None], 1, nn.BCEWithLogitsLoss()),
        "labels": (y.gt(0.3).float(), 2, nn.BCEWithLogitsLoss()),
        "numbers": (y * 3 + 5, 2, nn.MSELoss()),
        "counts": (y.abs().mul(3).round(), 2, nn.PoissonNLLLoss()),
        "Gaussian": (y, 4, nn.GaussianNLLLoss()),
    }
    target, outputs, loss = whole[kind]
    torch.manual_seed(seed)
    return x, target, nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, outputs)), loss


KINDS = ("classes", "distributions", "yes or no", "labels", "numbers", "counts", "Gaussian")


class Noted:
    """A task that keeps every output it hands out."""

    def __init__(self, task):
        self._task, self.seen = task, []

    def loss(self, model, batch, weight=None, outputs=None):
        mine = []
        loss = self._task.loss(model, batch, weight, mine)
        self.seen.append((mine[0], batch.target))
        outputs.extend(mine)
        return loss

    def __getattr__(self, name):
        return getattr(self._task, name)


def set_up(kind, optimizer=torch.optim.SGD):
    x, y, model, loss = made(kind)
    loader = CollatedLoader(TensorDataset(x, y), batch_size=7, shuffle=True, seed=3)
    with torch.no_grad():
        task = contracts.of_module(Criterion(loss), model(x[:7]), y[:7])
    return State(model, optimizer(model.parameters(), lr=0.05)), Noted(task), loader


def expected(task, seen):
    """Return the metrics of all outputs of an epoch at once, as an evaluation would have them."""
    from torchwork.tasks.supervised import Evaluation

    outputs, targets = (torch.cat(parts) for parts in zip(*seen, strict=True))
    nothing = torch.zeros(len(outputs))
    return task.metrics(Evaluation(nothing, outputs, targets, nothing, nothing))


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_of_train_are_those_of_the_outputs_of_the_steps(kind):
    state, task, loader = set_up(kind)
    run_epochs(state, task, loader, None, TrainOptions(1, accumulate=3, monitor="train_loss"))
    (row,) = state.progress.history
    found = {name.removeprefix("train_"): value for name, value in row.items() if name.startswith("train_")}
    del found["loss"]
    assert found
    wanted = expected(task, task.seen)
    for name, value in found.items():
        assert value == pytest.approx(wanted[name], rel=1e-12), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_run_that_stops_anywhere_goes_on_to_the_same_metrics_of_train_to_the_bit(kind, accumulate, tmp_path):
    options = TrainOptions(2, accumulate=accumulate, monitor="train_loss")
    straight, task, loader = set_up(kind)
    run_epochs(straight, task, loader, None, options)
    state, task, loader = set_up(kind)
    stops = iter(range(100))
    while not run_epochs(state, task, loader, None, options, should_stop=lambda: next(stops) % 5 == 4):
        place = checkpoint.save(state, tmp_path)
        state, _, _ = set_up(kind)
        checkpoint.load(place, state)
    clock = ("seconds", "waited")
    rows = [[{k: v for k, v in row.items() if k not in clock} for row in s.progress.history] for s in (straight, state)]
    assert rows[0] == rows[1]
    assert len(rows[0][0]) >= 5


def test_what_is_kept_within_an_epoch_counts_the_steps_up_to_there_though_they_were_held_back(tmp_path):
    state, task, loader = set_up("classes")
    kept = []

    def watch(step):
        kept.append(checkpoint.snapshot(state))
        assert state.progress.sums[1] == sum(len(target) for _, target in task.seen)

    run_epochs(state, task, loader, None, TrainOptions(1, monitor="train_loss"), watchers=[watch])
    assert len(kept) == len(loader)


def test_an_optimizer_that_asks_more_than_once_counts_each_sample_once():
    state, task, loader = set_up("classes", lambda p, lr: torch.optim.LBFGS(p, lr=lr, max_iter=4))
    run_epochs(state, task, loader, None, TrainOptions(1, monitor="train_loss"))
    firsts = {id(target): (output, target) for output, target in reversed(task.seen)}
    assert len(task.seen) > 2 * len(firsts)
    assert state.progress.history[0]["train_accuracy"] == expected(task, list(firsts.values()))["accuracy"]


def test_a_step_makes_no_look_at_its_output_and_few_are_held():
    state, task, loader = set_up("classes")
    looks = []
    task.tally = lambda output, target: looks.append(len(output)) or running.right(output.argmax(1), target)
    tally = Tally(task, state.progress)
    batch = next(iter(loader.batches(0)))
    for number in range(1, 129):
        tally.loss(state.model, copy.copy(batch)._replace(ids=batch.ids + number))
        tally.taken()
        assert len(looks) == number // 64
    assert looks == [64 * 7] * 2
    assert state.progress.sums[1] == 128 * 7


@pytest.mark.parametrize("columns", [1, 3, 40])
def test_sums_of_numbers_are_scikit_learns_metrics_and_far_targets_have_no_r2(columns):
    draws = np.random.default_rng(0)
    y = draws.normal(size=(50, columns)) + 100
    x = y + draws.normal(size=y.shape)
    sums = running.numbers(torch.tensor(x), torch.tensor(y)).sum(0).tolist()
    found = running.of_numbers(sums)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, x), rel=1e-9)
    if columns <= running.MOST_COLUMNS:
        assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, x), rel=1e-9)
        assert found["r2"] == pytest.approx(metrics.r2_score(y, x), rel=1e-7)
        far = running.of_numbers(running.numbers(torch.tensor(x + 1e9), torch.tensor(y + 1e9)).sum(0).tolist())
        assert math.isnan(far["r2"])
    else:
        assert set(found) == {"mae"}
