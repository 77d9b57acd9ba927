"""All plots of one run, in the order of the page."""

from __future__ import annotations

from torchwork.report.drawn import predictions, training
from torchwork.report.drawn.drawing import Drawing
from torchwork.report.facts import Facts

KINDS = (training.drawings, predictions.drawings)


def draw(facts: Facts) -> list[Drawing]:
    """Draw what the run holds, save each plot below ``plots/``, and return them for the page."""
    return [drawing for kind in KINDS for drawing in kind(facts)]
