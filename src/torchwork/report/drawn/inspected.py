"""What an inspection left in the run directory, read for drawing: a part, its arrays and its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torchwork import rundir
from torchwork.report.facts import Facts


def part(facts: Facts, name: str) -> Mapping[str, Any] | None:
    """Return a part of what was inspected; None where there is none, as a matter of course.

    Raises:
        RuntimeError: it was meant to be there and could not be computed.
    """
    found = facts.inspected.get(name)
    if found:
        return found
    reason = (facts.inspected.get("left_out") or {}).get(name) or {}
    if reason.get("failed"):
        raise RuntimeError(f"it could not be computed: {reason.get('reason')}")
    return None


def arrays(facts: Facts, found: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of a part.

    Raises:
        OSError, ValueError: their file is gone or damaged.
    """
    path = file(facts, found["file"])
    if path is None:
        raise FileNotFoundError(f"{found['file']} is not in the run directory")
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def file(facts: Facts, name: str | None) -> Path | None:
    """Return the path of a file of the run; None where it is gone, or leads out of the run."""
    return rundir.inside(facts.directory, str(name)) if name else None


def number(value: Any) -> float:
    """Return a number as ``inspected.json`` holds it, where NaN and infinities are texts.

    >>> number("NaN"), number(0.5), number(None)
    (nan, 0.5, nan)
    """
    return float("nan") if value is None else float(value)


def said(sample: Mapping[str, Any]) -> list[str]:
    """Return what came out for a sample, a line for the truth and one for the prediction.

    >>> said({"target": "9", "prediction": "8", "certainty": 0.98802})
    ['true: 9', 'predicted: 8 (99%)']
    """
    certainty = number(sample.get("certainty"))
    sure = f" ({certainty:.0%})" if np.isfinite(certainty) else ""
    true, predicted = (sample.get(name) or "(nothing)" for name in ("target", "prediction"))
    return [f"true: {true}", f"predicted: {predicted}{sure}"]
