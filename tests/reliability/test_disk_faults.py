"""A disk that fails at any operation costs the checkpoint that was being written, never one that was there."""

import ctypes
import errno
import functools
import os
import resource
import shutil
import signal
import traceback

import pytest
import torch
from torch import nn

from reliability.amount import FULL, parts
from torchwork import durable
from torchwork.training import checkpoint, store
from torchwork.training.saving import Saver
from torchwork.training.state import State

CALLS = ("open", "write", "fsync", "replace", "close", "mkdir", "unlink", "rmdir")


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


SHORT = None  # in place of an error: a write that writes a part


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
            written = real(args[0], args[1][: (len(args[1]) + 1) // 2])  # a part of it is there before the fault
            if self.number is SHORT:
                return written
        elif self.number is SHORT:
            return real(*args, **more)
        if name == "close":
            real(*args)  # the descriptor is gone, whatever close says
        raise OSError(self.number, os.strerror(self.number))


FAULTS = (errno.ENOSPC, errno.EIO, errno.EINTR, errno.EACCES, *((errno.EDQUOT, errno.EROFS) if FULL else ()))


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
    counted("ENOSPC, EIO, EINTR, EACCES, EDQUOT, EROFS at every operation", calls, every=True)


def test_a_short_write_at_any_operation_changes_nothing(tmp_path, counted):
    calls = number_of_calls(tmp_path / "count")
    for at in range(calls):
        state, folder = state_of(1), tmp_path / f"{at}"
        with pytest.MonkeyPatch.context() as patch:
            Failing(patch, SHORT, at)
            place = checkpoint.save(state, folder)
        assert store.fault(place) is None
        assert checkpoint.latest(folder) == place
    counted("Short writes at every operation", calls, every=True)


def test_signals_that_interrupt_system_calls_cost_nothing(tmp_path, scale, counted):
    """The system itself ends calls with EINTR: every 50 microseconds a signal comes, for which there is a handler."""
    came = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: came.append(number))
    signal.siginterrupt(signal.SIGALRM, True)
    try:
        state = state_of(1)
        for epoch in range(1, scale(5, 100)):
            signal.setitimer(signal.ITIMER_REAL, 5e-5, 5e-5)
            place = checkpoint.save(state_of(epoch, state), tmp_path)
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert store.fault(place) is None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert came
    counted("System calls that signals interrupt", len(came))


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
    counted("Short writes at every operation", 1, every=True)


def test_a_failed_sync_is_no_saved_checkpoint(tmp_path, monkeypatch, counted):
    def fails(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    state = state_of(1)
    first = checkpoint.save(state, tmp_path)
    monkeypatch.setattr(durable.os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        checkpoint.save(state_of(2, state), tmp_path)
    assert checkpoint.latest(tmp_path) == first
    counted("ENOSPC, EIO, EINTR, EACCES, EDQUOT, EROFS at every operation", 1, every=True)


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


CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000


def mounted(folder, kilobytes):
    """Mount a small file system for this process alone, in memory; return why there is none, where there is none."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWNS if os.geteuid() == 0 else CLONE_NEWUSER | CLONE_NEWNS):
        return f"no name space of its own: {os.strerror(ctypes.get_errno())}"
    library.mount(b"none", b"/", None, 0x4000 | 0x40000, None)  # nothing of it is seen outside
    if library.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=%dk" % kilobytes):
        return f"no file system: {os.strerror(ctypes.get_errno())}"
    return ""


@pytest.mark.parametrize("part", parts(10))
def test_a_file_system_that_is_full_keeps_the_checkpoints_that_it_holds(part, tmp_path, counted):
    """Checkpoints of some 30 KB in 4 KB pages, saved until the system refuses; then there is room again."""
    tried = 0
    for kilobytes in (52 + 4 * part, 60 + 4 * part):
        folder = tmp_path / str(kilobytes)
        folder.mkdir()
        said = tmp_path / f"{kilobytes}.txt"
        child = os.fork()
        if not child:
            code = 1
            try:
                reason = mounted(folder, kilobytes)
                said.write_text(reason or full(folder))
                code = 0 if said.read_text() == "held" else 3 if reason else 2
            except BaseException:
                said.write_text(traceback.format_exc())
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 3:
            pytest.skip(said.read_text())
        assert code == 0, said.read_text()
        tried += 1
    counted("A full file system", tried)


def full(folder):
    """Save until the file system is full, fill what is left, save again; return "held" where all is as it must be."""
    (folder / "filling").write_bytes(bytes(8 << 10))
    state, saved, told = state_of(1), 0, []
    try:
        for epoch in range(1, 100):
            checkpoint.save(state_of(epoch, state), folder / "c", keep_best=99)
            saved = epoch
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return f"another error: {error}"
    if not saved:
        return "there was no room for one"
    newest = checkpoint.latest(folder / "c")
    if newest.name != f"{saved:08d}-epoch-{saved}" or checkpoint.damaged(folder / "c"):
        return f"{newest} is the newest, not {saved}; damaged: {checkpoint.damaged(folder / 'c')}"
    saver = Saver(folder / "c", patience=2, told=told.append, pauses=(0.001,), keep_best=99)
    saver.save(state_of(saved + 1, state))
    try:
        saver.close()
        return "it was written though there is no room"
    except RuntimeError as error:
        if "No space left" not in str(error) or len(told) != 1:
            return f"it says {error} after {told}"
    for place in checkpoint.store.places(folder / "c")[1:]:  # room is made by whoever owns the disk
        shutil.rmtree(place)
    (folder / "filling").unlink()
    checkpoint.save(state_of(saved + 2, state), folder / "c", keep_best=99)
    found = checkpoint.latest(folder / "c")
    return "held" if found.name == f"{saved + 2:08d}-epoch-{saved + 2}" else f"{found} is the newest"
