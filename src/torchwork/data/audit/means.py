"""The mean image of each class."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from torchwork.data.audit.pictures import Pictures
from torchwork.types import Source

_ALL = "all"
_MOST_SIDE = 64
_AT_A_TIME = 1024


def means(source: Source, found: Pictures, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return the mean image of each class, uint8 [H, W, 3 or 1], of those that can be read.

    Images in memory keep their size up to 64 pixels a side; of files the thumbnails of 16×16 are averaged.
    """
    names = np.full(len(found.sizes), _ALL, object) if labels is None else labels.astype(str).astype(object)
    inputs = getattr(source, "inputs", None)
    if isinstance(inputs, Tensor) and len(inputs) == len(names):
        return _of_tensor(inputs, names)
    readable = found.readable
    return {
        name: found.thumbs[readable[names[readable] == name]].mean(0).round().astype(np.uint8).transpose(1, 2, 0)
        for name in sorted(set(names[readable].tolist()))
    }


def _of_tensor(images: Tensor, names: np.ndarray) -> dict[str, np.ndarray]:
    """Average images uint8 [N, C, H, W] class by class, in pieces that take little memory."""
    found = {}
    for name in sorted(set(names.tolist())):
        places = torch.from_numpy(np.flatnonzero(names == name))
        total = torch.zeros(images.shape[1:], dtype=torch.float64)
        for some in places.split(_AT_A_TIME):
            total += images[some].sum(0, dtype=torch.int64)
        mean = (total / len(places))[None]
        longest = max(mean.shape[-2:])
        if longest > _MOST_SIDE:
            mean = F.interpolate(mean, scale_factor=_MOST_SIDE / longest, mode="bilinear", antialias=True)
        found[name] = mean[0].round().to(torch.uint8).permute(1, 2, 0).numpy()
    return found
