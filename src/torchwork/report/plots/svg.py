"""A figure as SVG text: the same bytes for the same figure, with its words kept as text."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The font that the layout was measured with, those of its widths, and then whatever the reader's system has.
_FONTS = "'DejaVu Sans', Verdana, 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"

# Colours of the page that follow its light or dark mode.
_VARIABLES = {
    style.INK: "var(--ink)",
    style.MUTED: "var(--muted)",
    style.FAINT: "var(--faint)",
    style.PAPER: "var(--paper)",
    style.BLUE: "var(--blue)",
    style.VERMILLION: "var(--vermillion)",
    style.GREEN: "var(--green)",
    style.ORANGE: "var(--orange)",
    style.SKY: "var(--sky)",
    style.PURPLE: "var(--purple)",
}


def text(figure: Figure, name: str) -> str:
    """Return a figure as a whole SVG document, without a date. ``name`` keeps its ids apart from other figures'.

    >>> from matplotlib.figure import Figure
    >>> text(Figure(figsize=(1, 1)), "empty") == text(Figure(figsize=(1, 1)), "empty")
    True
    """
    buffer = io.StringIO()
    with style.applied(**{"svg.hashsalt": f"torchwork-{name}"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _tidy(buffer.getvalue(), name)


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG, without a date."""
    buffer = io.BytesIO()
    with style.applied():
        figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return buffer.getvalue()


def inline(document: str, title: str) -> str:
    """Return an SVG document as an element for an HTML page, in the page's own colours.

    ``title`` is what a screen reader says; it is escaped here.
    """

    def coloured(tag: str) -> str:
        for colour, variable in _VARIABLES.items():
            tag = tag.replace(colour, variable)
        return tag

    element = _in_tags(document[document.index("<svg") :], coloured)
    return element.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)


def _in_tags(document: str, change: Callable[[str], str]) -> str:
    """Change the tags of a document and leave its text alone, which may hold anything that a name can hold."""
    return re.sub(r"<[^>]+>", lambda match: change(match[0]), document)


def _tidy(document: str, name: str) -> str:
    """Drop the ids that nothing refers to, and number the others behind the plot's name: a page holds several plots.

    matplotlib's own are hashes of coordinates, and its layouts do not give the same last digits each time.
    """
    used: dict[str, str] = {}

    def collected(tag: str) -> str:
        for own in re.findall(r'(?:url\(#|href="#)([^)"]+)', tag):
            used.setdefault(own, f"{name}-{len(used)}")
        return tag

    def renamed(tag: str) -> str:
        tag = re.sub(r' id="([^"]*)"', lambda m: f' id="{used[m[1]]}"' if m[1] in used else "", tag)
        tag = re.sub(r'(url\(#|href="#)([^)"]+)', lambda m: m[1] + used[m[2]], tag)
        return re.sub("'DejaVu Sans'(?:, '[^']*')?", _FONTS, tag)  # whatever fonts this computer has, the same

    return _in_tags(_in_tags(document, collected), renamed)
