"""Progress: what is shown, and what a step may cost."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from torchwork.cli.plan import duration
from torchwork.progress import figures, pace
from torchwork.progress.bars import TerminalProgress
from torchwork.progress.choice import chosen
from torchwork.progress.lines import PlainProgress
from torchwork.progress.outlook import Outlook
from torchwork.training.state import Progress as Standing
from torchwork.types import Finding, Step

ROW = {"epoch": 1, "step": 20, "lr": 1e-3, "train_loss": 2.5, "val_loss": 2.25, "val_accuracy": 0.5, "seconds": 1.0}
HEAD = "epoch  train loss   val loss  val accuracy        lr      time  waiting"


class CountedLoss:
    """Stands for a tensor on a device: reading it is what costs."""

    def __init__(self) -> None:
        self.reads = 0

    def item(self) -> float:
        self.reads += 1
        return 0.5


def step(index: int, loss: CountedLoss, samples: int = 10) -> Step:
    return Step(index, loss, 1.0, None, 1e-3, samples)  # type: ignore[arg-type]


def outlook(epochs: int, steps: int, **standing: float | None) -> Outlook:
    return Outlook(epochs, steps, steps * 10, "val_loss", Standing(**standing))  # type: ignore[arg-type]


def terminal(width: int = 120) -> tuple[TerminalProgress, io.StringIO]:
    file = io.StringIO()
    return TerminalProgress(Console(file=file, force_terminal=True, width=width, highlight=False)), file


def test_nobody_shows_anything_in_a_script_unless_asked_to():
    assert chosen(None) is None
    assert chosen(False) is None


def test_a_terminal_has_bars_and_anything_else_lines(monkeypatch):
    assert isinstance(chosen(True), PlainProgress)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert isinstance(chosen(True), TerminalProgress)


def test_one_plain_line_an_epoch(capsys):
    shown = PlainProgress()
    loss = CountedLoss()
    shown.start(Path("runs/a/1"), outlook(2, 20))
    for index in range(20):
        shown.step(step(index + 1, loss), 1)
    shown.epoch(ROW)
    shown.message("hello")
    shown.finding(Finding("odd", "warning", "train.lr", "look"))
    shown.stop()
    assert capsys.readouterr().out.splitlines() == [
        "run runs/a/1: epochs 1 to 2, 20 steps each",
        "epoch 1/2  train_loss 2.5000  val_loss 2.2500  val_accuracy 0.5000  lr 0.001  1.0 s",
        "hello",
        "warning: train.lr: look",
    ]
    assert loss.reads == 0


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(pace, "monotonic", lambda: Clock.now)
    return Clock


def test_the_loss_is_read_at_most_five_times_a_second(clock):
    shown, file = terminal()
    loss = CountedLoss()
    shown.start(Path("runs/a/1"), outlook(2, 50))
    for index in range(100):
        clock.now += 0.02
        shown.step(step(index + 1, loss), 1 + index // 50)
    shown.epoch(ROW)
    shown.stop()
    assert 8 <= loss.reads <= 10
    text = file.getvalue()
    for part in ("run runs/a/1", "epoch 2", "loss 0.5000", "samples/s", "/100", "val accuracy"):
        assert part in text, part


def test_samples_are_counted_where_the_last_batch_is_short(clock):
    """Ten steps of 10 and one of 3 in a second are 103 samples, not 11 batches of 10."""
    shown, file = terminal()
    shown.start(Path("a"), outlook(1, 11))
    for index in range(10):
        shown.step(step(index + 1, CountedLoss()), 1)
    clock.now += 1.0
    shown.step(step(11, CountedLoss(), samples=3), 1)
    shown.stop()
    assert " 103 samples/s" in file.getvalue()


def test_the_time_of_an_evaluation_does_not_make_training_look_slow(clock):
    shown, file = terminal()
    shown.start(Path("a"), outlook(2, 1))
    shown.step(step(1, CountedLoss()), 1)
    clock.now += 100.0
    shown.epoch(ROW)
    clock.now += 1.0
    shown.step(step(2, CountedLoss()), 2)
    shown.stop()
    assert " 10 samples/s" in file.getvalue()


def test_the_share_of_waiting_and_the_monitored_figures_are_shown(clock):
    shown, file = terminal()
    standing = {"seconds": 4.0, "waited": 1.0, "monitored": 0.75, "best": 0.5, "best_epoch": 3, "epoch": 4}
    shown.start(Path("a"), outlook(9, 10, **standing))
    clock.now += 1
    shown.step(step(41, CountedLoss()), 5)
    shown.stop()
    text = file.getvalue()
    assert " 25% waiting" in text
    assert "val_loss 0.7500  best 0.5000 of epoch 3" in text


def test_a_resumed_run_counts_from_where_it_was(clock):
    shown, file = terminal()
    shown.start(Path("runs/a/1"), outlook(4, 50, epoch=2, index=100))
    clock.now += 1
    shown.step(step(101, CountedLoss()), 3)
    shown.stop()
    assert "101/200" in file.getvalue()
    assert " 1/50" in file.getvalue()


def lines_of(file: io.StringIO) -> list[str]:
    """What was printed above the bars, without styles."""
    from rich.ansi import AnsiDecoder

    plain = [text.plain.rstrip() for text in AnsiDecoder().decode(file.getvalue().replace("\x1b[?25l", ""))]
    return [line for line in plain if line and "/s" not in line]


def test_the_columns_of_the_epochs_keep_their_places_and_the_best_is_marked():
    file = io.StringIO()
    shown = TerminalProgress(Console(file=file, width=100))
    ahead = outlook(12, 5)
    shown.start(Path("a"), ahead)
    for epoch, loss in enumerate((2.0, 12345.678, 1.5e-7), 1):
        best = epoch != 2
        if best:
            ahead.standing.best, ahead.standing.best_epoch = loss, epoch
        shown.epoch({**ROW, "epoch": epoch, "val_loss": loss, "waited": 0.25})
    shown.stop()
    printed = file.getvalue().splitlines()
    assert printed[:5] == [
        "run a",
        HEAD,
        " 1/12      2.5000     2.0000        0.5000     0.001     1.0 s      25% *",
        " 2/12      2.5000  1.235e+04        0.5000     0.001     1.0 s      25%",
        " 3/12      2.5000    1.5e-07        0.5000     0.001     1.0 s      25% *",
    ]
    assert printed[-1] == "* the best so far; of all: epoch 3, by val_loss"


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 200])
def test_nothing_is_wider_than_the_terminal(clock, width):
    shown, file = terminal(width)
    ahead = outlook(100, 1000, monitored=0.5, best=0.5, best_epoch=1)
    shown.start(Path("a"), ahead)
    for index in range(3):
        clock.now += 1
        shown.step(step(index + 1, CountedLoss()), 1)
    shown.epoch({**ROW, **{f"val_metric_{i}": 0.5 for i in range(12)}})
    shown.stop()
    from rich.ansi import AnsiDecoder

    printed = [text.plain for text in AnsiDecoder().decode(file.getvalue())]
    assert max(len(line.rstrip()) for line in printed if not line.startswith("*")) <= width
    head = next(line for line in printed if line.split()[:1] == ["epoch"] and "/" not in line)
    assert "val loss" in head, "the monitored column stays"
    assert ("val metric 5" in head) == (width == 200)


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
    line = figures.epoch_line({"epoch": 1, "train_loss": value}, 1)
    assert line == f"epoch 1/1  train_loss {said}"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "1 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (90_000, "25 h 0 min")]
)
def test_durations_are_told_as_people_do(seconds, said):
    assert duration(seconds) == said
