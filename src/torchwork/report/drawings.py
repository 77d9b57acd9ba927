"""All plots of one run, in the order of the page."""

from __future__ import annotations

from torchwork.report.drawn import predictions, training
from torchwork.report.drawn.drawing import Drawing
from torchwork.report.facts import Facts
from torchwork.types import Finding

KINDS = (training.drawings, predictions.drawings)


def draw(facts: Facts) -> tuple[list[Drawing], list[Finding]]:
    """Draw what the run holds. Where a plot fails, a finding says what is not there and why, and the others are drawn."""
    drawn: list[Drawing] = []
    failed = []
    for kind in KINDS:
        try:
            drawn.extend(kind(facts))
        except Exception as error:  # whatever a run holds, the page comes out
            about = (kind.__doc__ or kind.__name__).splitlines()[0].removeprefix("Yield ").rstrip(".")
            message = f"could not be drawn: {type(error).__name__}{f': {error}' if str(error) else ''}"
            failed.append(
                Finding("not-drawn", "warning", about, message, "the report lacks what was to follow of them")
            )
    return drawn, failed
