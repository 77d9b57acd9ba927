"""Who is given a closure: only those that may want to look at the gradients more than once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from torchwork.losses.criterion import Criterion
from torchwork.optim.several import Optimizers
from torchwork.tasks.classification import Classification
from torchwork.training.loop import updates
from torchwork.training.state import State
from torchwork.types import Batch


class TwiceLooking(torch.optim.SGD):
    """An optimizer of somebody's own that may do without a closure, but looks twice with one (as SAM does)."""

    def step(self, closure=None):
        if closure is None:
            raise AssertionError("it was promised a second look")
        with torch.enable_grad():
            closure()
            loss = closure()
        super().step()
        return loss


def run(optimizer_of):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    task = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b", "c"))
    batch = Batch(torch.randn(4, 3), torch.arange(4) % 3, np.arange(4))
    state = State(model, optimizer_of(model))
    losses = [float(step.loss) for step in updates(state, ([batch] for _ in range(3)), task)]
    return losses, [p.detach().clone() for p in model.parameters()]


def same(one, other):
    return one[0] == other[0] and all(map(torch.equal, one[1], other[1]))


def test_an_optimizer_of_somebodys_own_gets_its_closure_and_sees_the_same_function_twice():
    assert same(
        run(lambda m: TwiceLooking(m.parameters(), lr=0.1)), run(lambda m: torch.optim.SGD(m.parameters(), 0.1))
    )


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_without_a_closure_torchs_own_give_the_same_bits_as_with_one(name, monkeypatch):
    make = getattr(torch.optim, name)
    alone = run(lambda m: make(m.parameters(), lr=0.1))
    several = run(lambda m: Optimizers([make(m[0].parameters(), lr=0.1)]))
    monkeypatch.setattr("torchwork.training.loop.takes_gradients", lambda optimizer: False)
    assert same(run(lambda m: make(m.parameters(), lr=0.1)), alone)
    assert same(several, alone)
