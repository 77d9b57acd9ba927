"""The table of a run's figures: each split's, and of the last one the doubt, the baseline and what is not defined."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchwork import rundir
from torchwork.cli import layout
from torchwork.types import printable

_WIDEST_REASON = 100


def print_figures(run: Path, metrics: Mapping[str, Mapping[str, float | str]]) -> None:
    """Print the figures of each split, a column a split; those of a single class are left out.

    Beside those of the last split stand its 95% intervals and its baseline, where the run has them; below, which
    metrics are not defined on it, and why.
    """
    splits = list(metrics)
    if not splits:
        return
    last = splits[-1]
    names = [name for name in dict.fromkeys(n for figures in metrics.values() for n in figures) if "/" not in name]
    columns = {split: [said(metrics[split].get(name)) for name in names] for split in splits}
    of_last = {"95% interval": [_interval(_part(run, rundir.INTERVALS, last).get(name)) for name in names]}
    of_last["baseline"] = [said(_part(run, rundir.BASELINES, last).get(name)) for name in names]
    columns |= {title: cells for title, cells in of_last.items() if any(cells)}
    layout.title("figures")
    layout.table(["", *columns], zip(names, *columns.values(), strict=True), right=list(columns))
    _print_notes(run, last)


def said(value: Any) -> str:
    """Return a figure as a text of about seven characters; what is not there is empty.

    >>> said(0.98765), said(123456.7), said(0.0), said("NaN"), said(None)
    ('0.9877', '1.235e+05', '0.0000', 'NaN', '')
    """
    if value is None:
        return ""
    if not isinstance(value, int | float):  # NaN and infinities stand in JSON as texts
        return str(value)
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.4g}"


def _interval(found: Any) -> str:
    low, high = (found.get("low"), found.get("high")) if isinstance(found, Mapping) else (None, None)
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return ""
    return f"{said(low)}{'–' if low >= 0 else ' to '}{said(high)}"  # no dash before a minus


def _print_notes(run: Path, split: str) -> None:
    baseline = _read(run, rundir.BASELINES).get(split)
    notes = []
    if isinstance(baseline, Mapping) and baseline.get("name"):
        notes.append(f"baseline: {baseline['name']}")
    undefined = _read(run, rundir.UNDEFINED).get(split)
    by_reason: dict[str, list[str]] = {}
    for name, reason in undefined.items() if isinstance(undefined, Mapping) else ():
        if "/" not in name:
            by_reason.setdefault(str(reason), []).append(name)
    for reason, missing in by_reason.items():
        shown = reason if len(reason) <= _WIDEST_REASON else f"{reason[:_WIDEST_REASON]}…"
        notes.append(f"not defined on {split}: {', '.join(missing)}: {shown}")
    if notes:
        print("\n" + "\n".join(printable(note.replace("\n", " ")) for note in notes))


def _part(run: Path, name: str, split: str) -> Mapping[str, Any]:
    """Return what a file of a run says of each metric of a split; nothing where it says nothing."""
    found = _read(run, name).get(split)
    metrics = found.get("metrics") if isinstance(found, Mapping) else None
    return metrics if isinstance(metrics, Mapping) else {}


def _read(run: Path, name: str) -> Mapping[str, Any]:
    """Return a file of a run that not every run has."""
    try:
        found = rundir.read_json(run / name)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}
