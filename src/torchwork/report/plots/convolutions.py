"""The kernels of a convolution as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from torchwork.report.names import label
from torchwork.report.plots import style, tiles

MOST_PICTURES = 64
MOST_OUTPUTS, MOST_INPUTS = 24, 12
_COLUMNS = 16


def kernels(weight: Any, *, name: str = "", shape: tuple[int, ...] | None = None) -> Figure:
    """Draw the kernels of a convolution: grey is 0, and white and black are as far from it for all of them.

    Args:
        weight: [O, I, h, w], or [O, I, w] of a convolution along one axis, whose kernels are rows. With
            one or three inputs each of the O kernels is one picture, grey or in the colours of its red, green and blue
            weights; with another number there is a column for each output and a row for each input.
        name: The layer's.
        shape: The weight's whole shape, where ``weight`` is only the beginning of it.

    Up to 64 pictures, or 24 outputs by 12 inputs, are drawn, the first; the title says of how many. Weights that are
    not finite are drawn as 0.

    >>> kernels(np.ones((6, 1, 5, 5)), name="conv1").axes[0].get_title("left").split("\\n")
    ['conv1: 6 kernels of 5×5', 'grey is 0, black −1, white 1']
    """
    given = np.asarray(weight, np.float64)
    if given.ndim == 3:
        given = given[:, :, None]
        shape = (*shape[:2], 1, *shape[2:]) if shape else None
    if not given.size:
        return style.nothing(["There are no kernels to draw."])
    if given.ndim != 4:
        raise ValueError(
            f"weight has shape {given.shape}; expected [outputs, inputs, height, width] or [outputs, inputs, width]"
        )
    whole = tuple(shape or given.shape)
    as_pictures = whole[1] in (1, 3) and given.shape[1] == whole[1]
    kept = given[:MOST_PICTURES] if as_pictures else given[:MOST_OUTPUTS, :MOST_INPUTS]
    finite = np.where(np.isfinite(kept), kept, 0.0)
    scale = float(np.abs(finite).max(initial=0.0))
    grey = 0.5 + finite / (2 * scale) if scale else np.full(finite.shape, 0.5)
    if as_pictures:
        sheet = tiles.mosaic([kernel.transpose(1, 2, 0) for kernel in grey], _columns(len(grey)))
    else:
        sheet = tiles.mosaic([kernel for row in grey.transpose(1, 0, 2, 3) for kernel in row], len(grey))
    with style.applied():
        height = min(style.WIDTH * sheet.shape[0] / sheet.shape[1], 6.0)
        figure = Figure(figsize=(style.WIDTH, height + (0.55 if as_pictures else 0.7)), layout="constrained")
        axes = figure.add_subplot()
        tiles.show(axes, sheet)
        said = f"{label(name, 32)}: " if name else ""
        style.plain([axes.set_title(f"{said}{_count(kept.shape, whole, as_pictures)}\n{_scale(scale)}")])
    return figure


def _columns(count: int) -> int:
    return min(_COLUMNS, max(6, round((count * 2) ** 0.5)))


def _count(shown: tuple[int, ...], whole: tuple[int, ...], as_pictures: bool) -> str:
    outputs, inputs, height, width = whole
    some = f"{shown[0]} of {outputs}" if shown[0] < outputs else f"{outputs}"
    if as_pictures:
        return f"{some} kernels of {height}×{width}"
    others = f"{shown[1]} of {inputs}" if shown[1] < inputs else f"{inputs}"
    return f"kernels of {height}×{width}\n{some} outputs across, {others} inputs down"


def _scale(scale: float) -> str:
    return f"grey is 0, black −{scale:.3g}, white {scale:.3g}"
