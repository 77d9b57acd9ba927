"""A plot as it stands on the page and in a file beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torchwork.report.facts import Facts
from torchwork.report.plots import svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDE_INCHES = 6.5


class Drawing(NamedTuple):
    """A plot on the page: its heading, what to see in it, the SVG element, and whether it needs the whole width.

    ``document`` is the same as an SVG file, to be written as ``plots/<name>.svg``.
    """

    title: str
    caption: str
    element: str
    wide: bool
    name: str
    document: str


def saved(facts: Facts, name: str, title: str, caption: str, figure: Figure) -> Drawing:
    """Return a figure for the page, to be saved as ``plots/<name>.svg`` of the run."""
    document = svg.text(figure, name)
    element = svg.inline(document, f"{title}. {caption}")
    return Drawing(title, caption, element, figure.get_figwidth() > _WIDE_INCHES, name, document)
