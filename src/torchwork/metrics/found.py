"""What was found of a split: its metrics, and why others are missing."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    """Metrics as flat numbers, none of them NaN or infinite, and the reasons of those that are not defined."""

    metrics: dict[str, float]
    undefined: dict[str, str]

    def __or__(self, other: Found) -> Found:
        return Found(self.metrics | other.metrics, self.undefined | other.undefined)


def without(names: tuple[str, ...], reason: str) -> Found:
    """Return what there is where metrics are missing for one reason.

    >>> without(("r2",), "the targets are all equal")
    Found(metrics={}, undefined={'r2': 'the targets are all equal'})
    """
    return Found({}, dict.fromkeys(names, reason))


def said(names: list[str]) -> str:
    """Return names as a text, at most five of them, long ones cut.

    >>> said(["a", "b"]), said(list("abcdefg")), said(["x" * 300])[:10]
    ('a, b', 'a, b, c, d, e and 2 more', 'xxxxxxxxxx')
    """
    shown = ", ".join(name if len(name) <= 60 else f"{name[:60]}…" for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
