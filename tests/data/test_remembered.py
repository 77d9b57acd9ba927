"""What was found out about files is remembered as long as it is true, and forgetting costs time only."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from torchwork.caches import cache_folder
from torchwork.data import remembered as module
from torchwork.data.remembered import remembered


class Counting:
    """Reads a file's text and counts how often."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, path: Path) -> str:
        self.calls.append(path.name)
        return path.read_text()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.txt" for number in range(30)]
    for number, path in enumerate(paths):
        path.write_text(f"{number:03}")
        _age(path)
    return paths


def _age(path: Path, seconds: float = 100) -> None:
    then = time.time_ns() - int(seconds * 1e9)
    os.utime(path, ns=(then, then))


def test_a_file_is_computed_once_and_a_changed_one_again(files: list[Path]) -> None:
    first, second = Counting(), Counting()
    expected = [f"{number:03}" for number in range(30)]
    assert remembered("text-1", files, first) == expected
    assert sorted(first.calls) == sorted(path.name for path in files)
    files[3].write_text("new")  # as long as before: only the time tells
    _age(files[3], 50)
    os.utime(files[4], ns=(files[3].stat().st_mtime_ns,) * 2)
    files[5].write_text("longer")
    found = remembered("text-1", files, second)
    assert found == [*expected[:3], "new", "004", "longer", *expected[6:]]
    assert sorted(second.calls) == ["3.txt", "4.txt", "5.txt"]


def test_kinds_do_not_know_of_each_other(files: list[Path]) -> None:
    remembered("text-1", files, Counting())
    assert remembered("text-2", files[:1], lambda path: path.stat().st_size) == [3]


def test_a_file_of_this_very_moment_is_not_remembered(files: list[Path]) -> None:
    """A file system's clock may not tell two changes of one moment apart."""
    counting = Counting()
    for text in ("abc", "xyz"):
        files[0].write_text(text)
        os.utime(files[0], ns=(time.time_ns(),) * 2)
        assert remembered("text-1", files[:1], counting) == [text]
    assert len(counting.calls) == 2


def test_a_file_that_changes_while_it_is_read_is_not_remembered(files: list[Path]) -> None:
    def compute(path: Path) -> str:
        text = path.read_text()
        path.write_text("changed")
        _age(path, 10)
        return text

    assert remembered("text-1", files[:1], compute) == ["000"]
    assert remembered("text-1", files[:1], Counting()) == ["changed"]


def test_none_is_returned_and_not_kept(files: list[Path]) -> None:
    missing = files[0].with_name("none")
    assert remembered("text-1", [missing, files[0]], lambda path: None) == [None, None]
    assert remembered("text-1", files[:1], Counting()) == ["000"]


def test_what_comes_back_is_the_same_the_first_time_and_later(files: list[Path]) -> None:
    def compute(path: Path) -> object:
        return {"pair": (1, 2.5), "name": path.name, "nothing": None}

    first = remembered("things-1", files, compute)
    assert first[0] == {"pair": [1, 2.5], "name": "0.txt", "nothing": None}
    assert remembered("things-1", files, Counting()) == first


def test_names_are_absolute_twice_named_files_are_computed_once_and_names_may_be_no_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.txt"))
    path.write_text("x")
    _age(path)
    counting = Counting()
    assert remembered("text-1", [path, path], counting) == ["x", "x"]
    monkeypatch.chdir(tmp_path)
    assert remembered("text-1", [Path(path.name)], counting) == ["x"]
    assert len(counting.calls) == 1


def test_progress_is_told_of_every_path_up_to_their_number(files: list[Path]) -> None:
    told: list[int] = []
    remembered("text-1", files[:10], Counting())
    remembered("text-1", files, Counting(), told.append)
    assert told == [10, *range(11, 31)]


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
def test_a_damaged_memory_costs_time_only_and_is_made_anew(files: list[Path], damage: bytes | None) -> None:
    remembered("text-1", files, Counting())
    memory = cache_folder() / module.FILE
    content = memory.read_bytes()
    memory.write_bytes(damage or content[:100] + b"\xff" * (len(content) - 100))
    counting = Counting()
    for _ in range(3):
        assert remembered("text-1", files, counting) == [f"{number:03}" for number in range(30)]
    assert len(counting.calls) <= 60
    assert remembered("text-1", files, lambda path: "not asked")[0] == "000"


def test_a_value_that_is_no_json_is_computed_again(files: list[Path]) -> None:
    remembered("text-1", files, Counting())
    with sqlite3.connect(cache_folder() / module.FILE) as memory:
        memory.execute("UPDATE found SET value = '{'")
    memory.close()
    assert remembered("text-1", files[:1], Counting()) == ["000"]


def test_a_cache_folder_that_cannot_be_written_costs_time_only(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHWORK_CACHE", str(tmp_path / "file" / "below"))
    assert remembered("text-1", files[:2], Counting()) == ["000", "001"]


def test_a_memory_that_another_process_holds_costs_time_only(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered("text-1", files[:1], Counting())
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    holder = sqlite3.connect(cache_folder() / module.FILE)
    holder.execute("BEGIN EXCLUSIVE")
    assert remembered("text-1", files[:2], Counting()) == ["000", "001"]
    holder.close()
    assert remembered("text-1", files[:1], lambda path: "not asked") == ["000"]


def test_several_processes_write_at_once_and_nothing_is_lost(files: list[Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from torchwork.data.remembered import remembered\n"
        "paths = [Path(name) for name in sys.argv[2:]]\n"
        "for path in paths: assert remembered(sys.argv[1], [path], Path.read_text) == [path.read_text()]"
    )
    names = [str(path) for path in files]
    jobs = [subprocess.Popen([sys.executable, "-c", code, f"text-{kind}", *names]) for kind in (1, 1, 2)]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    for kind in (1, 2):
        assert remembered(f"text-{kind}", files, lambda path: "forgotten") == [f"{n:03}" for n in range(30)]


def test_an_interruption_loses_little(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 10)

    def compute(path: Path) -> str:
        if path.name == "25.txt":
            raise KeyboardInterrupt
        return path.read_text()

    with pytest.raises(KeyboardInterrupt):
        remembered("text-1", files, compute)
    counting = Counting()
    remembered("text-1", files, counting)
    assert sorted(counting.calls) == [f"{number}.txt" for number in range(20, 30)]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHWORK_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("TORCHWORK_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "torchwork"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home" / ".cache" / "torchwork"
