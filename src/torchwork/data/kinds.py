"""What a column stands for, and which split a name means: known without pandas, which takes long to import."""

from __future__ import annotations

from typing import Literal

Kind = Literal["class", "number"]

# A column of whole floats (1.0, 2.0) with more values than this holds numbers, with fewer, classes.
MANY = 20

_PART_OF = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def part_of(name: str) -> str | None:
    """Return the split that a folder or cell names, or None.

    >>> part_of("Validation"), part_of("cats")
    ('val', None)
    """
    return _PART_OF.get(name.strip().lower())
