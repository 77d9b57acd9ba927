"""A disk that fails at any operation costs the checkpoint that was being written, never one that was there."""

import errno
import functools
import os
import resource

import pytest
import torch
from torch import nn

from torchwork import durable
from torchwork.training import checkpoint, store
from torchwork.training.saving import Saver
from torchwork.training.state import State

CALLS = ("open", "write", "fsync", "replace", "close")


def state_of(epoch, state=None):
    if state is None:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        state = State(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with torch.no_grad():
        state.model.weight.fill_(float(epoch))
    progress = state.progress
    progress.index, progress.epoch, progress.monitored = epoch, epoch, -float(epoch)
    progress.best, progress.best_epoch = -float(epoch), epoch
    return state


class Failing:
    """The system calls of writing, of which the k-th fails, or writes less than it was given."""

    def __init__(self, monkeypatch, number, at):
        self.count, self.number, self.at = 0, number, at
        for name in CALLS:
            real = getattr(os, name)
            monkeypatch.setattr(durable.os, name, functools.partial(self, name, real))

    def __call__(self, name, real, *args, **more):
        self.count += 1
        if self.count - 1 != self.at:
            return real(*args, **more)
        if name == "write":
            real(args[0], args[1][: len(args[1]) // 2])  # a part of it is there before the fault
        if name == "close":
            real(*args)  # the descriptor is gone, whatever close says
        raise OSError(self.number, os.strerror(self.number))


FAULTS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EDQUOT, errno.EROFS)


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_a_fault_at_any_operation_leaves_the_checkpoint_before_it(number, tmp_path, counted):
    calls = number_of_calls(tmp_path / "count")
    for at in range(calls):
        folder = tmp_path / f"{at}"
        state = state_of(1)
        first = checkpoint.save(state, folder)
        with pytest.MonkeyPatch.context() as patch:
            failing = Failing(patch, number, at)
            error = failure(state_of(2, state), folder)
        assert failing.count > at, "the fault came to pass"
        assert error is None or error.errno in (number, errno.EIO)  # EIO: what was written does not read back
        newest = checkpoint.latest(folder)
        assert checkpoint.damaged(folder) == []
        fresh = state_of(9)
        checkpoint.load(newest, fresh)
        assert fresh.progress.index == (1 if newest == first else 2)
        assert error is not None or newest != first
        checkpoint.save(state_of(3, state), folder)  # and the next one goes through
        assert checkpoint.latest(folder).name == "00000003-epoch-3"
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    counted("ENOSPC, EIO, EACCES, EDQUOT, EROFS at every operation", calls)


def failure(state, folder):
    try:
        checkpoint.save(state, folder)
    except OSError as error:
        return error
    return None


def number_of_calls(folder):
    state = state_of(1)
    checkpoint.save(state, folder)
    with pytest.MonkeyPatch.context() as patch:
        counting = Failing(patch, 0, -1)
        checkpoint.save(state_of(2, state), folder)
    assert counting.count > 20
    return counting.count


def test_writes_of_a_few_bytes_at_a_time_write_the_same(tmp_path, monkeypatch, counted):
    write = os.write
    monkeypatch.setattr(durable.os, "write", lambda descriptor, content: write(descriptor, content[:7]))
    place = checkpoint.save(state_of(1), tmp_path)
    assert store.fault(place) is None
    counted("Short writes", 1)


def test_a_failed_sync_is_no_saved_checkpoint(tmp_path, monkeypatch, counted):
    def fails(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    state = state_of(1)
    first = checkpoint.save(state, tmp_path)
    monkeypatch.setattr(durable.os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        checkpoint.save(state_of(2, state), tmp_path)
    assert checkpoint.latest(tmp_path) == first
    counted("Failed fsync", 1)


def test_a_file_size_limit_of_the_system_is_a_full_disk_like_any_other(tmp_path, counted):
    """The system itself refuses to write on, in a process of its own."""
    tried = 0
    for limit in (0, 1, 100, 300, 900):
        folder = tmp_path / str(limit)
        checkpoint.save(state_of(1), folder)
        child = os.fork()
        if not child:
            code = 1
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
                said = []
                saver = Saver(folder, patience=2, told=said.append, pauses=(0.001,))
                saver.save(state_of(2))
                try:
                    saver.close()
                except RuntimeError as error:
                    code = 0 if "File too large" in str(error) and len(said) == 1 else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert checkpoint.latest(folder).name == "00000001-epoch-1"
        assert checkpoint.damaged(folder) == []
        tried += 1
    counted("A file-size limit of the system", tried)
