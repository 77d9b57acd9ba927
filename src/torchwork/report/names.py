"""Names from the data, as a plot and a table can show them. Any text may be a name."""

from __future__ import annotations

import re
import unicodedata

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
    said = " ".join(_WRITTEN.get(word, word) for word in base.split("_"))
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


def inches(text: str, points: float) -> float:
    """Return about how wide a text is, Chinese and other wide characters counted in full."""
    ems = sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.62 for c in text)
    return ems * points / 72
