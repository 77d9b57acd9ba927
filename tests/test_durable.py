"""A file or directory is there whole or not at all, and a lock ends with its process."""

import multiprocessing
import os
import signal

import pytest

from torchwork import durable


def fails(*_):
    raise OSError(28, "No space left")


@pytest.mark.parametrize("operation", ["create_file", "sync", "rename"])
def test_a_failed_write_leaves_the_old_file(operation, tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    durable.write_file(path, "old")
    monkeypatch.setattr(durable, operation, fails)
    with pytest.raises(OSError, match="No space"):
        durable.write_file(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("operation", ["make_directory", "create_file", "sync", "rename"])
def test_a_directory_that_fails_half_way_is_not_there(operation, tmp_path, monkeypatch):
    monkeypatch.setattr(durable, operation, fails)
    with pytest.raises(OSError, match="No space"):
        durable.write_directory(tmp_path / "d", {"x": b"1"})
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_never_overwritten(tmp_path):
    durable.write_directory(tmp_path / "d", {"x": b"1"})
    with pytest.raises(FileExistsError):
        durable.write_directory(tmp_path / "d", {"x": b"2"})
    assert (tmp_path / "d" / "x").read_bytes() == b"1"


def test_leftovers_go_and_everything_else_stays(tmp_path):
    durable.write_directory(tmp_path / "d", {"x": b"1"})
    (tmp_path / ".d.0a1b2c3d.partial").mkdir()
    (tmp_path / ".d.0a1b2c3d.partial" / "x").write_bytes(b"")
    (tmp_path / ".a.0a1b2c3d.gone").write_bytes(b"")
    (tmp_path / ".keep").write_bytes(b"")
    durable.remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".keep", "d"]


def test_a_failed_sync_of_a_file_is_an_error_and_one_of_a_directory_that_cannot_be_synced_is_none(
    tmp_path, monkeypatch
):
    def refused(descriptor):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refused)
    durable.sync(tmp_path)
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError, match="Invalid"):
        durable.sync(tmp_path / "a")


def _hold(path, ready):
    with durable.lock(path):
        ready.set()
        signal.pause()


def test_a_lock_is_held_by_a_living_process_and_by_no_dead_one(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "lock", ready))
    holder.start()
    try:
        assert ready.wait(60)
        with pytest.raises(durable.LockedError, match=f"process {holder.pid}"), durable.lock(tmp_path / "lock"):
            pass
    finally:
        holder.kill()
        holder.join()
    with durable.lock(tmp_path / "lock"):
        pass
