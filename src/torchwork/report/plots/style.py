"""How every plot looks: colours that colour-blind people tell apart (Okabe and Ito, 2008), and sizes."""

from __future__ import annotations

import os
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

INK = "#1f2328"
MUTED = "#59636e"
FAINT = "#d1d9e0"
PAPER = "#ffffff"
WHITE = "#fffffe"  # on dark cells, in the page's dark mode too: there PAPER turns dark
BLUE = "#0072b2"
VERMILLION = "#d55e00"
GREEN = "#009e73"
ORANGE = "#e69f00"
SKY = "#56b4e9"
PURPLE = "#cc79a7"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
RAMP = "viridis"  # rises in lightness to every eye, on white and on black

WIDTH = 4.8  # inches: two stand side by side on a desktop, and the text is still readable on a phone
FONT_POINTS = 9.0

_WIDE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "Source Han Sans CN", "Noto Sans SC"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans GB"),
    *("Microsoft YaHei", "SimHei", "Arial Unicode MS", "Yu Gothic", "Malgun Gothic"),
)

_SETTINGS: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": FONT_POINTS,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": FONT_POINTS,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "figure.facecolor": PAPER,
    "font.family": ["DejaVu Sans"],
    "font.size": FONT_POINTS,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.fontsize": FONT_POINTS - 1,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": FONT_POINTS - 1,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": FONT_POINTS - 1,
}


@cache
def _wide_font() -> list[str]:
    """Return the first of the fonts for Chinese, Japanese and Korean that is installed; naming others would warn."""
    if os.environ.get("MPL_IGNORE_SYSTEM_FONTS"):  # as in commands, see `torchwork.caches`
        return []
    found = set(font_manager.fontManager.get_font_names())
    return [name for name in _WIDE_FONTS if name in found][:1]


@contextmanager
def applied(**settings: Any) -> Iterator[None]:
    """Draw and save in this style; the settings of the caller's matplotlib stand again afterwards.

    A character that the fonts used for measuring lack is no matter in an SVG: it holds text, which the reader's own
    fonts draw. In a PNG Chinese, Japanese and Korean characters need one of `_WIDE_FONTS` on this computer.
    """
    fonts = {"font.family": [*_SETTINGS["font.family"], *_wide_font()]}
    values: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_SETTINGS, **fonts, **settings}
    with matplotlib.rc_context(values), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        yield


def plain(texts: list[Text]) -> None:
    """Keep ``$`` in names from the data from being read as mathematics."""
    for text in texts:
        text.set_parse_math(False)


def nothing(why: Sequence[str]) -> Figure:
    """Return a figure without a plot that says why there is none."""
    lines = [line for said in why for line in textwrap.wrap(said, 62)]
    with applied():
        figure = Figure(figsize=(WIDTH, 0.5 + 0.17 * len(lines)))
        plain([figure.text(0.02, 0.5, "\n".join(lines), ha="left", va="center", color=MUTED)])
    return figure


def stacked(
    heights: Sequence[float],
    gaps: Sequence[float],
    *,
    left: float = 0.68,
    above: float = 0.3,
    below: float = 0.5,
    notes: Sequence[str] = (),
) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels of some heights, gaps between them, and notes below; all in inches.

    Laid out by hand: matplotlib's own layouts draw everything once more, which is most of a plot's time, and their
    solver's last digits are not the same each time.
    """
    lines = [line for said in notes for line in textwrap.wrap(said, 68)]
    below += 0.16 * len(lines) + 0.05 * bool(lines)
    total = above + sum(heights) + sum(gaps) + below
    figure, top, panels = Figure(figsize=(WIDTH, total)), total - above, []
    for height, gap in zip(heights, [*gaps, 0.0], strict=True):
        place = (left / WIDTH, (top - height) / total, (WIDTH - left - 0.1) / WIDTH, height / total)
        panels.append(figure.add_axes(place))
        top -= height + gap
    if lines:
        at = (0.08 / WIDTH, 0.05 / total)
        plain([figure.text(*at, "\n".join(lines), va="bottom", color=MUTED, fontsize=FONT_POINTS - 1)])
    return figure, panels


def logarithmic(axes: Axes) -> None:
    """Give the y axis a logarithmic scale with plain numbers at its ticks."""
    axes.set_yscale("log")
    decades = np.ptp(np.log10(axes.get_ylim()))
    size = axes.get_window_extent().height / matplotlib.rcParams["figure.dpi"]
    few = decades < 2 or 3 * decades < size / 0.17  # inches of a label
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def counted(axes: Axes) -> None:
    """Let the y axis tick at whole numbers only, few of them and with commas."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def whole_numbers(axes: Axes) -> None:
    """Let the x axis tick at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
