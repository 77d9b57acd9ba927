"""What whoever shows a run is told: what lies ahead when it starts, then every step, epoch and message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torchwork.types import Finding, Step

if TYPE_CHECKING:
    from torchwork.training import state


@dataclass(frozen=True)
class Outlook:
    """What lies ahead of a run whose training starts or goes on.

    ``steps_per_epoch`` counts updates, ``samples_per_epoch`` samples. ``monitor`` is the column of history.csv that
    decides which epoch is best. ``history`` holds the rows of the epochs that are done. ``standing`` is where the run
    stands, which the loop keeps up to date: whoever shows it only looks.
    """

    epochs: int
    steps_per_epoch: int
    samples_per_epoch: int
    monitor: str
    standing: state.Progress
    history: Sequence[dict[str, float]] = ()


class Progress(Protocol):
    """Who is told how a run goes on."""

    def start(self, run_directory: Path, outlook: Outlook) -> None: ...
    def step(self, step: Step, epoch: int) -> None: ...
    def epoch(self, row: dict[str, float]) -> None: ...
    def message(self, text: str) -> None: ...
    def finding(self, found: Finding) -> None: ...
    def stop(self) -> None: ...


def told(found: Finding) -> str:
    """Return a finding as a line of text.

    >>> told(Finding("odd", "warning", "train.lr", "is large", "try 0.1"))
    'warning: train.lr: is large; try 0.1'
    """
    return f"{found.severity}: {found}"


def waiting(standing: state.Progress) -> float:
    """Return the share of the running epoch's time in which training waited for data, from 0 to 1.

    >>> from torchwork.training import state
    >>> waiting(state.Progress(seconds=2.0, waited=0.5))
    0.25
    """
    return standing.waited / standing.seconds if standing.seconds else 0.0
