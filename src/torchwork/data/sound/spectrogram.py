"""Log-mel spectrograms: what the ear hears of a recording, as an image of bands over time."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

MelScale = Literal["htk", "slaney"]

# A window of 25 ms, rounded up to a power of two, moved by 10 ms, as is usual for speech.
WINDOW, HOP = 0.025, 0.010
# Powers below this are taken for it, so that silence has a logarithm.
LEAST = 1e-10


def mel_of(frequency: np.ndarray, scale: MelScale = "htk") -> np.ndarray:
    """Return frequencies in Hz as mels.

    ``htk``: ``2595 log10(1 + f / 700)`` (O'Shaughnessy: "Speech communication", 1987; Young et al.: "The HTK book").
    ``slaney``: ``3 f / 200`` up to 1000 Hz, ``15 + 27 log(f / 1000) / log(6.4)`` from there on (Slaney: "Auditory
    Toolbox", 1998).

    >>> mel_of(np.array([0.0, 700.0])).round(2).tolist(), mel_of(np.array([1000.0, 6400.0]), "slaney").tolist()
    ([0.0, 781.17], [15.0, 42.0])
    """
    frequency = np.asarray(frequency, np.float64)
    if scale == "htk":
        return 2595 * np.log10(1 + frequency / 700)
    above = 15 + 27 * np.log(np.maximum(frequency, 1000) / 1000) / np.log(6.4)
    return np.where(frequency < 1000, frequency * 3 / 200, above)


def frequency_of(mel: np.ndarray, scale: MelScale = "htk") -> np.ndarray:
    """Return mels as frequencies in Hz: the inverse of `mel_of`."""
    mel = np.asarray(mel, np.float64)
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) * (np.maximum(mel, 15) - 15) / 27))


@lru_cache(maxsize=16)
def mel_filters(
    n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float, scale: MelScale = "htk"
) -> Tensor:
    """Return triangular filters, float64 [n_mels, n_fft / 2 + 1], each with the height 1.

    ``n_mels + 2`` frequencies lie at equal distances in mels from ``f_min`` to ``f_max``; filter m rises from the m-th
    to the next one and falls to the one after, linearly in Hz, as torchaudio's with ``norm=None``.

    Raises:
        ValueError: a filter is so narrow that it holds no frequency of the transform.

    >>> mel_filters(3, 16, 8000, 0.0, 4000.0).shape
    torch.Size([3, 9])
    """
    low, high = mel_of(np.array([f_min, f_max]), scale)
    edges = frequency_of(np.linspace(low, high, n_mels + 2), scale)
    frequencies = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    empty = int((filters.max(1) == 0).sum())
    if empty:
        raise ValueError(
            f"{empty} of {n_mels} bands hold no frequency; take fewer n_mels or a larger n_fft than {n_fft}"
        )
    return torch.from_numpy(filters)


class LogMelSpectrogram:
    """The power of recordings in bands of the mel scale, in decibels, over time: [1, n_mels, frames].

    ``X`` is ``torch.stft`` with a periodic Hann window of ``n_fft`` samples, centred, zeros beyond both ends; ``P``
    the mel filters times ``|X|²``; ``S = 10 log10(max(P, 1e-10))``, and what lies more than ``top_db`` below the
    recording's maximum is raised to that. With ``remove_band_means`` the mean of each band over the recording's frames
    is subtracted: what a voice, a microphone or a room adds to all frames alike is gone, and so is the loudness (of
    sounds that do not change over time, nearly everything). Then recordings with fewer frames are padded at the end,
    with 0 or, where the means stay, with the recording's least value; longer ones lose their end. Computed in float64,
    a recording at a time, and given as float32.

    Args:
        n_mels: Bands.
        n_fft: Samples of a window; null: the power of two from 25 ms.
        hop_length: Samples from one window to the next; null: 10 ms.
        f_min: Where the lowest band begins, in Hz.
        f_max: Where the highest band ends; null: half the sample rate.
        frames: The frames of every spectrogram; null: as many as leave 95% of the training recordings whole.
        top_db: The range from the loudest to the quietest, in decibels.
        remove_band_means: Subtract the mean of each band over the recording; false for sounds that stay as they are.
        mel_scale: htk or slaney; see ``mel_of``.

    >>> LogMelSpectrogram(n_mels=20, frames=50)(torch.ones(4000), sample_rate=8000).shape
    torch.Size([1, 20, 50])
    """

    def __init__(
        self,
        n_mels: int = 40,
        n_fft: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        frames: int | None = None,
        top_db: float = 80.0,
        remove_band_means: bool = True,
        mel_scale: MelScale = "htk",
    ) -> None:
        for name, value in (("n_mels", n_mels), ("hop_length", hop_length), ("frames", frames)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; expected a whole number from 1")
        if n_fft is not None and n_fft < 2:
            raise ValueError(f"n_fft is {n_fft}; expected a whole number from 2")
        if f_min < 0 or (f_max is not None and f_max <= f_min):
            raise ValueError(f"the bands go from f_min {f_min} to f_max {f_max}; expected 0 <= f_min < f_max")
        if not top_db > 0:
            raise ValueError(f"top_db is {top_db}; expected decibels above 0")
        self.n_mels, self.n_fft, self.hop_length = n_mels, n_fft, hop_length
        self.f_min, self.f_max = f_min, f_max
        self.frames = frames
        self.top_db = top_db
        self.remove_band_means = remove_band_means
        self.mel_scale: MelScale = mel_scale

    def __call__(self, samples: Tensor, sample_rate: int) -> Tensor:
        """Return float32 [1, n_mels, frames] of samples [n]; as many frames as there are, where ``frames`` is None.

        Raises:
            ValueError: the bands do not fit the rate.
        """
        bands = self._bands(samples, sample_rate)
        if self.frames is not None:
            least = 0.0 if self.remove_band_means else float(bands.min())
            bands = torch.nn.functional.pad(bands, [0, self.frames - bands.shape[1]], value=least)
        return bands.float()[None]

    def num_frames(self, length: int, sample_rate: int) -> int:
        """Return how many frames so many samples have before padding and cutting: ``1 + length // hop_length``."""
        return 1 + length // self._sizes(sample_rate)[1]

    def filters(self, sample_rate: int) -> Tensor:
        """Return the mel filters at a rate, float64 [n_mels, n_fft / 2 + 1].

        Raises:
            ValueError: the bands do not fit the rate.
        """
        top = sample_rate / 2 if self.f_max is None else self.f_max
        if top > sample_rate / 2 or self.f_min >= top:
            said = f"the bands go from {self.f_min:g} to {top:g} Hz"
            raise ValueError(f"{said}; at {sample_rate:,} samples a second there is up to {sample_rate / 2:g} Hz")
        return mel_filters(self.n_mels, self._sizes(sample_rate)[0], sample_rate, self.f_min, top, self.mel_scale)

    def _sizes(self, sample_rate: int) -> tuple[int, int]:
        n_fft = self.n_fft or 1 << max(1, int(np.ceil(np.log2(WINDOW * sample_rate))))
        return n_fft, self.hop_length or max(1, round(HOP * sample_rate))

    def _bands(self, samples: Tensor, sample_rate: int) -> Tensor:
        n_fft, hop = self._sizes(sample_rate)
        window = torch.hann_window(n_fft, dtype=torch.float64)
        spectrum = torch.stft(
            samples.double(), n_fft, hop, window=window, center=True, pad_mode="constant", return_complex=True
        )
        power = self.filters(sample_rate) @ torch.view_as_real(spectrum).square().sum(-1)
        bands = 10 * power.clamp(min=LEAST).log10()
        bands = bands.clamp(min=float(bands.max()) - self.top_db)
        return bands - bands.mean(1, keepdim=True) if self.remove_band_means else bands

    def __repr__(self) -> str:
        frames = "measured on train" if self.frames is None else self.frames
        means = ", band means removed" if self.remove_band_means else ""
        return f"LogMelSpectrogram(n_mels={self.n_mels}, frames={frames}, top_db={self.top_db:g}{means})"
