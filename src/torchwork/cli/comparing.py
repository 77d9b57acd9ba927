"""Comparing runs: the page, and the same as short tables."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchwork.cli import layout

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
    labels = list(found.runs)
    if found.metrics:
        layout.title(f"figures on {found.split}, with 95% intervals")
        rows = [
            [names.metric(metric), *(f"{v.value} ({v.interval})" if v.interval else v.value for v in values)]
            for metric, values in found.metrics[:_MOST]
        ]
        layout.table(["", *labels], rows, right=labels)
    for part, differing in found.differs.items():
        shown = [[key, *(value[:_WIDTH] for value in values)] for key, values in differing if key not in _OF_THE_MOMENT]
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


def _plain(value: Any) -> Any:
    """Return content without NaN and infinities, which JSON has not: null stands there."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
