"""Checkpoints that stopped being whole, and what a run goes on from then."""

import math

import pytest
import torch
from torch import nn

from torchwork.training import checkpoint
from torchwork.training.state import State


@pytest.fixture
def state():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return State(model, optimizer)


def saved(state, directory, index, epoch, *, best_epoch=None, is_best=False, best=1.0):
    progress = state.progress
    progress.index, progress.epoch, progress.best_epoch = index, epoch, best_epoch
    progress.best = None if best_epoch is None else best
    return checkpoint.save(state, directory, is_best=is_best)


def damage(place):
    with open(place / "model.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")


def test_a_damaged_checkpoint_is_written_anew_when_the_run_comes_by_again(state, tmp_path):
    first = saved(state, tmp_path, 10, 1, best_epoch=1, is_best=True)
    second = saved(state, tmp_path, 20, 2, best_epoch=1)
    damage(second)
    assert checkpoint.damaged(tmp_path) == [second]
    assert checkpoint.latest(tmp_path) == first
    assert saved(state, tmp_path, 20, 2, best_epoch=2, is_best=True) == second
    assert checkpoint.is_whole(second)
    assert checkpoint.best(tmp_path) == second


def test_a_run_whose_best_checkpoint_is_lost_begins_again_rather_than_end_with_other_weights(state, tmp_path):
    first = saved(state, tmp_path, 10, 1, best_epoch=1, is_best=True)
    second = saved(state, tmp_path, 20, 2, best_epoch=1)
    assert checkpoint.latest(tmp_path) == second
    damage(first)
    assert checkpoint.latest(tmp_path) is None


def test_a_best_checkpoint_is_noted_on_loading_where_writing_stopped_before_that(state, tmp_path):
    saved(state, tmp_path, 10, 1, best_epoch=1, is_best=True)
    second = saved(state, tmp_path, 20, 2, best_epoch=2)  # as if it had stopped before the pointer was written
    assert checkpoint.best(tmp_path) != second
    checkpoint.load(checkpoint.latest(tmp_path), state)
    assert checkpoint.best(tmp_path) == second


def test_leftovers_of_a_crash_are_no_checkpoints_and_go(state, tmp_path):
    leftover = tmp_path / ".00000020.0a1b2c3d.partial"
    leftover.mkdir()
    assert checkpoint.latest(tmp_path) is None
    place = saved(state, tmp_path, 30, 3)
    assert checkpoint.latest(tmp_path) == place
    assert not leftover.exists()


def test_an_infinite_best_value_stays_a_number(state, tmp_path):
    place = saved(state, tmp_path, 10, 1, best_epoch=1, is_best=True, best=math.inf)
    checkpoint.load(place, state)
    assert state.progress.best == math.inf
