"""The loop against loops written by hand, bit for bit, and accumulation against the one big batch."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchwork import rng
from torchwork.losses.criterion import Criterion
from torchwork.tasks.classification import Classification
from torchwork.tasks.regression import Regression
from torchwork.training.loop import updates, windows
from torchwork.training.nonfinite import NonFiniteError
from torchwork.training.state import State
from torchwork.types import Batch, RunError

CLASSES = ("a", "b", "c")
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-2),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-3),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=1e-3),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=4),
}


def mlp(dtype=torch.float32, dropout=0.0):
    torch.manual_seed(0)
    layers = [nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 3)]
    return nn.Sequential(*layers).to(dtype)


def batches(sizes, dtype=torch.float32, seed=1, classes=3):
    generator = torch.Generator().manual_seed(seed)
    made = []
    for size in sizes:
        inputs = torch.randn(size, 6, generator=generator, dtype=dtype)
        target = torch.randint(0, classes, (size,), generator=generator)
        made.append(Batch(inputs, target, np.arange(size)))
    return made


def task(loss=None):
    return Classification(Criterion(loss or nn.CrossEntropyLoss()), CLASSES)


def run(model, optimizer, batch_windows, the_task=None, **options):
    model.train()
    return list(updates(State(model, optimizer), batch_windows, the_task or task(), **options))


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_equal_a_loop_written_by_hand_bit_for_bit(name):
    ours, theirs = mlp(), mlp()
    data = batches([8, 8, 8, 8, 5] * 10)
    steps = run(ours, OPTIMIZERS[name](ours.parameters()), ([b] for b in data))
    optimizer, criterion, losses = OPTIMIZERS[name](theirs.parameters()), nn.CrossEntropyLoss(), []
    for batch in data:

        def closure(batch=batch):
            optimizer.zero_grad()
            loss = criterion(theirs(batch.inputs), batch.target)
            loss.backward()
            return loss

        if name == "LBFGS":
            losses.append(optimizer.step(closure).item())
        else:
            losses.append(closure().item())
            optimizer.step()
    assert [step.loss.item() for step in steps] == losses
    assert same(ours, theirs)


def test_dropout_draws_from_the_seed_of_its_window():
    ours, theirs = mlp(dropout=0.5), mlp(dropout=0.5)
    data = batches([8] * 50)
    run(ours, torch.optim.SGD(ours.parameters(), lr=0.1), ([b] for b in data), seed=3)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for index, batch in enumerate(data, start=1):
        torch.default_generator.manual_seed(rng.seed(3, "layers", index))
        optimizer.zero_grad()
        nn.functional.cross_entropy(theirs(batch.inputs), batch.target).backward()
        optimizer.step()
    assert same(ours, theirs)


def test_clipping_equals_torchs():
    ours, theirs = mlp(), mlp()
    data = batches([8] * 20)
    steps = run(ours, torch.optim.SGD(ours.parameters(), lr=1.0), ([b] for b in data), clip_norm=0.1)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1.0)
    for step, batch in zip(steps, data, strict=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(theirs(batch.inputs), batch.target).backward()
        assert torch.equal(step.grad_norm, nn.utils.clip_grad_norm_(theirs.parameters(), 0.1))
        optimizer.step()
    assert same(ours, theirs)


LOSSES = {
    "plain": lambda: nn.CrossEntropyLoss(),
    "weighted, smoothed": lambda: nn.CrossEntropyLoss(
        torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64), label_smoothing=0.1
    ),
    "ignoring": lambda: nn.CrossEntropyLoss(ignore_index=1),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_fifty_updates_of_four_unequal_batches_equal_those_of_the_one_batch(loss):
    data = batches([3, 7, 1, 5] * 50, torch.float64)
    cut, whole = mlp(torch.float64), mlp(torch.float64)
    grouped = list(windows(data, 4))
    together = [[Batch(*(torch.cat(x) for x in list(zip(*w, strict=True))[:2]), np.arange(16))] for w in grouped]
    some = run(cut, torch.optim.Adam(cut.parameters(), lr=1e-2), grouped, task(LOSSES[loss]()))
    all_ = run(whole, torch.optim.Adam(whole.parameters(), lr=1e-2), together, task(LOSSES[loss]()))
    for a, b in zip(cut.parameters(), whole.parameters(), strict=True):
        assert (a - b).abs().max() < 1e-12
    for a, b in zip(some, all_, strict=True):
        assert a.weight == pytest.approx(b.weight, abs=1e-12)
        assert a.loss.item() == pytest.approx(b.loss.item(), abs=1e-12)


def test_the_mean_of_means_would_not_pass_that_test():
    data = batches([3, 7, 1, 5], torch.float64)
    model, criterion = mlp(torch.float64), nn.CrossEntropyLoss()
    whole = criterion(model(torch.cat([b.inputs for b in data])), torch.cat([b.target for b in data]))
    means = torch.stack([criterion(model(b.inputs), b.target) for b in data]).mean()
    assert (whole - means).abs() > 1e-3


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=9), st.integers(1, 4))
def test_windows_hold_every_batch_once_and_in_order(sizes, size):
    data = batches(sizes)
    grouped = list(windows(data, size))
    assert [id(b) for w in grouped for b in w] == [id(b) for b in data]
    assert all(len(w) == size for w in grouped[:-1])


def test_a_window_in_which_no_sample_counts_changes_nothing_and_is_counted():
    model = mlp()
    before = copy.deepcopy(model)
    data = batches([4, 4])
    ignored = [Batch(b.inputs, torch.full_like(b.target, -100), b.ids) for b in data]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    steps = run(model, optimizer, [[ignored[0]], ignored, [data[0]]])
    assert [(s.index, s.weight) for s in steps] == [(1, 0.0), (2, 0.0), (3, 4.0)]
    assert steps[0].loss.item() == 0
    assert not same(model, before)
    assert same(before, before)


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_spoilt():
    model = mlp()
    data = batches([4, 4, 4])
    data[2].inputs[1, 2] = float("nan")
    optimizer = torch.optim.Adam(model.parameters())
    taken = updates(State(model, optimizer), ([b] for b in data), task())
    next(taken)
    next(taken)
    before = copy.deepcopy(model)
    with pytest.raises(NonFiniteError, match=r"step 3 \(epoch 1\): the loss is nan; samples 0, 1, 2, 3"):
        next(taken)
    assert same(model, before)


def test_regression_in_float32_takes_float64_targets_without_changing_its_precision():
    model = nn.Linear(6, 1)
    batch = Batch(torch.randn(5, 6), torch.randn(5, 1, dtype=torch.float64), np.arange(5))
    mean = Regression(Criterion(nn.MSELoss()), ("y",)).loss(model, batch)
    assert mean.dtype == torch.float32


def test_lbfgs_searches_no_step_where_the_learning_rate_is_0_and_goes_on_where_it_is_not():
    model = mlp()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=4, line_search_fn="strong_wolfe")
    state, (data,) = State(model.train(), optimizer), batches([30])
    steps = [step.loss.item() for step in updates(state, [[data]] * 3, task())]
    optimizer.param_groups[0]["lr"], before = 0.0, copy.deepcopy(model)
    rest = [step.loss.item() for step in updates(state, [[data]] * 2, task())]
    assert same(model, before)
    assert rest[0] == rest[1] < steps[-1] < steps[0]
    optimizer.param_groups[0]["lr"] = 1.0
    assert [step.loss.item() for step in updates(state, [[data]] * 2, task())][1] < rest[0]


def test_a_line_search_that_divides_by_0_is_told_with_its_step():
    class Dividing(torch.optim.LBFGS):
        def step(self, closure):
            closure()
            return 1 / 0

    model = mlp()
    with pytest.raises(RunError, match=r"step 1 \(epoch 1\): the line search of the optimizer divided by 0"):
        run(model, Dividing(model.parameters(), line_search_fn="strong_wolfe"), [batches([8])])
