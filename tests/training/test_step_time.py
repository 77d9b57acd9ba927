"""Where the time of a step goes."""

import numpy as np
import pytest
import torch
from torch import nn

from torchwork.losses.criterion import Criterion
from torchwork.tasks.classification import Classification
from torchwork.training import step_time
from torchwork.training.loop import updates
from torchwork.training.state import State
from torchwork.training.step_time import StepTime, advice, measure
from torchwork.types import Batch

LONG = 0.2
TASK = Classification(Criterion(nn.CrossEntropyLoss()), ("a", "b"))


class Hands:
    """The hands of a clock that nothing moves but what is said to take time."""

    now = 0.0

    @classmethod
    def move(cls):
        cls.now += LONG

    @classmethod
    def perf_counter(cls):
        return cls.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(step_time, "time", Hands)


class Slow(nn.Module):
    """Takes time on the way there or on the way back."""

    def __init__(self, where):
        super().__init__()
        self.layer, self.where = nn.Linear(3, 2), where

    def forward(self, x):
        if self.where == "forward":
            Hands.move()
        output = self.layer(x)
        if self.where == "backward":
            output.register_hook(lambda gradient: Hands.move())
        return output


def windows(where):
    while True:
        if where == "data":
            Hands.move()
        yield [Batch(torch.ones(4, 3), torch.zeros(4, dtype=torch.long), np.arange(4))]


@pytest.mark.parametrize("where", ["data", "forward", "backward", "optimizer", "rest"])
def test_what_takes_time_is_the_part_that_it_is_said_to_be(where):
    model = Slow(where).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if where == "optimizer":
        optimizer.register_step_pre_hook(lambda *_: Hands.move())
    state = State(model, optimizer)
    stepper = state.stepper

    class After:
        """A schedule: what comes after the update."""

        def after_update(self):
            _ = where == "rest" and Hands.move()

    state.schedule = After()
    found = measure(state, windows(where), lambda given: updates(state, given, TASK), torch.device("cpu"))
    assert vars(found) == pytest.approx({**dict.fromkeys(vars(found), 0.0), where: LONG})
    assert found.shares()[where] == 1
    assert state.stepper is stepper
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_an_optimizer_that_looks_several_times_is_measured_too():
    model = Slow("forward").train()
    state = State(model, torch.optim.LBFGS(model.parameters(), max_iter=3))
    found = measure(state, windows(""), lambda given: updates(state, given, TASK), torch.device("cpu"))
    assert found.whole == pytest.approx(found.forward)
    assert found.forward >= 3 * LONG - 1e-9


def test_what_would_help_follows_from_what_takes_the_time():
    common = {"precision": "fp32", "accumulate": 1, "reads_files": True}
    said = advice(StepTime(0.5, 0.2, 0.2, 0.05, 0.05), **common)
    assert len(said) == 1
    assert "50% of a step: more data.num_workers" in said[0]
    assert advice(StepTime(0.5, 0.2, 0.2, 0.05, 0.05), **{**common, "reads_files": False}) == []
    assert "precision: auto" in advice(StepTime(0.0, 0.4, 0.5, 0.05, 0.05), **common)[0]
    assert advice(StepTime(0.0, 0.4, 0.5, 0.05, 0.05), **{**common, "precision": "bf16"}) == []
    assert "larger data.batch_size" in advice(StepTime(0.0, 2e-4, 2e-4, 2e-4, 1e-4), **common)[0]
    assert "one larger batch" in advice(StepTime(0.6, 0.2, 0.1, 0.05, 0.05), **{**common, "accumulate": 4})[-1]
