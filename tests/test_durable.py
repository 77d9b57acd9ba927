"""A file or directory is there whole or not at all."""

import contextlib

import pytest

from torchwork import durable


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    durable.write_file(path, "old")
    monkeypatch.setattr(durable.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space"):
        durable.write_file(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_directory_that_fails_half_way_is_not_there(tmp_path):
    with contextlib.suppress(RuntimeError), durable.new_directory(tmp_path / "d") as partial:
        (partial / "x").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_never_overwritten(tmp_path):
    with durable.new_directory(tmp_path / "d") as partial:
        (partial / "x").write_text("1")
    with pytest.raises(FileExistsError), durable.new_directory(tmp_path / "d"):
        pass
    assert (tmp_path / "d" / "x").read_text() == "1"
