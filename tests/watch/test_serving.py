"""The page beside a training: a process of its own that says its address once and ends with the training."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from torchwork.cli.watching import Watched, watched
from torchwork.types import Finding, Step
from torchwork.watch import serving
from torchwork.watch.serving import Page, page
from watch.made_live import finished, going_on


def ask(said: str, name: str) -> bytes:
    """Ask where somebody says that the page is."""
    port, path = re.fullmatch(r"watch http://127\.0\.0\.1:(\d+)(/.*/)", said).groups()
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    try:
        connection.request("GET", path + name)
        return connection.getresponse().read()
    finally:
        connection.close()


def state(said: str) -> dict:
    return json.loads(ask(said, "state"))


def until_it_is_gone(said: str) -> None:
    while True:
        state(said)


def test_the_page_says_its_address_once_and_turns_to_the_next_run(tmp_path):
    runs = [going_on(tmp_path / "fold-1"), finished(tmp_path / "fold 2\n猫")]
    with page() as shown:
        said = shown.show(runs[0])
        assert state(said)["phase"] == "training"
        assert shown.show(runs[1]) is None
        while state(said)["directory"] == str(runs[0]):
            pass
        assert (state(said)["directory"], state(said)["phase"]) == (str(runs[1]), "finished")
        ended = threading.Thread(target=shown.close)
        ended.start()
        while not state(said)["ending"]:
            pass
        ask(said, "bye")
        ended.join()
    with pytest.raises(OSError, match=r"refused|reset"):
        state(said)


def test_a_page_that_cannot_be_served_is_told_and_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "_CHILD", [sys.executable, "-c", "raise SystemExit(3)"])
    with page() as shown:
        assert shown.show(tmp_path) == "the page cannot be served; training goes on without it"
        assert shown.show(tmp_path) is None


def test_files_in_the_working_directory_do_not_stand_for_the_standard_library(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong one')")
    with page() as shown:
        assert shown.show(going_on(tmp_path / "run")).startswith("watch http://")


def test_a_page_of_a_training_that_was_killed_ends_as_well(tmp_path):
    directory = going_on(tmp_path / "run")
    code = (
        "import time; from pathlib import Path; from torchwork.watch.serving import Page\n"
        f"print(Page().show(Path({str(directory)!r})), flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as training:
        said = training.stdout.readline().strip()
        training.send_signal(signal.SIGKILL)
        training.wait()
        with pytest.raises((OSError, http.client.HTTPException)):  # refused, reset, or an answer cut short
            until_it_is_gone(said)


class Noting:
    """Whoever shows a run, who notes what it is told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *arguments: self.told.append((name, *arguments))


def test_whoever_shows_the_run_is_told_everything_and_the_address_stands_on_standard_error_once(capsys, monkeypatch):
    monkeypatch.setattr(Page, "show", lambda self, directory: "watch ADDRESS" if directory.name == "1" else None)
    noting = Noting()
    step, finding = Step(1, None, 1.0, None, 0.1), Finding("a", "warning", "b", "c")
    for progress in (noting, None):
        with watched(progress, wanted=True) as told:
            assert isinstance(told, Watched)
            told.start(Path("1"), "outlook")
            told.finding(finding)
            told.step(step, 1)
            told.epoch({"epoch": 1})
            told.message("text")
            told.stop()
            told.start(Path("2"), "outlook")
    assert noting.told == [
        ("start", Path("1"), "outlook"),
        ("finding", finding),
        ("step", step, 1),
        ("epoch", {"epoch": 1}),
        ("message", "text"),
        ("stop",),
        ("start", Path("2"), "outlook"),
    ]
    assert capsys.readouterr() == ("", "watch ADDRESS\n" * 2)
    with watched(noting, wanted=False) as told:
        assert told is noting
