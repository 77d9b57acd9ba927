"""How a sequence is read: the probability of each symbol at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from torchwork.report.names import label
from torchwork.report.plots import style

MOST_SYMBOLS = 30


def ctc_alignment(
    probabilities: Any, symbols: Sequence[str], *, blank: int = 0, target: str = "", prediction: str = ""
) -> Figure:
    """Draw the probability of each symbol at each step, and the path of the likeliest ones.

    Args:
        probabilities: [T, K], the blank among them.
        symbols: The K symbols' names.
        blank: Its place.
        target: What the sequence is.
        prediction: What it was read as; without it what the path gives with repeats merged and blanks removed.

    Of more than 30 symbols the 30 are drawn that are likeliest at some step, in their order, and always the blank.

    >>> figure = ctc_alignment([[0.9, 0.1], [0.2, 0.8]], ["", "a"], target="a")
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [0.0, 1.0]
    """
    given = np.nan_to_num(np.asarray(probabilities, np.float64))
    if given.ndim != 2 or not given.size:
        return style.nothing(["There are no steps to draw an alignment of."])
    path = given.argmax(1)
    shown = np.arange(given.shape[1])
    if len(shown) > MOST_SYMBOLS:
        order = [blank, *(place for place in np.argsort(-given.max(0), kind="stable") if place != blank)]
        shown = np.sort(order[:MOST_SYMBOLS])
    names = ["(blank)" if place == blank else label(symbols[place], 12) for place in shown.tolist()]
    read = prediction or _read(path, blank, symbols)
    with style.applied():
        figure = Figure(figsize=(7.2, min(0.17 * len(shown), 5.0) + 1.2), layout="constrained")
        axes = figure.add_subplot()
        drawn = axes.imshow(
            given[:, shown].T, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="none", origin="upper"
        )
        rows = {place: row for row, place in enumerate(shown.tolist())}
        at = [float(rows.get(place, np.nan)) for place in path.tolist()]
        axes.plot(np.arange(len(path)), at, color=style.VERMILLION, linewidth=1.2, marker=".", markersize=4)
        axes.set_yticks(range(len(shown)), names, fontsize=7.5)
        axes.grid(visible=False)
        axes.set_xlabel("step")
        style.plain([*axes.get_yticklabels(), axes.set_title(_title(target, read))])
        figure.colorbar(drawn, ax=axes, label="probability", shrink=0.9)
    return figure


def _title(target: str, read: str) -> str:
    return f"true {label(target, 40) if target else '(nothing)'}, read as {label(read, 40) if read else '(nothing)'}"


def _read(path: np.ndarray, blank: int, symbols: Sequence[str]) -> str:
    kept = [
        place for step, place in enumerate(path.tolist()) if place != blank and (step == 0 or place != path[step - 1])
    ]
    return "".join(str(symbols[place]) for place in kept)
