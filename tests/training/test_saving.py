"""Checkpoints are written behind training, from what it was when they were taken, and again where the disk fails."""

import contextlib
import threading

import pytest
import torch
from torch import nn

from torchwork import durable
from torchwork.training import checkpoint, store
from torchwork.training.saving import Saver
from torchwork.training.state import State
from torchwork.types import RunError


@pytest.fixture
def state():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return State(model, torch.optim.SGD(model.parameters(), lr=0.1))


def ended(state, epoch, value):
    progress = state.progress
    progress.index, progress.epoch, progress.position, progress.monitored = 10 * epoch, epoch, 0, value
    if progress.best is None or value < progress.best:
        progress.best, progress.best_epoch = value, epoch
    return state


def names(directory):
    return sorted(path.name for path in directory.iterdir())


class Disk:
    """A disk that refuses the first so many files, and can hold writing up."""

    def __init__(self, monkeypatch, refusals=0):
        self.refusals, self.tried, self.free = refusals, 0, threading.Event()
        self.free.set()
        self._create = durable.create_file
        monkeypatch.setattr(durable, "create_file", self)

    def __call__(self, path, content):
        self.free.wait(60)
        self.tried += 1
        if self.tried <= self.refusals:
            raise OSError(28, "No space left on device")
        self._create(path, content)


def test_what_is_written_is_the_state_as_it_was_taken(state, tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    disk.free.clear()
    saver = Saver(tmp_path)
    weight = state.model.weight.detach().clone()
    assert saver.save(ended(state, 1, 1.0))
    with torch.no_grad():
        state.model.weight.zero_()
    state.progress.index = 99
    disk.free.set()
    saver.close()
    checkpoint.load(checkpoint.latest(tmp_path), state)
    assert torch.equal(state.model.weight, weight)
    assert state.progress.index == 10


def test_one_that_is_not_needed_is_left_out_while_another_is_written(state, tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    disk.free.clear()
    saver = Saver(tmp_path)
    assert saver.save(ended(state, 1, 1.0))
    state.progress.index, state.progress.position = 12, 2
    assert not saver.save(state, needed=False)
    disk.free.set()
    saver.close()
    assert names(tmp_path) == ["00000010-epoch-1"]


def test_every_needed_one_is_written_in_order(state, tmp_path):
    saver = Saver(tmp_path, keep_best=9)
    for epoch in range(1, 8):
        saver.save(ended(state, epoch, 10.0 - epoch))
    saver.close()
    assert [place.name for place in store.places(tmp_path)] == [f"{10 * e:08d}-epoch-{e}" for e in range(7, 0, -1)]


def test_a_disk_that_recovers_costs_nothing_but_is_told(state, tmp_path, monkeypatch):
    Disk(monkeypatch, refusals=3)
    said = []
    saver = Saver(tmp_path, told=said.append, pauses=(0.001,))
    saver.save(ended(state, 1, 1.0))
    saver.close()
    assert names(tmp_path) == ["00000010-epoch-1"]
    assert [line[:40] for line in said] == ["warning: checkpoint 00000010-epoch-1 cou"] * 3 + [
        "checkpoint 00000010-epoch-1 is written: "
    ]
    assert "No space left on device. The ones before it are kept" in said[0]


def test_a_disk_that_stays_full_stops_the_run_and_keeps_what_was_there(state, tmp_path, monkeypatch):
    checkpoint.save(ended(state, 1, 1.0), tmp_path)
    Disk(monkeypatch, refusals=10**9)
    saver = Saver(tmp_path, patience=3, pauses=(0.001,))
    saver.save(ended(state, 2, 0.5))
    with pytest.raises(RunError, match="3 times in a row: No space left on device"):
        saver.close()
    with pytest.raises(RunError):
        saver.save(ended(state, 3, 0.4))
    assert names(tmp_path) == ["00000010-epoch-1"]


def test_training_goes_on_while_the_disk_fails_and_the_best_is_not_lost(state, tmp_path, monkeypatch):
    disk = Disk(monkeypatch, refusals=10**9)
    failed = threading.Event()
    saver = Saver(tmp_path, patience=10**9, told=lambda text: failed.set(), pauses=(0.001,))
    saver.save(ended(state, 1, 1.0))
    assert failed.wait(60)
    for epoch, value in ((2, 0.1), (3, 0.5), (4, 0.6)):
        saver.save(ended(state, epoch, value))  # none of these waits
    disk.refusals = 0
    saver.close()
    assert names(tmp_path) == ["00000020-epoch-2", "00000040-epoch-4"]


def test_a_mistake_while_writing_is_raised_where_training_is(state, tmp_path, monkeypatch):
    def broken(taken, directory, **options):
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(checkpoint, "write", broken)
    saver = Saver(tmp_path)
    saver.save(ended(state, 1, 1.0))
    with pytest.raises(ZeroDivisionError, match="broken"):
        saver.close()


def test_what_was_taken_before_an_error_is_written_and_no_thread_is_left(state, tmp_path):
    with contextlib.suppress(ZeroDivisionError), Saver(tmp_path) as saver:
        saver.save(ended(state, 1, 1.0))
        raise ZeroDivisionError
    assert names(tmp_path) == ["00000010-epoch-1"]
    assert not [thread for thread in threading.enumerate() if thread.name == "checkpoints"]
