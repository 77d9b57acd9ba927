"""The learning rate over the steps of a run, before it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchwork.report.names import label
from torchwork.report.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 1000


def learning_rate(
    rates: Any, *, steps_per_epoch: int | None = None, names: Sequence[str] = (), note: str = ""
) -> Figure:
    """Draw the learning rate of every step, of each group of parameters where there are several.

    Args:
        rates: [S], or [S, G] of G groups; the first is that of step 1.
        steps_per_epoch: Marks where epochs begin, on a second axis above.
        names: What the G groups are called.
        note: What stands in the title besides.

    Rates that go over a factor of 30 get a logarithmic axis. Groups with the same rates share a line; of more than 6
    different ones the first 6 are drawn. Of long runs so many steps are drawn as can be told apart, the highest and the
    lowest rates among them.

    >>> learning_rate([0.1, 0.2, 0.1]).axes[0].lines[0].get_xydata().tolist()
    [[1.0, 0.1], [2.0, 0.2], [3.0, 0.1]]
    """
    values = np.asarray(rates, np.float64)
    values = values.reshape(len(values), -1) if values.size else values
    if not np.isfinite(values).any():
        return style.nothing(["There is no learning rate to draw."])
    groups: dict[bytes, list[int]] = {}
    for place in range(values.shape[1]):
        groups.setdefault(values[:, place].tobytes(), []).append(place)
    shown = list(groups.values())[: len(style.SERIES)]
    with style.applied():
        several = 0.2 * len(shown) * (len(shown) > 1)
        figure, (axes,) = style.stacked([1.6], [], above=0.75 if steps_per_epoch else 0.3, below=0.5 + several)
        for places, colour in zip(shown, style.SERIES, strict=False):
            steps = turning(values[:, places[0]])
            axes.plot(steps + 1, values[steps, places[0]], color=colour, label=_names(places, names), linewidth=1.5)
        finite = values[np.isfinite(values)]
        if finite.min() > 0 and finite.max() / finite.min() > 30:
            style.logarithmic(axes)
        else:
            axes.set_ylim(bottom=min(0.0, float(finite.min())), top=1.1 * max(float(finite.max()), 1e-12))
        said = ["learning rate", *([note] if note else [])]
        if len(groups) > len(shown):
            said.append(f"{len(groups) - len(shown)} more groups are not drawn")
        style.plain([axes.set_title("; ".join(said))])
        axes.set_xlabel("step")
        style.whole_numbers(axes)
        if len(shown) > 1:
            style.plain(figure.legend(loc="lower left", borderaxespad=0.2).get_texts())
        if steps_per_epoch and len(values) > steps_per_epoch:
            _mark_epochs(axes, steps_per_epoch)
    return figure


def turning(values: np.ndarray) -> np.ndarray:
    """Return the places of the points to draw: all of up to 1,000, else four of each stretch: ends and extremes.

    >>> turning(np.array([1.0, 2.0, 1.0])).tolist()
    [0, 1, 2]
    """
    if len(values) <= _POINTS:
        return np.arange(len(values))
    kept = []
    for stretch in np.array_split(np.arange(len(values)), _POINTS // 4):
        held = np.nan_to_num(values[stretch])
        kept += [stretch[0], stretch[held.argmin()], stretch[held.argmax()], stretch[-1]]
    return np.unique(kept)


def _names(places: Sequence[int], names: Sequence[str]) -> str:
    said = [label(names[place], 30) if place < len(names) else f"group {place}" for place in places]
    return ", ".join(said[:2]) + (f" and {len(said) - 2} more" if len(said) > 2 else "")


def _mark_epochs(axes: Any, steps_per_epoch: int) -> None:
    above = axes.secondary_xaxis(
        "top", functions=(lambda step: step / steps_per_epoch, lambda epoch: epoch * steps_per_epoch)
    )
    above.set_xlabel("epoch")
    style.whole_numbers(above)
