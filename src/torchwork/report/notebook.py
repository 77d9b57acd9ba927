"""A run as a notebook shows it: what was done, the headline numbers, the curves and the main picture of the results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torchwork.report import summary
from torchwork.report.facts import Facts, read
from torchwork.report.html import marked, styles, template

if TYPE_CHECKING:
    from torchwork.report.drawn.drawing import Drawing


def element(directory: Path) -> str:
    """Return an HTML element about a run, finished or not, that stands among others of a page.

    It brings its own light colours along: a notebook's own light or dark mode cannot be asked for.

    Raises:
        InputError: there is no run at that path.
    """
    facts = read(directory)
    return template("notebook.html").render(
        css=styles("notebook.css"),
        facts=facts,
        name=str(facts.config.get("name") or facts.directory.name),
        sentences=summary.sentences(facts),
        headlines=summary.headlines(facts),
        headline_note=summary.headline_note(facts),
        plots=marked(_main_plots(facts)),
    )


def _main_plots(facts: Facts) -> Iterator[Drawing]:
    """Yield the first plot of the training and of the predictions; no other is drawn."""
    from torchwork.report import drawings

    for section in ("training", "predictions"):
        first = next(drawings.one_by_one(facts, section, []), None)
        if first is not None:
            yield first
