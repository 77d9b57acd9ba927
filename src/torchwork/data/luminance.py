"""Grey from colour, by one formula for the decoder and for the transform."""

from __future__ import annotations

import torch
from torch import Tensor


def luminance(images: Tensor) -> Tensor:
    """Return uint8 [..., 1, H, W] from uint8 [..., 3, H, W]: ITU-R 601-2 luma as Pillow computes it.

    L = (19595 R + 38470 G + 7471 B + 32768) / 65536, rounded down: 0.299 R + 0.587 G + 0.114 B, rounded.

    >>> luminance(torch.full((3, 1, 1), 200, dtype=torch.uint8)).item()
    200
    """
    red, green, blue = images.to(torch.int32).unbind(-3)
    level = red.mul_(19595).add_(green, alpha=38470).add_(blue, alpha=7471).add_(32768)
    return level.bitwise_right_shift_(16).to(torch.uint8).unsqueeze(-3)
