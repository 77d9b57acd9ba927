"""Numbers, times and lists as a page shows them, whatever a file holds in their place."""

from __future__ import annotations

import math
from typing import Any


def number(value: Any) -> float | None:
    """Return a finite number as it is, and None for everything else that a file may hold in its place.

    >>> number(0.5), number("NaN"), number(None), number(float("inf"))
    (0.5, None, None, None)
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def figure(value: Any) -> str:
    """Return a number for people: four significant digits, and a dash where there is none.

    What is less than 1 is never rounded to 1.

    >>> figure(0.98148), figure(None), figure(61706), figure("NaN"), figure(2441.2), figure(0.99996)
    ('0.9815', '–', '61,706', 'NaN', '2441', '0.99996')
    """
    if value is None or isinstance(value, str | bool):
        return "–" if value is None else str(value)
    if not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (math.isfinite(value) and abs(value) >= 10_000 and abs(value) < 1e12):
        return f"{round(value):,}"
    if not math.isfinite(value) or not value:
        return str(value)
    said = f"{value:#.4g}".removesuffix(".")
    return f"{value:.9g}" if said == "1.000" and value < 1 else said


def duration(seconds: float) -> str:
    """Return a time in the units that people use.

    >>> duration(4.24), duration(200), duration(7321), duration(0.012)
    ('4.2 s', '3 min 20 s', '2 h 2 min', '0.012 s')
    """
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def nbytes(count: float) -> str:
    """Return a size in the units that people use, in powers of 1000.

    >>> nbytes(247592), nbytes(12), nbytes(3.2e9)
    ('248 kB', '12 bytes', '3.2 GB')
    """
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.5 or unit == "TB":
            break
    return f"{count:.3g} {unit}"


def texts(value: Any) -> list[str]:
    """Return the items of a list as texts; none where it is no list."""
    return [str(item) for item in value] if isinstance(value, list | tuple) else []
