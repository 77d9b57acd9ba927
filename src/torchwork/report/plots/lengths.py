"""Whether long samples are harder: the error by length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_GROUPS = 12


def error_by_length(length: Any, error: Any, *, unit: str = "symbols") -> Figure:
    """Draw the mean error of the samples of each length, and how many samples there are.

    Args:
        length: How long each of N samples is.
        error: Of each sample: its character error rate, or 1 where it is wrong.
        unit: What is counted in a length.

    Of more than 12 different lengths, neighbouring ones are put together, so that the groups are about equally large.
    Samples whose error is not finite are left out, and the title says how many: those of length 0 apart, as there is
    nothing to divide by.

    >>> [float(bar.get_height()) for bar in error_by_length([3, 3, 5], [0.0, 1.0, 0.25]).axes[0].patches]
    [0.5, 0.25]
    """
    lengths, errors = np.asarray(length, np.float64).reshape(-1), np.asarray(error, np.float64).reshape(-1)
    finite = np.isfinite(lengths) & np.isfinite(errors)
    if not finite.any():
        return style.nothing(["There are no errors by length to draw: no sample has one."])
    groups = _groups(lengths[finite])
    with style.applied():
        figure, (above, below) = style.stacked([1.9, 0.9], [0.15], below=0.75)
        below.sharex(above)
        above.tick_params(labelbottom=False)
        held = [(lengths[finite] >= low) & (lengths[finite] <= high) for low, high in groups]
        places = np.arange(len(groups))
        above.bar(places, [errors[finite][each].mean() for each in held], color=style.VERMILLION, width=0.8)
        below.bar(places, [each.sum() for each in held], color=style.BLUE, width=0.8)
        names = [f"{low:g}" if low == high else f"{low:g}–{high:g}" for low, high in groups]
        above.set_xticks(places, names)
        below.tick_params(axis="x", labelrotation=45 if len(groups) > 6 else 0)
        above.set_title(_left_out(lengths[~finite], unit))
        above.set_ylabel("mean error")
        below.set_ylabel("samples")
        below.set_xlabel(f"length in {unit}")
        style.counted(below)
        for axes in (above, below):
            axes.grid(visible=False, axis="x")
    return figure


def _left_out(lengths: np.ndarray, unit: str) -> str:
    empty = int((lengths == 0).sum())
    others = len(lengths) - empty
    said = [f"{empty:,} {'sample' if empty == 1 else 'samples'} without {unit} left out"] if empty else []
    return ", ".join([*said, *([f"{others:,} left out: their error is not finite"] if others else [])])


def _groups(lengths: np.ndarray) -> list[tuple[float, float]]:
    different = np.unique(lengths)
    if len(different) <= _MOST_GROUPS:
        return [(float(value), float(value)) for value in different]
    levels = np.arange(1, _MOST_GROUPS + 1) / _MOST_GROUPS
    highs = np.unique(np.quantile(lengths, levels, method="inverted_cdf"))
    lows = [different[0], *(different[np.searchsorted(different, high, side="right")] for high in highs[:-1])]
    return [(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]
