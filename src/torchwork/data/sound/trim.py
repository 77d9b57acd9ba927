"""Silence at both ends of recordings."""

from __future__ import annotations

import torch
from torch import Tensor

# Loudness is measured over so long a block, in seconds.
BLOCK = 0.01


class TrimSilence:
    """Cut what is quiet off both ends of each recording.

    The recording is cut into blocks of 10 ms. A block is quiet where its power, the mean of its squared samples, is
    ``top_db`` decibels or more below that of the loudest block: ``10 log10(power / greatest power) <= -top_db``. From
    the first to the last block that is not quiet all is kept. A recording that is all zeros stays as it is.

    Args:
        top_db: How far below the loudest block silence begins, in decibels.

    >>> wave = torch.cat([torch.zeros(100), torch.ones(80), torch.zeros(50)])
    >>> TrimSilence()(wave, sample_rate=1000).shape
    torch.Size([80])
    """

    def __init__(self, top_db: float = 40.0) -> None:
        if not top_db > 0:
            raise ValueError(f"top_db is {top_db}; expected decibels above 0")
        self.top_db = top_db

    def __call__(self, samples: Tensor, sample_rate: int) -> Tensor:
        """Return [m], a part of the samples [n]."""
        length = max(1, round(BLOCK * sample_rate))
        count = -(-len(samples) // length)
        padded = torch.zeros(count * length, dtype=torch.float64)
        padded[: len(samples)] = samples
        power = padded.view(count, length).square().mean(1)
        if len(power) == 0 or float(power.max()) == 0:
            return samples
        loud = torch.nonzero(power > power.max() * 10 ** (-self.top_db / 10)).flatten()
        return samples[int(loud[0]) * length : (int(loud[-1]) + 1) * length]

    def __repr__(self) -> str:
        return f"TrimSilence(top_db={self.top_db:g})"
