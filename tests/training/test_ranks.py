"""What a step needs of other processes, of which there are none here: the world is one, and all sums are its own."""

import numpy as np
import pytest
import torch
from torch import nn

from torchwork import dist
from torchwork.losses.criterion import Criterion
from torchwork.tasks.classification import Classification
from torchwork.training.ranks import Ranks
from torchwork.types import Batch


@pytest.fixture
def counted(monkeypatch):
    """The numbers that were summed over all processes, one list for each time."""
    summed = []

    def summing(values):
        summed.append(list(values))
        return lambda: list(values)

    monkeypatch.setattr(dist, "summing", summing)
    return summed


def windows(*sizes):
    draws = torch.Generator().manual_seed(0)
    for size in sizes:
        x, y = torch.randn(size, 3, generator=draws), torch.arange(size) % 2
        yield [Batch(x, y, np.arange(size))]


def task():
    return Classification(Criterion(nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))), ("a", "b"))


def weight(size):
    return sum((1.0, 3.0)[place % 2] for place in range(size))


def test_the_totals_of_a_window_come_with_the_loss_of_the_one_before(counted):
    model = nn.Linear(3, 2)
    ranks, judge = Ranks(model, lambda: None), task()
    found = []
    for window in ranks.announcing(judge, windows(4, 3, 5)):
        total, samples = ranks.totals(judge, window)
        found.append((total, samples))
        loss = ranks.backward(judge, window, total)
        expected = nn.functional.cross_entropy(model(window[0].inputs), window[0].target, judge.criterion.module.weight)
        torch.testing.assert_close(loss, expected.double(), check_dtype=False, rtol=1e-6, atol=1e-7)
    assert found == [(weight(4), 4), (weight(3), 3), (weight(5), 5)]
    first, *losses = counted
    assert first == [weight(4), 4.0]
    assert [told[1:3] for told in losses[:-1]] == [[weight(3), 3.0], [weight(5), 5.0]]
    assert len(counted) == 4


def test_after_a_window_that_was_left_out_its_follower_is_asked_for(counted):
    ranks, judge = Ranks(nn.Linear(3, 2), lambda: None), task()
    found = []
    for place, window in enumerate(ranks.announcing(judge, windows(4, 3, 5))):
        found.append(ranks.totals(judge, window))
        if place != 1:
            ranks.backward(judge, window, found[-1][0])
    assert found == [(weight(4), 4), (weight(3), 3), (weight(5), 5)]
    assert counted.count([weight(5), 5.0]) == 1


def test_what_was_told_in_an_epoch_that_broke_off_is_forgotten(counted):
    ranks, judge = Ranks(nn.Linear(3, 2), lambda: None), task()
    for window in ranks.announcing(judge, windows(4, 3)):
        ranks.backward(judge, window, ranks.totals(judge, window)[0])
        break
    again = next(ranks.announcing(judge, windows(6, 2)))
    assert ranks.totals(judge, again) == (weight(6), 6)


def test_a_second_pass_through_a_window_does_not_change_what_was_told(counted):
    """As an optimizer makes that evaluates the loss several times in a step."""
    ranks, judge = Ranks(nn.Linear(3, 2), lambda: None), task()
    found = []
    for window in ranks.announcing(judge, windows(4, 3)):
        found.append(ranks.totals(judge, window))
        for _ in range(3):
            ranks.backward(judge, window, found[-1][0])
    assert found == [(weight(4), 4), (weight(3), 3)]
