"""Names from the data, as a plot and a table can show them. Any text may be a name."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

_WRITTEN = {
    **{word: word.upper() for word in ("auc", "crps", "lrap", "mae", "map", "rmse", "roc")},
    "f1": "F1",
    "r": "R",
    "r2": "R²",
    "brier": "Brier",
    "kendall": "Kendall",
    "poisson": "Poisson",
}


# marks, embeddings, overrides and isolates: one in a name turns around what stands beside it
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text whose characters that change the direction of writing are written out.

    >>> visible("cat \\u202e0.99")
    'cat \\\\u202e0.99'
    """
    return _TURNING.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def metric(name: object) -> str:
    """Return a metric's name as people write it.

    What follows a slash is a class's or a target's own name.

    >>> metric("roc_auc"), metric("f1_macro"), metric("map_at_r"), metric("f1/my_auc")
    ('ROC AUC', 'F1 macro', 'MAP at R', 'F1 of my_auc')
    """
    base, slash, own = str(name).partition("/")
    said = label(" ".join(_WRITTEN.get(word, word) for word in base.split("_")), 80)
    return f"{said} of {label(own, 40)}" if slash else said


def label(name: object, limit: int = 24) -> str:
    """Return a name from the data as one line that XML can hold, its middle left out where it is long.

    What changes the direction of writing is made `visible`.

    >>> label("a\\tb\\x00")
    'a b\ufffd'
    >>> label("a very long name indeed", 11)
    'a ver…ndeed'
    """
    text = str(name).encode("utf-8", "replace").decode()
    text = visible(" ".join(text.split()))
    text = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs", "Cn") else c for c in text)
    if len(text) <= limit:
        return text or "(empty)"
    kept = limit - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def labels(names: Iterable[Any], limit: int = 24) -> dict[Any, str]:
    """Return the `label` of each name; those that would look alike begin where they part, else end in a number.

    >>> list(labels(["one long name, kind 1, of many", "one long name, kind 2, of many", "cat"], 16).values())
    ['…nd 1, of many', '…nd 2, of many', 'cat']
    """
    whole = {name: label(name, 9 * len(str(name)) + 9) for name in names}  # none is longer, however it is written out
    shown = {name: label(name, limit) for name in whole}
    for alike in _alike(shown):
        first, last = min(whole[name] for name in alike), max(whole[name] for name in alike)
        same = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        shown |= {name: label(f"…{whole[name][max(0, same - 3) :]}", limit) for name in alike}
    for alike in _alike(shown):
        shown |= {name: f"{label(name, limit - 4)} #{number}" for number, name in enumerate(alike, 1)}
    return shown


def _alike(shown: dict[Any, str]) -> list[list[Any]]:
    groups = defaultdict(list)
    for name, text in shown.items():
        groups[text].append(name)
    return [names for names in groups.values() if len(names) > 1]


def fitting(line: str, room: float, points: float) -> str:
    """Return a line shortened in its middle until it has room, in inches."""
    limit = min(max(len(line), 2), 200)
    while inches(label(line, limit), points) > room and limit > 2:
        limit -= 1
    return label(line, limit)


def inches(text: str, points: float) -> float:
    """Return about how wide a text is, Chinese and other wide characters counted in full."""
    ems = sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.62 for c in text)
    return ems * points / 72
