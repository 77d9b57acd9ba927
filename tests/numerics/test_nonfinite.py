"""Windows whose loss or gradient is not finite: found before the update, skipped to the bit, told where from."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from torchwork.losses.criterion import Criterion
from torchwork.optim.several import Optimizers
from torchwork.tasks.classification import Classification
from torchwork.tasks.regression import Regression
from torchwork.training import diagnosis
from torchwork.training.loop import updates, windows
from torchwork.training.nonfinite import Finite, Guard, NonFiniteError
from torchwork.training.state import State
from torchwork.types import Batch

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-2),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-2),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=1e-3),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=4),
}
TASK = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))


class Root(nn.Module):
    """A layer whose gradient at 0 is infinite, while its output is 0."""

    def forward(self, x):
        return x.abs().sqrt() * 0 + x


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).train()


def batches(count, faulty=()):
    generator = torch.Generator().manual_seed(1)
    made = []
    for number in range(1, count + 1):
        inputs = torch.randn(4, 6, generator=generator)
        target = torch.randint(0, 3, (4,), generator=generator)
        if number in faulty:
            inputs[2, 1] = math.nan
        made.append(Batch(inputs, target, np.arange(4) + 10 * number))
    return made


def by_hand(net, optimizer, data, size=1):
    """Train as anybody would, on the windows that are left."""
    for window in windows(data, size):

        def closure(window=window):
            optimizer.zero_grad()
            output = net(torch.cat([batch.inputs for batch in window]))
            loss = nn.functional.cross_entropy(output, torch.cat([batch.target for batch in window]))
            loss.backward()
            return loss

        optimizer.step(closure)
    return net


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_skipped_window_is_as_if_it_had_never_been_buffers_and_all(name):
    ours, theirs = model(), model()
    state = State(ours, OPTIMIZERS[name](ours.parameters()))
    data = batches(12, faulty=(3, 4, 9))
    steps = list(updates(state, ([b] for b in data), TASK, guard=Guard(state, "skip")))
    assert state.progress.skipped == [3, 4, 9]
    assert [(s.index, s.weight) for s in steps if s.weight == 0] == [(3, 0), (4, 0), (9, 0)]
    assert all(math.isfinite(step.loss) for step in steps)
    left = [b for number, b in enumerate(data, start=1) if number not in (3, 4, 9)]
    assert same(ours, by_hand(theirs, OPTIMIZERS[name](theirs.parameters()), left))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_found_before_the_update(name, value):
    ours = model()
    state = State(ours, OPTIMIZERS[name](ours.parameters()))
    calls = []

    def spoil(gradient):
        calls.append(1)
        return torch.full_like(gradient, value) if len(calls) == 1 else gradient

    list(updates(state, [[b] for b in batches(3)], TASK))
    before, optimizer = copy.deepcopy(ours), copy.deepcopy(state.optimizer.state_dict())
    handle = ours[0].bias.register_hook(spoil)
    with pytest.raises(NonFiniteError, match=r"step 4 \(epoch 1\): the loss is \d.*, but its gradient is not finite"):
        list(updates(state, [[b] for b in batches(1)], TASK))
    handle.remove()
    assert same_parameters(ours, before)
    assert str(optimizer) == str(state.optimizer.state_dict())


def same_parameters(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_with_accumulation_the_whole_window_is_skipped():
    ours = nn.Linear(6, 3).train()
    theirs = copy.deepcopy(ours)
    state = State(ours, torch.optim.SGD(ours.parameters(), lr=0.1))
    data = batches(9, faulty=(5,))
    list(updates(state, windows(data, 3), TASK, guard=Guard(state, "skip")))
    assert state.progress.skipped == [2]
    by_hand(theirs, torch.optim.SGD(theirs.parameters(), lr=0.1), data[:3] + data[6:], 3)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_after_three_in_a_row_the_fourth_stops():
    ours = model()
    state = State(ours, torch.optim.SGD(ours.parameters(), lr=0.1))
    with pytest.raises(NonFiniteError, match=r"step 9 .* 3 windows before it were skipped") as caught:
        list(updates(state, ([b] for b in batches(12, {2, 3, 4, 6, 7, 8, 9})), TASK, guard=Guard(state, "skip")))
    assert caught.value.index == 9
    assert state.progress.skipped == [2, 3, 4, 6, 7, 8]


def test_weights_that_were_spoilt_before_are_no_reason_to_skip_and_are_named():
    ours = model()
    state = State(ours, torch.optim.SGD(ours.parameters(), lr=0.1))
    with torch.no_grad():
        ours[3].weight[0, 0] = math.inf
    with pytest.raises(NonFiniteError, match=r"3\.weight was not finite before this step"):
        list(updates(state, [[b] for b in batches(1)], TASK, guard=Guard(state, "skip")))


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_where_it_is_careful_an_update_that_overflows_is_undone(name):
    ours = model()
    optimizer = OPTIMIZERS[name](ours.parameters())
    state = State(ours, optimizer)
    data = batches(4)
    list(updates(state, [[b] for b in data[:2]], TASK, guard=Guard(state, "rollback", careful=4)))
    before, kept = copy.deepcopy(ours), copy.deepcopy(optimizer.state_dict())
    overflow = optimizer.register_step_post_hook(lambda *_: ours[0].weight.data.mul_(math.inf))
    list(updates(state, [[data[2]]], TASK, guard=Guard(state, "rollback", careful=4)))
    overflow.remove()
    assert state.progress.skipped == [3]
    assert same(ours, before)
    assert str(kept) == str(optimizer.state_dict())


def test_lbfgs_that_overshoots_is_undone_with_its_history():
    ours = model()
    optimizer = torch.optim.LBFGS(ours.parameters(), lr=0.1, max_iter=3)
    state = State(ours, optimizer)
    data = batches(4)
    list(updates(state, [[b] for b in data[:3]], TASK))
    before, kept = copy.deepcopy(ours), str(optimizer.state_dict())
    optimizer.param_groups[0]["lr"] = 1e38
    told = []
    guard = Guard(state, "skip", on_fault=lambda fault, answer: told.append((fault.what, answer)) or "")
    list(updates(state, [[data[3]]], TASK, guard=guard))
    optimizer.param_groups[0]["lr"] = 0.1
    assert told == [("weights", "skip")]
    assert same(ours, before)
    assert kept == str(optimizer.state_dict())


def test_sparse_gradients_beside_dense_ones_are_looked_at():
    torch.manual_seed(0)
    table, head = nn.Embedding(5, 6, sparse=True), nn.Linear(6, 3)
    net = nn.Sequential(table, nn.Flatten(), head).train()
    both = Optimizers([torch.optim.SparseAdam(table.parameters()), torch.optim.Adam(head.parameters())])
    state = State(net, both)
    batch = Batch(torch.tensor([[1], [1], [2]]), torch.tensor([0, 1, 2]), np.arange(3))
    assert len(list(updates(state, [[batch]], TASK))) == 1
    before = copy.deepcopy(net)
    table.weight.register_hook(lambda g: g * math.inf)
    with pytest.raises(NonFiniteError, match="its gradient is not finite"):
        list(updates(state, [[batch]], TASK))
    assert same(net, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64])
def test_the_look_at_gradients_is_exact_and_changes_nothing(dtype):
    large = 3e38 if dtype != torch.float64 else 1e308
    held = [torch.zeros(3, dtype=dtype, requires_grad=True) for _ in range(3)]
    held.append(torch.zeros(2, dtype=torch.float32, requires_grad=True))
    for p in held[:2]:
        p.grad = torch.tensor([large, -large, 1e-40], dtype=dtype)
    held[3].grad = torch.tensor([-0.0, 1.0])
    finite, before = Finite(held), [p.grad.clone() for p in held if p.grad is not None]
    assert finite()  # a norm would overflow here
    assert all(torch.equal(a, p.grad) for a, p in zip(before, (held[0], held[1], held[3]), strict=True))
    for p in (held[0], held[1], held[3]):
        for value in (math.nan, math.inf, -math.inf):
            kept, p.grad[1] = p.grad[1].clone(), value
            assert not finite()
            p.grad[1] = kept
            assert finite()


@pytest.mark.parametrize("clip", [None, 1.0])
def test_clipped_or_not_the_same_windows_are_skipped(clip):
    ours = model()
    state = State(ours, torch.optim.SGD(ours.parameters(), lr=0.1))
    how = {"clip_norm": clip, "guard": Guard(state, "skip")}
    list(updates(state, ([b] for b in batches(8, (2, 5))), TASK, **how))
    assert state.progress.skipped == [2, 5]


class Fails(nn.Module):
    """A part that gives NaN for the samples whose first number is over 5."""

    def forward(self, x):
        return torch.where(x[:, :1] > 5, math.nan, x)


def origin(net, inputs, task=None):
    task = task or Regression(Criterion(nn.MSELoss()), ("y",))
    batch = Batch(inputs, torch.zeros(len(inputs), 1), np.arange(len(inputs)) + 100)
    state = copy.deepcopy(net.state_dict())
    found = diagnosis.origin(net, task, [batch], float(len(inputs)), 7)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items()), "it only looks"
    assert all(p.grad is None for p in net.parameters())
    return found


def test_the_first_module_whose_output_is_not_finite_is_named_with_the_samples():
    net = nn.Sequential(nn.Sequential(nn.Identity(), Fails()), nn.BatchNorm1d(2), nn.Linear(2, 1)).train()
    found = origin(net, torch.tensor([[1.0, 2.0], [9.0, 1.0], [0.0, 3.0]]))
    assert (found.kind, found.name, found.module, found.ids, found.inputs) == ("output", "0.1", "Fails", (101,), ())


def test_inputs_that_are_not_finite_are_named():
    found = origin(nn.Sequential(nn.Linear(2, 1)).train(), torch.tensor([[1.0, 2.0], [math.inf, 1.0]]))
    assert (found.kind, found.name, found.ids, found.inputs) == ("output", "0", (101,), (101,))


def test_the_module_is_named_at_whose_output_the_gradient_is_not_finite():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), Root(), nn.Linear(2, 1)).train()
    with torch.no_grad():
        net[0].weight.fill_(1.0)
    found = origin(net, torch.tensor([[1.0, 2.0], [1.0, -1.0]]))
    assert (found.kind, found.name, found.module, found.ids) == ("output gradient", "0", "Linear", (101,))


def test_a_parameter_is_named_where_only_its_own_gradient_is_not_finite():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            return x + self.scale.sqrt()

    found = origin(nn.Sequential(nn.Linear(2, 1), Scaled()).train(), torch.ones(2, 2))
    assert (found.kind, found.name) == ("weight gradient", "1.scale")


def test_a_loss_of_finite_outputs_is_told_as_such():
    task = Regression(Criterion(lambda output, target: (output - target).sum() * math.inf, "mine"), ("y",))
    assert origin(nn.Sequential(nn.Linear(2, 1)).train(), torch.ones(2, 2), task).kind == "loss"


def test_a_window_that_is_finite_is_told_as_such():
    assert origin(nn.Sequential(nn.Linear(2, 1)).train(), torch.ones(2, 2)).kind == "nothing"
