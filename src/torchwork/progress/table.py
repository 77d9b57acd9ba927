"""The table of epochs: a line an epoch, whose columns keep their places and fit into the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchwork.progress.figures import figure

_LEAST = {"lr": 8, "seconds": 8, "waited": 7}
_FIGURE = 9  # the room of a figure, as 1.235e-05
_TITLES = {"seconds": "time", "waited": "waiting"}
_MARK = "*"
_LAST = ("lr", "seconds", "waited")


@dataclass(frozen=True)
class Column:
    """A column of history.csv in the table, ``width`` characters wide."""

    name: str
    title: str
    width: int


def columns(row: dict[str, float], monitor: str, epochs: int, room: int) -> list[Column]:
    """Return the columns that fit into a room, the figures before the rate and the time.

    Where there is not room for all, the epoch, the losses and the monitored column stay longest, and other metrics
    go first, those of train and the last before the others.

    Args:
        row: The first epoch's.
        monitor: The column that decides which epoch is best.
        epochs: How many there will be.
        room: How many characters a line may have.

    >>> row = {"epoch": 1, "step": 9, "train_loss": 1.0, "val_loss": 1.0, "val_f1": 0.5, "seconds": 2.0}
    >>> [column.title for column in columns(row, "val_loss", 10, 80)]
    ['epoch', 'train loss', 'val loss', 'val f1', 'time']
    >>> [column.title for column in columns(row, "val_loss", 10, 36)]
    ['epoch', 'train loss', 'val loss']
    >>> [column.title for column in columns({**row, "train_f1": 0.5}, "val_f1", 10, 60)]
    ['epoch', 'train loss', 'val loss', 'val f1', 'time']
    """
    first = ["epoch", monitor, "train_loss", "val_loss", "seconds", "waited", "lr"]
    own = [name for name in row if name.startswith("train_")]  # of val there is more to know
    ordered = dict.fromkeys([*first, *(name for name in row if name not in own), *own])
    wanted = [name for name in ordered if name in row and name != "step"]
    kept: dict[str, Column] = {}
    used = len(_MARK) + 1
    for name in wanted:
        column = _column(name, epochs)
        used += column.width + (2 if kept else 0)
        if used > room and kept:
            break
        kept[name] = column
    order = [*(name for name in row if name not in _LAST), *_LAST]
    return [kept[name] for name in order if name in kept]


def _column(name: str, epochs: int) -> Column:
    title = _TITLES.get(name, name.replace("_", " "))
    least = 2 * len(str(epochs)) + 1 if name == "epoch" else _LEAST.get(name, _FIGURE)
    return Column(name, title, max(len(title), least))


def header(shown: Sequence[Column]) -> str:
    """Return the line of titles."""
    return "  ".join(column.title.rjust(column.width) for column in shown)


def line(row: dict[str, float], shown: Sequence[Column], epochs: int, *, best: bool) -> str:
    """Return the line of an epoch, with a star where it is the best so far.

    >>> shown = [Column("epoch", "epoch", 5), Column("val_loss", "val loss", 9), Column("waited", "waiting", 7)]
    >>> line({"epoch": 1, "val_loss": 0.25, "seconds": 2.0, "waited": 0.5}, shown, 10, best=True)
    ' 1/10     0.2500      25% *'
    """
    said = cells(row, shown, epochs)
    text = "  ".join(cell.rjust(column.width) for cell, column in zip(said, shown, strict=True))
    return f"{text} {_MARK}" if best else text


def cells(row: dict[str, float], shown: Sequence[Column], epochs: int) -> list[str]:
    """Return an epoch's figures as texts, one for each column."""
    return [_cell(row, column.name, epochs) for column in shown]


def _cell(row: dict[str, float], name: str, epochs: int) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if name == "epoch":
        return f"{int(value)}/{epochs}"
    if name == "seconds":
        return f"{value:.1f} s"
    if name == "waited":
        return f"{value / row['seconds']:.0%}" if row.get("seconds") else ""
    return f"{value:.3g}" if name == "lr" else figure(value)
