"""Whatever a crash leaves on the disk, the newest checkpoint that was said to be saved, or a newer one, is used."""

import shutil
from collections import defaultdict

import pytest
import torch
from torch import nn

from reliability import crash_states
from torchwork import durable
from torchwork.training import checkpoint, store
from torchwork.training.state import Progress, State


def fresh():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return State(model, optimizer)


def advance(state, index, value):
    """Go on to a state that differs from all others: five steps an epoch, of which the end is judged."""
    progress = state.progress
    progress.index, progress.epoch, progress.position = index, index // 5, index % 5
    if not progress.position:
        progress.monitored = value
        if progress.best is None or value < progress.best:
            progress.best, progress.best_epoch = value, progress.epoch
    with torch.no_grad():
        state.model.weight.fill_(float(index))


VALUES = {5: 3.0, 8: None, 10: 1.0, 15: 2.0, 17: None, 20: 0.5, 25: 0.75}  # by index: ends of epochs, and between


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What saving seven checkpoints does to the disk, and after how many operations each was said to be saved."""
    folder = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        done = crash_states.record(patch, folder)
        state, said = fresh(), []
        for index, value in VALUES.items():
            advance(state, index, value)
            checkpoint.save(state, folder)
            said.append((len(done), index))
    return done, said


def test_the_record_retells_what_is_on_the_disk(recorded, tmp_path):
    done, _ = recorded
    disk = crash_states.disk_after(done)
    assert sorted(disk.entries) == ["00000020-epoch-4", "00000025-epoch-5"]
    assert {operation.kind for operation in done} == set(crash_states.OPERATIONS)


def test_after_any_crash_the_last_checkpoint_that_was_saved_or_a_newer_one_is_used(recorded, tmp_path, scale, counted):
    done, said = recorded
    tried, state = 0, fresh()
    for count, found in crash_states.states(done, scale(2_000, 50_000), seed=1):
        folder = tmp_path / "disk"
        folder.mkdir()
        crash_states.put(found, folder)
        saved = max((index for at, index in said if at <= count), default=0)
        begun = next((index for at, index in said if at > count), saved)
        place = checkpoint.latest(folder)
        if place is None:
            assert saved == 0
        else:
            with torch.no_grad():  # what was loaded before is no help
                state.model.weight.fill_(-1.0)
            state.progress, state.optimizer.state = Progress(), defaultdict(dict)
            checkpoint.load(place, state)
            assert len(state.optimizer.state) == 2
            assert saved <= state.progress.index <= begun
            assert state.model.weight.unique().item() == state.progress.index
            best = state.progress.best_epoch
            assert best is None or checkpoint.of_epoch(folder, best) is not None
        if tried % 40 == 0:  # and the run goes on from there
            goes_on(place, folder)
        shutil.rmtree(folder)
        tried += 1
    assert tried == scale(2_000, 50_000)
    counted("Crash states of the write protocol", tried)


def goes_on(place, folder):
    durable.remove_leftovers(folder)
    state = fresh()
    if place is not None:
        checkpoint.load(place, state)
    for index, value in VALUES.items():
        if index > state.progress.index:
            advance(state, index, value)
            checkpoint.save(state, folder)
    assert [path.name for path in store.places(folder)] == ["00000025-epoch-5", "00000020-epoch-4"]
    assert checkpoint.damaged(folder) == []
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_after_any_crash_a_file_is_the_old_one_or_the_new_one(tmp_path, monkeypatch, scale, counted):
    folder = tmp_path / "recorded"
    folder.mkdir()
    done = crash_states.record(monkeypatch, folder)
    said = []
    for number in range(4):
        durable.write_file(folder / "history.csv", f"{number}" * 40)
        said.append(len(done))
    tried = 0
    for count, found in crash_states.states(done, scale(200, 2_000), seed=2):
        saved = sum(at <= count for at in said)
        texts = [b"%d" % number * 40 for number in (saved - 1, saved) if number >= 0]
        assert found.get("history.csv") in (texts if saved else [*texts, None])
        tried += 1
    assert tried > 100
    counted("Crash states of the write protocol", tried)
