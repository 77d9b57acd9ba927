"""How findings say how many there are, and which."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, one: str, several: str) -> str:
    """Return a number with the words that go with it.

    >>> counted(1, "cell is", "cells are"), counted(3, "cell is", "cells are")
    ('1 cell is', '3 cells are')
    """
    return f"{number} {one if number == 1 else several}"


def named(things: Iterable[str], most: int = 10) -> str:
    """Return the first things and how many more there are.

    >>> named(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    things = list(things)
    return ", ".join(things[:most]) + (f" and {len(things) - most} more" if len(things) > most else "")
