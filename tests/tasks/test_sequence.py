"""Sequences: torch's CTC of the blank's place, greedy reading, targets padded or one after the other."""

import numpy as np
import pytest
import torch
from torch import nn

from torchwork.losses.criterion import Criterion
from torchwork.tasks.sequence import Sequence
from torchwork.types import Batch, InputError

SYMBOLS = ("a", "b", "c")
TARGET = torch.tensor([[0, 0, 2], [1, -1, -1], [-1, -1, -1], [2, 1, -1]])


class Steps(nn.Module):
    def __init__(self, steps=7):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.scores = nn.Parameter(torch.randn(4, steps, 4, generator=generator, dtype=torch.float64))

    def forward(self, x):
        return self.scores.log_softmax(2)[: len(x)]


@pytest.mark.parametrize("blank", [0, 1, 3])
def test_the_task_makes_room_for_the_blank_and_turns_steps_first_for_torch(blank):
    model, batch = Steps(), Batch(torch.zeros(4, 1), TARGET, np.arange(4))
    task = Sequence(Criterion(nn.CTCLoss(blank=blank)), SYMBOLS)
    shifted = {0: [1, 2, 3], 1: [0, 2, 3], 3: [0, 1, 2]}[blank]
    labels = torch.tensor([shifted[place] for place in (0, 0, 2, 1, 2, 1)])
    lengths = torch.tensor([3, 1, 0, 2])
    steps = torch.full((4,), 7)
    expected = nn.CTCLoss(blank=blank)(model(batch.inputs).transpose(0, 1), labels, steps, lengths)
    assert task.loss(model, batch).item() == pytest.approx(expected.item(), abs=1e-12)


def test_padded_targets_and_targets_one_after_the_other_are_the_same_to_a_criterion():
    criterion, log_probs = Criterion(nn.CTCLoss()), Steps()(torch.zeros(4, 1)).transpose(0, 1)
    steps, lengths = torch.full((4,), 7), torch.tensor([3, 1, 0, 2])
    padded = torch.tensor([[1, 1, 3], [2, 1, 1], [1, 1, 1], [3, 2, 1]])
    joined = torch.cat([row[:length] for row, length in zip(padded, lengths, strict=True)])
    both = [(log_probs, target, steps, lengths) for target in (padded, joined)]
    assert criterion.mean(*both[0]).item() == criterion.mean(*both[1]).item()
    assert criterion.share(*both[0], weight=9.0).item() == criterion.share(*both[1], weight=9.0).item()
    for one, other in zip(criterion.terms(*both[0]), criterion.terms(*both[1]), strict=True):
        assert torch.equal(one, other)
    assert criterion.share(*both[1], weight=4.0).item() == pytest.approx(criterion.mean(*both[1]).item(), abs=1e-12)


@pytest.mark.parametrize(
    ("best", "read"),
    [
        ([1, 1, 0, 1, 2], (0, 0, 1)),  # a blank parts two equal ones
        ([0, 0, 0, 0, 0], ()),
        ([3, 3, 3, 2, 2], (2, 1)),
        ([0, 1, 0, 0, 1], (0, 0)),
    ],
)
def test_reading_merges_repeats_then_removes_blanks(best, read):
    outputs = nn.functional.one_hot(torch.tensor([best]), 4).double()
    assert Sequence(Criterion(nn.CTCLoss()), SYMBOLS).decode(outputs) == [read]


def test_a_blank_in_the_middle_is_read_round():
    outputs = nn.functional.one_hot(torch.tensor([[0, 1, 2, 2, 3]]), 4).double()
    task = Sequence(Criterion(nn.CTCLoss(blank=1)), SYMBOLS)
    assert task.predictions(outputs) == [{"prediction": "abc"}]


def test_targets_of_the_other_samples_are_checked_against_the_steps_too():
    model, batch = Steps(3), Batch(torch.zeros(2, 1), TARGET[1:3], np.arange(2))
    task = Sequence(Criterion(nn.CTCLoss()), SYMBOLS)
    output = model(batch.inputs)
    task.check_output(output, batch)
    with pytest.raises(InputError, match="3 steps, too few for 1 of 4 targets: the longest needs 4"):
        task.check_output(output, batch, None, TARGET)
    Sequence(Criterion(nn.CTCLoss(zero_infinity=True)), SYMBOLS).check_output(output, batch, None, TARGET)
