"""Random masks and warps of spectrograms [B, C, bands, frames], keyed by sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.options import add, probability, refuse
from torchwork.types import Finding


class TimeMasking:
    """Mask some frames of each spectrogram, one after the other, in all bands.

    As torchaudio's, with a mask of its own for each sample: with u and v uniform in [0, 1), ``width = u · param``,
    where param is ``time_mask_param``, at most ``p`` times the number of frames; ``int(width)`` frames from
    ``int(v · (frames - width))`` on become ``mask_value``, so that no mask reaches the last frame. For several masks,
    name it several times.

    Source: Park et al.: "SpecAugment: a simple data augmentation method for automatic speech recognition", 2019.

    Args:
        time_mask_param: The width below which masks stay, in frames.
        p: The greatest share of the frames that may be masked.
        mask_value: What masked frames become; 0 is the mean where ``LogMelSpectrogram`` removes the band means.

    >>> TimeMasking(4)(torch.ones(2, 1, 3, 8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 1, 3, 8])
    """

    sounds = True

    def __init__(self, time_mask_param: int, p: float = 1.0, mask_value: float = 0.0) -> None:
        wrong: list[Finding] = []
        if time_mask_param < 1:
            add(wrong, "time_mask_param", time_mask_param, "a whole number from 1")
        probability(p, wrong)
        refuse(wrong)
        self.time_mask_param, self.p, self.mask_value = time_mask_param, p, mask_value

    def __call__(self, spectrograms: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, F, T], a new tensor; ``keys`` (uint64 [B]) decide the masks."""
        _check_floats(spectrograms, "TimeMasking")
        frames = spectrograms.shape[3]
        inside = drawn(keys, min(self.time_mask_param, int(frames * self.p)), frames)
        return spectrograms.masked_fill(inside.to(spectrograms.device)[:, None, None, :], self.mask_value)

    def __repr__(self) -> str:
        return f"TimeMasking({self.time_mask_param}, p={self.p:g}, mask_value={self.mask_value:g})"


class FrequencyMasking:
    """Mask some bands of each spectrogram, one above the other, in all frames.

    As torchaudio's, with a mask of its own for each sample; the widths and places are drawn as in ``TimeMasking``.

    Source: Park et al.: "SpecAugment: a simple data augmentation method for automatic speech recognition", 2019.

    Args:
        freq_mask_param: The width below which masks stay, in bands.
        mask_value: What masked bands become; 0 is the mean where ``LogMelSpectrogram`` removes the band means.

    >>> FrequencyMasking(2)(torch.ones(2, 1, 3, 8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 1, 3, 8])
    """

    sounds = True

    def __init__(self, freq_mask_param: int, mask_value: float = 0.0) -> None:
        wrong: list[Finding] = []
        if freq_mask_param < 1:
            add(wrong, "freq_mask_param", freq_mask_param, "a whole number from 1")
        refuse(wrong)
        self.freq_mask_param, self.mask_value = freq_mask_param, mask_value

    def __call__(self, spectrograms: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, F, T], a new tensor; ``keys`` (uint64 [B]) decide the masks."""
        _check_floats(spectrograms, "FrequencyMasking")
        inside = drawn(keys, self.freq_mask_param, spectrograms.shape[2])
        return spectrograms.masked_fill(inside.to(spectrograms.device)[:, None, :, None], self.mask_value)

    def __repr__(self) -> str:
        return f"FrequencyMasking({self.freq_mask_param}, mask_value={self.mask_value:g})"


def drawn(keys: np.ndarray, param: int, size: int) -> Tensor:
    """Return which places of an axis of this size each sample's mask covers, bool [B, size].

    >>> drawn(rng.keys(0, np.arange(3)), 2, 5).shape
    torch.Size([3, 5])
    """
    u, v = rng.uniform(keys, 2).T
    width = u * min(param, size)
    start = (v * (size - width)).astype(np.int64)
    stop = start + width.astype(np.int64)
    place = np.arange(size)
    return torch.from_numpy((place >= start[:, None]) & (place < stop[:, None]))


def _check_floats(spectrograms: Tensor, name: str) -> None:
    if not spectrograms.is_floating_point():
        raise ValueError(f"{name} is for spectrograms, which are floats; these samples are {spectrograms.dtype}")


def _check_warp(max_rate: float, max_shift: float) -> None:
    wrong: list[Finding] = []
    if not max_rate >= 1:
        add(wrong, "max_rate", max_rate, "1 or more")
    if not max_shift >= 0:
        add(wrong, "max_shift", max_shift, "0 or more")
    refuse(wrong)


class TimeWarp:
    """Speak faster or slower, sooner or later: stretch each spectrogram along time and shift it.

    Frame t of the result is the frame ``t · rate - shift`` of the sample, interpolated linearly between its neighbours;
    frames before the first and behind the last are 0. With u and v uniform in [0, 1), ``rate = max_rate ** (2 u - 1)``
    and ``shift = max_shift (2 v - 1)`` frames.

    Args:
        max_rate: The greatest rate; the least is ``1 / max_rate``.
        max_shift: The greatest shift to either side, in frames.

    >>> TimeWarp(1.2)(torch.ones(2, 1, 3, 8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 1, 3, 8])
    """

    sounds = True

    def __init__(self, max_rate: float = 1.25, max_shift: float = 0.0) -> None:
        _check_warp(max_rate, max_shift)
        self.max_rate, self.max_shift = max_rate, max_shift

    def __call__(self, spectrograms: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, F, T], a new tensor; ``keys`` (uint64 [B]) decide rates and shifts."""
        _check_floats(spectrograms, "TimeWarp")
        u, v = 2 * rng.uniform(keys, 2).T[..., None] - 1
        return interpolated(spectrograms, np.arange(spectrograms.shape[3]) * self.max_rate**u - self.max_shift * v)

    def __repr__(self) -> str:
        return f"TimeWarp(max_rate={self.max_rate:g}, max_shift={self.max_shift:g})"


class FrequencyWarp:
    """Speak with a longer or shorter vocal tract: stretch each spectrogram along frequency and shift it.

    Band m of the result is the band ``m · rate - shift`` of the sample, interpolated linearly between its neighbours;
    bands below the lowest and above the highest are those. With u and v uniform in [0, 1),
    ``rate = max_rate ** (2 u - 1)`` and ``shift = max_shift (2 v - 1)`` bands.

    Source: after Jaitly, Hinton: "Vocal tract length perturbation (VTLP) improves speech recognition", 2013, who scale
    frequencies in Hz, where this scales and shifts them in mels.

    Args:
        max_rate: The greatest rate; the least is ``1 / max_rate``.
        max_shift: The greatest shift to either side, in bands.

    >>> FrequencyWarp(1.1)(torch.ones(2, 1, 3, 8), rng.keys(0, np.arange(2))).shape
    torch.Size([2, 1, 3, 8])
    """

    sounds = True

    def __init__(self, max_rate: float = 1.1, max_shift: float = 0.0) -> None:
        _check_warp(max_rate, max_shift)
        self.max_rate, self.max_shift = max_rate, max_shift

    def __call__(self, spectrograms: Tensor, keys: np.ndarray) -> Tensor:
        """Return [B, C, F, T], a new tensor; ``keys`` (uint64 [B]) decide rates and shifts."""
        _check_floats(spectrograms, "FrequencyWarp")
        bands = spectrograms.shape[2]
        u, v = 2 * rng.uniform(keys, 2).T[..., None] - 1
        places = np.clip(np.arange(bands) * self.max_rate**u - self.max_shift * v, 0, bands - 1)
        return interpolated(spectrograms.transpose(2, 3), places).transpose(2, 3)

    def __repr__(self) -> str:
        return f"FrequencyWarp(max_rate={self.max_rate:g}, max_shift={self.max_shift:g})"


def interpolated(x: Tensor, places: np.ndarray) -> Tensor:
    """Return x [B, C, F, T] at places [B, T'] of its last axis, linear in between and 0 beyond both ends.

    >>> interpolated(torch.arange(4.0).view(1, 1, 1, 4), np.array([[0.5, 3.0, 3.5]])).flatten().tolist()
    [0.5, 3.0, 1.5]
    """
    below = np.floor(places)
    above = torch.from_numpy((places - below).astype(np.float32)).to(x)[:, None, None, :]
    size = x.shape[-1]
    first = torch.from_numpy(below).to(x.device, torch.int64)

    def at(place: Tensor) -> Tensor:
        inside = ((place >= 0) & (place < size))[:, None, None, :]
        index = place.clamp(0, size - 1)[:, None, None, :].expand(*x.shape[:3], -1)
        return x.gather(3, index) * inside

    return at(first) * (1 - above) + at(first + 1) * above
