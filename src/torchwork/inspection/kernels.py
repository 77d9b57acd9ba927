"""The weights of a model's convolutions, as they are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from torchwork.inspection.calls import is_convolution
from torchwork.inspection.guard import UnavailableError

MOST_LAYERS = 4
MOST_OUTPUTS, MOST_INPUTS = 64, 16


def convolutions(model: nn.Module) -> dict[str, nn.Module]:
    """Return the convolutions over two axes by their names, in the order of the model; shared ones once."""
    return {name or type(module).__name__: module for name, module in model.named_modules() if is_convolution(module)}


def kernels(model: nn.Module) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return the kernels of the first convolution, of the last, and of two in between.

    Convolutions of 1×1, which show nothing but a colour, are passed over where there are others.

    Returns:
        For each ``layer`` (name), ``type``, ``shape`` [O, I, h, w] and ``shown``, how many of O and I are kept, the
        first of each; and by the layer's name the weights float32, [O', I', h, w].

    Raises:
        UnavailableError: the model has no convolution over two axes.

    >>> rows, arrays = kernels(nn.Sequential(nn.Conv2d(3, 8, 5), nn.Conv2d(8, 100, 3)))
    >>> [row["shown"] for row in rows], arrays["0"].shape
    ([[8, 3], [64, 8]], (8, 3, 5, 5))
    """
    found = convolutions(model)
    if not found:
        raise UnavailableError("the model has no convolution over two axes")
    shaped = {name: module for name, module in found.items() if _weight(module)[0, 0].numel() > 1} or found
    names = list(shaped)
    chosen = [names[place] for place in spread(len(names), MOST_LAYERS)]
    rows, arrays = [], {}
    for name in chosen:
        weight = _weight(shaped[name])
        kept = weight[:MOST_OUTPUTS, :MOST_INPUTS]
        arrays[name] = kept.detach().float().cpu().numpy()
        shape = list(weight.shape)
        rows.append({"layer": name, "type": type(shaped[name]).__name__, "shape": shape, "shown": list(kept.shape[:2])})
    return rows, arrays


def spread(count: int, most: int) -> list[int]:
    """Return up to ``most`` places out of ``count``, evenly spread, with the first and the last.

    >>> spread(3, 4), spread(10, 4)
    ([0, 1, 2], [0, 3, 6, 9])
    """
    return list(range(count)) if count <= most else [round(place * (count - 1) / (most - 1)) for place in range(most)]


def _weight(module: nn.Module) -> torch.Tensor:
    return module.weight  # type: ignore[return-value]
