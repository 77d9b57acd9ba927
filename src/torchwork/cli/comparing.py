"""Comparing runs: the page, and the same as short tables."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchwork.cli import layout

if TYPE_CHECKING:
    from torchwork.report.compare import Comparison

_WIDTH = 40  # characters of a value
_OF_THE_MOMENT = ("started", "command")  # differ between any two runs; the page shows them
_MOST = 10  # metrics on the terminal; the page has all


def compare_runs(runs: Sequence[Path], out: Path, as_json: bool) -> None:
    """Write the page that compares runs, and print what it says.

    Raises:
        InputError: fewer than two runs, one that is none, or the page cannot be written.
    """
    from torchwork.report import compare, names

    found = compare.write(runs, out)
    if as_json:
        print(json.dumps(_plain(found.plain()), indent=2, ensure_ascii=False, allow_nan=False))
        return
    labels = firsts = list(found.runs)
    several = any(len(group.runs) > 1 for group in found.groups)
    if several:
        _print_groups(found)
        labels = [group.name for group in found.groups]
        firsts = [group.runs[0] for group in found.groups]  # one of each tells in what they differ
    elif found.metrics:
        layout.title(f"figures on {found.split}, with 95% intervals")
        rows = [
            [names.metric(metric), *(f"{v.value} ({v.interval})" if v.interval else v.value for v in values)]
            for metric, values in found.metrics[:_MOST]
        ]
        layout.table(["", *labels], rows, right=labels)
    places = [list(found.runs).index(first) for first in firsts]
    for part, differing in found.differs.items():
        chosen = [(key, [values[place][:_WIDTH] for place in places]) for key, values in differing]
        shown = [[key, *own] for key, own in chosen if key not in _OF_THE_MOMENT and len(set(own)) > 1]
        if shown:
            layout.title(f"what differs in the {part}")
            layout.table(["", *labels], shown)
    said = []
    for pair in found.pairs:
        whose = f"{pair.first} and {pair.second}: " if len(found.pairs) > 1 else ""
        said += [text for text in (pair.sentence, *(f"{whose}{note}" for note in pair.notes)) if text]
    layout.title("is the difference real?")
    for text in [*said, *found.said_of_seeds, *found.notes]:
        print(text)
    print(f"\npage     {out}")


def _print_groups(found: Comparison) -> None:
    from torchwork.report import names
    from torchwork.report.figures import figure

    layout.title(f"{names.metric(found.main)} on {found.split}, over seeds and folds")
    rows = []
    for group in found.groups:
        one = len(group.runs) < 2
        span = "" if one else " to ".join(map(figure, group.interval))
        rows.append([group.name, group.count, figure(group.mean), "" if one else figure(group.deviation), span])
    numbers = ["mean", "standard deviation"]
    layout.table(["config of", "trained over", *numbers, "95% interval of the mean"], rows, right=numbers)


def _plain(value: Any) -> Any:
    """Return content without NaN and infinities, which JSON has not: null stands there."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
