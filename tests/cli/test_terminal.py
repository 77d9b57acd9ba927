"""Training on a real pseudo-terminal: what a person sees."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import Any

import pytest

# Two runs on one terminal, which is wide at the first, and narrow and without colours at the second.
RUN = """
import contextlib, fcntl, os, struct, sys, termios
from torchwork import finishing, rundir
from torchwork.cli import main
finishing.finish = lambda parts, directory, *_: rundir.write_json(directory / rundir.METRICS, {})
for width, out in ((110, "wide"), (44, "narrow")):
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    with contextlib.suppress(SystemExit):
        main(["train", "c.yaml", "--out", out])
    print("-- end of", out, flush=True)
    os.environ["NO_COLOR"] = "1"
"""
CONFIG = """
data: {source: Digits, batch_size: 2}
model: {name: MLP, hidden: [8]}
optimizer: {name: SGD, lr: 1.0e-3}
train: {epochs: 3, monitor: val_accuracy}
"""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> list[str]:
    """All that a terminal got, of each of the two runs."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "c.yaml").write_text(CONFIG)
    mine, its = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "LINES")}
    settings = {**plain, "TERM": "xterm-256color"}
    ends: Any = {"stdin": its, "stdout": its, "stderr": its}
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=folder, env=settings, **ends) as running:
        os.close(its)
        parts = []
        while True:
            try:
                part = os.read(mine, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(mine)
    text = b"".join(parts).decode()
    assert running.returncode == 0, text
    return text.split("-- end of")


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in re.split(r"[\r\n]+", _CONTROL.sub("", text))]


@pytest.fixture
def wide(printed):
    return printed[0]


@pytest.fixture
def narrow(printed):
    return printed[1].partition("wide")[2]


def test_the_epochs_stand_in_a_table_whose_columns_keep_their_places(wide):
    lines = _lines(wide)
    head = next(line for line in lines if line.lstrip().startswith("epoch") and "train loss" in line)
    rows = [line for line in lines if re.match(r" *[123]/3 +\d", line)]
    assert [row.split()[0] for row in rows] == ["1/3", "2/3", "3/3"]
    assert head.split()[:5] == ["epoch", "train", "loss", "train", "accuracy"]
    assert "val accuracy" in head
    for title in ("train loss", "train accuracy", "val loss", "val accuracy", "lr", "time"):
        end = head.index(title) + len(title)
        assert all(row[end - 1] != " " and row[end : end + 1] in ("", " ") for row in rows), title
    assert rows[0].endswith("*"), "the first is the best so far"
    assert any(line.startswith("* the best so far; of all: epoch ") for line in lines)


def test_bars_tell_loss_speed_waiting_and_time_left(wide):
    lines = _lines(wide)
    epochs = [line for line in lines if re.match(r"epoch [123] ", line) and "samples/s" in line]
    assert epochs
    assert all(re.search(r"loss \d+\.\d+ +[\d,]+ samples/s +\d+% waiting", line) for line in epochs)
    runs = [line for line in lines if line.startswith("run ") and "val_accuracy" in line]
    assert runs
    assert re.search(r"/1,890 .*val_accuracy 0\.\d+ +best 0\.\d+ of epoch \d", runs[-1])
    assert any(re.search(r"\d+:\d\d$", line) for line in [*epochs, *runs]), ("time left", epochs, runs)


def test_the_bars_are_gone_at_the_end_and_the_cursor_is_back(wide):
    assert wide.rindex("\x1b[?25h") > wide.rindex("\x1b[?25l")
    assert wide.rindex("\x1b[2K") > wide.rindex("samples/s")


def test_a_narrow_terminal_is_never_overrun(narrow):
    table, _, _ = narrow.partition("* the best so far")
    assert max(map(len, _lines(table))) <= 44
    assert "val accuracy" in table, "the monitored column stays"
    assert "loss" in table


def test_without_colours_there_are_none(narrow, wide):
    coloured = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|38|9[0-7])(;[0-9;]*)?m")
    assert coloured.search(wide)
    assert not coloured.search(narrow)
