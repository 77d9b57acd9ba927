"""Checkpoints: what is kept, what is passed over, and what a run goes on from."""

import math

import pytest
import torch
from torch import nn

from torchwork.training import checkpoint, store
from torchwork.training.state import State
from torchwork.types import RunError


@pytest.fixture
def state():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return State(model, optimizer)


def saved(state, directory, epoch, value, *, position=0, keep_best=1, monitor="val_loss"):
    """Save as a run does whose epochs have ten steps."""
    progress = state.progress
    progress.index, progress.epoch, progress.position = 10 * epoch + position, epoch, position
    if not position:
        progress.monitored = value
        if progress.best is None or value < progress.best:
            progress.best, progress.best_epoch = value, epoch
    return checkpoint.save(state, directory, monitor=monitor, keep_best=keep_best)


def damage(place):
    with open(place / "model.safetensors", "r+b") as file:
        file.seek(-1, 2)
        byte = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([byte[0] ^ 1]))


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_the_last_and_the_best_are_kept(state, tmp_path):
    for epoch, value in enumerate([3.0, 1.0, 2.0, 1.0], 1):
        saved(state, tmp_path, epoch, value)
    assert names(tmp_path) == ["00000020-epoch-2", "00000040-epoch-4"]
    assert checkpoint.best(tmp_path).name == "00000020-epoch-2"
    assert checkpoint.latest(tmp_path).name == "00000040-epoch-4"


@pytest.mark.parametrize(("monitor", "kept"), [("val_loss", [2, 5, 6]), ("val_accuracy", [1, 3, 4, 6])])
def test_the_best_k_are_kept_whichever_way_is_better(monitor, kept, state, tmp_path):
    for epoch, value in enumerate([9.0, 1.0, 7.0, 2.0, 0.5, 1.5], 1):
        saved(state, tmp_path, epoch, value, keep_best=3, monitor=monitor)
    assert names(tmp_path) == [f"{epoch:07d}0-epoch-{epoch}" for epoch in kept]


def test_the_last_step_of_an_epoch_and_its_end_are_two_states(state, tmp_path):
    middle = saved(state, tmp_path, 1, None, position=10)
    state.progress.index = 20
    state.progress.epoch, state.progress.position, state.progress.monitored = 2, 0, 0.5
    state.progress.best, state.progress.best_epoch = 0.5, 2
    end = checkpoint.save(state, tmp_path)
    assert middle.name == "00000020"
    assert end.name == "00000020-epoch-2"
    assert checkpoint.latest(tmp_path) == checkpoint.best(tmp_path) == end
    assert names(tmp_path) == [end.name]


def test_an_epoch_that_was_judged_by_nan_is_never_the_best(state, tmp_path):
    saved(state, tmp_path, 1, 2.0)
    state.progress.monitored = math.nan
    state.progress.index, state.progress.epoch = 20, 2
    checkpoint.save(state, tmp_path)
    assert checkpoint.best_names(tmp_path, "val_loss", 5) == ["00000010-epoch-1"]


def test_a_damaged_checkpoint_is_written_anew_when_the_run_comes_by_again(state, tmp_path):
    first = saved(state, tmp_path, 1, 2.0)
    second = saved(state, tmp_path, 2, 3.0)
    damage(second)
    assert checkpoint.damaged(tmp_path) == [(second, "model.safetensors is not what was written")]
    assert checkpoint.latest(tmp_path) == first
    state.progress.best = 2.0
    assert saved(state, tmp_path, 2, 1.0) == second
    assert store.fault(second) is None
    assert checkpoint.best(tmp_path) == second


def test_a_run_whose_best_checkpoint_is_lost_begins_again_rather_than_end_with_other_weights(state, tmp_path):
    first = saved(state, tmp_path, 1, 2.0)
    second = saved(state, tmp_path, 2, 3.0)
    assert checkpoint.latest(tmp_path) == second
    damage(first)
    assert checkpoint.latest(tmp_path) is None


def test_leftovers_of_a_crash_are_no_checkpoints_and_go(state, tmp_path):
    leftover = tmp_path / ".00000020.0a1b2c3d.partial"
    leftover.mkdir()
    assert checkpoint.latest(tmp_path) is None
    place = saved(state, tmp_path, 3, 1.0)
    assert checkpoint.latest(tmp_path) == place
    assert not leftover.exists()


def test_older_checkpoints_stay_until_the_new_one_reads_back(state, tmp_path, monkeypatch):
    first = saved(state, tmp_path, 1, 1.0)
    whole = store.fault
    monkeypatch.setattr(store, "fault", lambda place: whole(place) or "the disk forgets")
    with pytest.raises(OSError, match="reads back differently: the disk forgets"):
        saved(state, tmp_path, 2, 0.5)
    monkeypatch.undo()
    assert first.is_dir()


def test_infinite_values_stay_numbers(state, tmp_path):
    place = saved(state, tmp_path, 1, math.inf)
    state.progress.best = state.progress.monitored = None
    checkpoint.load(place, state)
    assert state.progress.best == state.progress.monitored == math.inf


def test_another_format_is_refused_in_words_and_one_wrong_bit_is_damage(state, tmp_path, monkeypatch):
    place = saved(state, tmp_path, 1, 1.0)
    text = (place / store.MANIFEST).read_bytes()
    (place / store.MANIFEST).write_bytes(text.replace(b'"format": 2', b'"format": 3'))
    assert store.fault(place) == "manifest.json is not what was written"
    (place / store.MANIFEST).write_bytes(text.replace(b"ormat 2", b"ormat 3").replace(b'"format": 2', b'"format": 3'))
    with pytest.raises(RunError, match="has format 3; this version reads format 2: update torchwork"):
        checkpoint.latest(tmp_path)
    (place / store.MANIFEST).write_text('{"model.safetensors": {"size": 1, "sha256": ""}}')
    with pytest.raises(RunError, match=r"older version \(format 1\).*train anew"):
        checkpoint.latest(tmp_path)


def test_ties_memory_formats_and_complex_tensors_come_back(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.one = nn.Linear(4, 4, bias=False)
            self.other = nn.Linear(4, 4, bias=False)
            self.other.weight = self.one.weight
            self.phase = nn.Parameter(torch.tensor([1 + 2j]))
            self.register_buffer("steps", torch.tensor(3))
            self.register_buffer("masked", torch.tensor([-math.inf, 0.0]))

    def build(seed):
        torch.manual_seed(seed)
        model = Tied().to(memory_format=torch.channels_last)
        return State(model, torch.optim.Adagrad(p for p in model.parameters() if not p.is_complex()))

    one, other = build(0), build(1)
    (one.model.conv(torch.randn(1, 3, 5, 5).to(memory_format=torch.channels_last)).sum()).backward()
    one.optimizer.step()
    other.model.steps.zero_()
    checkpoint.load(saved(one, tmp_path, 1, 1.0), other)
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    )
    assert other.model.one.weight is other.model.other.weight
    weight = other.model.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert other.optimizer.state[weight]["sum"].stride() == weight.stride()
