"""What a logger is told, and what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torchwork import rundir

Status = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class Job:
    """The run that is logged: its directory, its name, its config as a tree, and the steps that it has made already."""

    directory: Path
    name: str
    config: Mapping[str, Any]
    index: int = 0

    @property
    def title(self) -> str:
        """The run's name and number, as ``digits/3``; with a directory of its own, that directory's name."""
        number = self.directory.name
        return f"{self.name}/{number}" if number.isdecimal() else number or self.name

    def recall(self, name: str) -> dict[str, Any]:
        """Return what a logger wrote down about itself when the run was begun; nothing where it was not there."""
        path = self.directory / rundir.LOGS
        known = rundir.read_json(path) if path.is_file() else {}
        found: dict[str, Any] = known.get(name, {})
        return found

    def remember(self, name: str, content: Mapping[str, Any]) -> None:
        """Write down what a logger needs to go on in the same place after the run was stopped."""
        path = self.directory / rundir.LOGS
        known = rundir.read_json(path) if path.is_file() else {}
        rundir.write_json(path, {**known, name: content})


class Logger(Protocol):
    """Made as ``Logger(job, **options)``. Whatever it raises switches it off; the run goes on."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Take figures of a step; steps never go back."""
        ...

    def end(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take the final figures; the run directory holds everything by now, the report too."""
        ...

    def close(self, status: Status) -> str:
        """End, and return a sentence on where to look, or nothing."""
        ...


def flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    """Yield the leaves of a config as plain values under dotted names; a list is one leaf, as JSON.

    >>> dict(flat({"seed": 0, "data": {"shuffle": True, "transform": []}, "loss": None}))
    {'seed': 0, 'data.shuffle': True, 'data.transform': '[]', 'loss': 'null'}
    """
    for name, value in tree.items():
        place = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping) and value:
            yield from flat(value, place)
        else:
            yield place, value if isinstance(value, str | int | float | bool) else json.dumps(value, ensure_ascii=False)
