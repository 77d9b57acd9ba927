"""Where in a signal a prediction comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from torchwork.report.names import label
from torchwork.report.plots import style, tiles
from torchwork.report.plots.saliency import without_peaks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CHANNELS = 4
_LINES, _STRIP, _HEAD, _FOOT = 0.75, 0.14, 0.24, 0.3  # inches
_LEFT, _RIGHT, _GAP = 0.8, 0.1, 0.08


def signal_maps(signals: Any, gradients: Any, cams: Any = (), *, labels: Sequence[str] = ()) -> Figure:
    """Draw signals one below the other, and below each its Grad-CAM and its input gradient as strips of heat.

    Args:
        signals: N samples [C, T]; up to 4 channels are drawn.
        gradients: For each the absolute gradient of the score by its steps, [T].
        cams: For each Grad-CAM, [t] of any length; none where the model has none.
        labels: What is written above each.

    Each strip goes up to its own greatest value, the gradient's up to its 99th percentile.

    >>> figure = signal_maps([np.zeros((1, 9))], [np.ones(9)], [np.ones(3)])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['', 'Grad-CAM', 'gradient']
    """
    if not len(signals):
        return style.nothing(["There are no samples to show maps of."])
    heats = [strips(gradient, cams[place] if len(cams) else None) for place, gradient in enumerate(gradients)]
    each = _HEAD + height(heats[0])
    with style.applied():
        figure = Figure(figsize=(style.WIDTH, each * len(heats) + 0.05))
        for place, (signal, heat) in enumerate(zip(signals, heats, strict=True)):
            text = labels[place].replace("\n", ", ") if place < len(labels) else ""
            panel(figure, np.asarray(signal), heat, figure.get_figheight() - place * each - _HEAD, text)
    return figure


def strips(gradient: Any, cam: Any = None) -> dict[str, np.ndarray]:
    """Return what is drawn below a signal, by name."""
    found = {} if cam is None else {"Grad-CAM": np.asarray(cam)}
    return found if gradient is None else {**found, "gradient": without_peaks(gradient)}


def height(heat: Mapping[str, np.ndarray]) -> float:
    """Return how many inches a signal with its strips takes."""
    return _LINES + _GAP + len(heat) * _STRIP + _FOOT


def panel(figure: Figure, signal: np.ndarray, heat: Mapping[str, np.ndarray], top: float, title: str = "") -> None:
    """Draw a signal [C, T] with strips of heat into a figure, from ``top`` inches downwards."""
    width, total = figure.get_size_inches()

    def axes(down: float, tall: float) -> Axes:
        box = (_LEFT / width, (top - down - tall) / total, (width - _LEFT - _RIGHT) / width, tall / total)
        return figure.add_axes(box)

    drawn, steps = axes(0.0, _LINES), signal.shape[1]
    for number, channel in enumerate(signal[:MOST_CHANNELS]):
        drawn.plot(np.arange(steps), channel, color=style.SERIES[number % len(style.SERIES)], linewidth=1)
    drawn.set_xlim(-0.5, steps - 0.5)
    drawn.tick_params(labelbottom=False)
    style.plain([drawn.set_title(label(title, 70))])
    for number, (name, values) in enumerate(heat.items()):
        strip = axes(_LINES + _GAP + number * _STRIP, _STRIP - 0.02)
        known = np.nan_to_num(np.asarray(values, np.float64), posinf=0.0)
        strip.imshow(known[None], cmap=tiles.HEAT, aspect="auto", vmin=0, extent=(-0.5, steps - 0.5, 0, 1))
        strip.set(yticks=[])
        strip.grid(visible=False)
        strip.tick_params(labelbottom=number == len(heat) - 1)
        strip.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
