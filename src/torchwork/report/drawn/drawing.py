"""A plot as it stands on the page, saved as a file beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torchwork import durable, rundir
from torchwork.report.facts import Facts
from torchwork.report.plots import svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDE_INCHES = 6.5


class Drawing(NamedTuple):
    """A plot on the page: its heading, what to see in it, the SVG element, and whether it needs the whole width."""

    title: str
    caption: str
    element: str
    wide: bool


def saved(facts: Facts, name: str, title: str, caption: str, figure: Figure) -> Drawing:
    """Save a figure as ``plots/<name>.svg`` of the run, and return it for the page."""
    document = svg.text(figure, name)
    folder = facts.directory / rundir.PLOTS
    folder.mkdir(exist_ok=True)
    durable.write_file(folder / f"{name}.svg", document)
    element = svg.inline(document, f"{title}. {caption}")
    return Drawing(title, caption, element, figure.get_figwidth() > _WIDE_INCHES)
