"""`torchwork report`: where the page goes, what is said where it cannot go there, and opening it."""

from __future__ import annotations

import errno
import webbrowser

import pytest

from report.made_run import classification
from torchwork import durable


@pytest.fixture
def made(tmp_path):
    return classification(tmp_path / "run", ["cat", "dog"])


@pytest.fixture
def read_only(made, monkeypatch):
    """A run directory on a disk that can only be read."""
    write = durable.write_file

    def refused(path, content):
        if path.is_relative_to(made):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        write(path, content)

    monkeypatch.setattr(durable, "write_file", refused)
    return made


def test_a_run_that_cannot_be_written_to_is_told_with_the_way_out(torchwork, read_only):
    done = torchwork("report", read_only)
    assert done.code == 2
    assert "cannot be written: Read-only file system; choose a file in a folder that you can write to with --out" in (
        done.err
    )
    assert "Traceback" not in done.err


def test_the_page_of_a_read_only_run_goes_where_out_says(torchwork, read_only, tmp_path):
    done = torchwork("report", read_only, "--out", tmp_path / "page.html")
    assert (done.code, done.out) == (0, f"{tmp_path / 'page.html'}\n")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "could not be" not in page
    assert "Most frequent mistakes" in page
    assert not (read_only / "report.html").exists()
    assert not (read_only / "plots").exists()


@pytest.mark.parametrize("out", ["absent/page.html", "."])
def test_a_place_that_is_none_for_a_page_is_wrong_input(torchwork, made, out):
    done = torchwork("report", made, "--out", out)
    assert done.code == 2
    assert "cannot be written" in done.err


def test_open_shows_the_page_in_the_browser(torchwork, made, monkeypatch):
    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or True)
    done = torchwork("report", made, "--open")
    assert (done.code, done.out, done.err) == (0, f"{made / 'report.html'}\n", "")
    assert shown == [(made / "report.html").as_uri()]


@pytest.mark.parametrize("failure", [None, webbrowser.Error("none"), OSError("none")])
def test_without_a_browser_open_says_so_and_the_page_is_there(torchwork, made, monkeypatch, failure):
    def no_browser(address):
        if failure is not None:
            raise failure
        return False

    monkeypatch.setattr(webbrowser, "open", no_browser)
    done = torchwork("report", made, "--open")
    assert (done.code, done.out) == (0, f"{made / 'report.html'}\n")
    assert "no browser could be started here" in done.err


@pytest.mark.parametrize(
    "command",
    [("inspect", "data.csv", "--out", "taken"), ("preview", "c.yaml", "--out", "taken.png")],
    ids=lambda command: command[0],
)
def test_a_directory_where_a_file_goes_is_told_before_any_work(torchwork, tmp_path, command):
    (tmp_path / command[-1]).mkdir()
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    (tmp_path / "c.yaml").write_text("data: {source: Digits}\nmodel: LeNet\noptimizer: {name: Adam, lr: 0.01}\n")
    done = torchwork(*command)
    assert (done.code, list((tmp_path / command[-1]).iterdir())) == (2, [])
    assert done.err == (
        f"error: {command[-1]}: cannot be written: it is a directory; "
        "choose a file in a folder that you can write to with --out\n"
    )
