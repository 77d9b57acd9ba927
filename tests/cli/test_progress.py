"""Progress: what is shown, and what a step may cost."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from torchwork.cli import progress
from torchwork.cli.plan import duration
from torchwork.cli.progress import PlainProgress, TerminalProgress, make_progress
from torchwork.types import Step

ROW = {"epoch": 1, "step": 20, "lr": 1e-3, "train_loss": 2.5, "val_loss": 2.25, "val_accuracy": 0.5, "seconds": 1.0}


class CountedLoss:
    """Stands for a tensor on a device: reading it is what costs."""

    def __init__(self) -> None:
        self.reads = 0

    def item(self) -> float:
        self.reads += 1
        return 0.5


def step(index: int, loss: CountedLoss) -> Step:
    return Step(index, loss, 1.0, None, 1e-3)  # type: ignore[arg-type]


def test_quiet_shows_nothing():
    assert make_progress(quiet=True) is None


def test_a_terminal_has_bars_and_anything_else_lines(monkeypatch):
    assert isinstance(make_progress(quiet=False), PlainProgress)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert isinstance(make_progress(quiet=False), TerminalProgress)


def test_one_plain_line_an_epoch(capsys):
    shown = PlainProgress()
    loss = CountedLoss()
    shown.start(Path("runs/a/1"), 2, 20, 1)
    for index in range(20):
        shown.step(step(index + 1, loss), 1)
    shown.epoch(ROW)
    shown.message("warning: look")
    shown.stop()
    assert capsys.readouterr().out.splitlines() == [
        "run runs/a/1: epochs 1 to 2, 20 steps each",
        "epoch 1/2  train_loss 2.5000  val_loss 2.2500  val_accuracy 0.5000  lr 0.001  1.0 s",
        "warning: look",
    ]
    assert loss.reads == 0


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(progress, "monotonic", lambda: Clock.now)
    return Clock


def test_the_loss_is_read_at_most_every_tenth_of_a_second(clock):
    file = io.StringIO()
    shown = TerminalProgress(Console(file=file, force_terminal=True, width=120))
    loss = CountedLoss()
    shown.start(Path("runs/a/1"), 2, 50, 1)
    for index in range(100):
        clock.now += 0.01
        shown.step(step(index + 1, loss), 1 + index // 50)
    shown.epoch(ROW)
    shown.stop()
    assert 8 <= loss.reads <= 10
    text = file.getvalue()
    for part in ("run runs/a/1", "epoch 2", "loss 0.5000", "steps/s", "/100", "epoch 1/2  train_loss 2.5000"):
        assert part in text, part


def test_a_resumed_run_counts_from_where_it_was(clock):
    file = io.StringIO()
    shown = TerminalProgress(Console(file=file, force_terminal=True, width=120))
    shown.start(Path("runs/a/1"), 4, 50, 3)
    clock.now += 1
    shown.step(step(101, CountedLoss()), 3)
    shown.stop()
    assert "101/200" in file.getvalue()
    assert " 1/50" in file.getvalue()


def test_texts_are_printed_before_and_after_the_bars(capsys):
    shown = TerminalProgress()
    shown.message("[not markup]")
    shown.stop()
    assert capsys.readouterr().out == "[not markup]\n"


@pytest.mark.parametrize(
    ("value", "said"),
    [(float("nan"), "nan"), (1e-9, "1e-09"), (1e9, "1e+09"), (0.0, "0.0000"), (-2.5, "-2.5000")],
)
def test_figures_of_any_size_are_readable(value, said):
    line = progress.epoch_line({"epoch": 1, "train_loss": value}, 1)
    assert line == f"epoch 1/1  train_loss {said}"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "1 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (90_000, "25 h 0 min")]
)
def test_durations_are_told_as_people_do(seconds, said):
    assert duration(seconds) == said
