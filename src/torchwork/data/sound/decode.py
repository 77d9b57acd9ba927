"""From a sound file to one channel of float32 at a given rate, the same on every call.

WAV, FLAC and OGG (Vorbis, Opus) go through libsndfile (soundfile), which tells them apart by their content.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from torchwork.data.unreadable import UnreadableError

EXTENSIONS = frozenset({".wav", ".wave", ".flac", ".ogg", ".oga", ".opus"})

_UNKNOWN = 0x7FFFF000  # sizes from here on are written by programs that did not know the length when they began
_LAST_PAGE = 1 << 17  # two of Ogg's largest pages

# The most samples of a file, over all channels: a gigabyte as float32, nine hours of speech at 8 kHz.
MAX_SAMPLES = 1 << 28


@dataclass(frozen=True)
class Header:
    """What a file says of its sound: samples a second, channels, samples of each."""

    sample_rate: int
    channels: int
    length: int


def is_sound(path: Path) -> bool:
    """Tell by its extension whether a file is meant to be a sound.

    >>> is_sound(Path("a.WAV")), is_sound(Path("a.txt"))
    (True, False)
    """
    return path.suffix.lower() in EXTENSIONS


def header(path: Path) -> Header:
    """Return what a file says of its sound, or raise UnreadableError.

    WAV and OGG files that are cut off are told by their marks; other files, and WAV files of floats, which may be NaN,
    are decoded to see whether they can be.
    """
    with _opened(path) as file:
        found = Header(file.samplerate, file.channels, file.frames)
        floats = file.subtype in ("FLOAT", "DOUBLE")  # these may hold NaN
        marked = file.format in ("WAV", "WAVEX", "OGG") and not floats
    if not marked:
        _samples(path)
    elif found.length == 0:
        raise UnreadableError("it holds no samples", "empty")
    return found


def decode(path: Path, sample_rate: int) -> Tensor:
    """Read a sound file as float32 [n], one channel at a rate; whole numbers are scaled to -1 to 1.

    Channels are mixed down to their mean. Another rate is changed by `resample`.

    Raises:
        UnreadableError: with the reason.
    """
    channels, rate = _samples(path)
    mixed = channels[:, 0] if channels.shape[1] == 1 else channels.mean(1, dtype=np.float64).astype(np.float32)
    return torch.from_numpy(resample(np.ascontiguousarray(mixed), rate, sample_rate))


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Return samples [n] at another rate, [ceil(n · wanted / rate)].

    By ``scipy.signal.resample_poly``: up by ``wanted / g``, a low-pass of linear phase, down by ``rate / g``, where g
    is their greatest common divisor. The low-pass is a sinc cut at the lower of both Nyquist frequencies under a Kaiser
    window with beta 5, ``20 · max(up, down) + 1`` taps long; before and after the samples are zeros.

    >>> resample(np.ones(80, np.float32), 16000, 8000).shape
    (40,)
    """
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    divisor = gcd(rate, wanted)
    return resample_poly(samples, wanted // divisor, rate // divisor).astype(np.float32, copy=False)


def _samples(path: Path) -> tuple[np.ndarray, int]:
    """Return float32 [n, channels] and the rate."""
    with _opened(path) as file:
        expected, rate = file.frames, file.samplerate
        samples = file.read(dtype="float32", always_2d=True)
    if len(samples) < expected:
        said = f"it is cut off: {len(samples):,} of {expected:,} samples can be read"
        raise UnreadableError(said, "truncated")
    if len(samples) == 0:
        raise UnreadableError("it holds no samples", "empty")
    if not np.isfinite(samples).all():
        raise UnreadableError("it holds samples that are NaN or infinite", "not-finite")
    return samples, rate


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file with soundfile, and say what goes wrong with it in the reader's words."""
    _check_whole(path)
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            if file.frames * file.channels > MAX_SAMPLES:
                said = f"it claims {file.frames:,} samples in {file.channels} channels"
                raise UnreadableError(f"{said}, the limit is {MAX_SAMPLES:,} in all", "bomb")
            yield file
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        if "not recognised" in reason:
            raise UnreadableError("not a sound that can be recognised", "not-a-sound") from error
        raise UnreadableError(f"it cannot be decoded ({reason})") from error


def _check_whole(path: Path) -> None:
    """Refuse a file that is missing, empty, or cut off by its own marks; what it is not known to hold passes."""
    if not path.is_file():
        raise UnreadableError("is no file" if path.exists() else "is not there", "missing")
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                raise UnreadableError("the file is empty", "zero-byte")
            file.seek(0)
            start = file.read(12)
            if start[:4] == b"RIFF" and start[8:] == b"WAVE":
                missing = _missing_from_wav(file, size)
            else:
                missing = start[:4] == b"OggS" and _lacks_last_page(file, size)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    if missing:
        raise UnreadableError("the file is cut off: it ends before its sound does", "truncated")


def _missing_from_wav(file: BinaryIO, size: int) -> bool:
    """Tell whether the chunk of samples is longer than what is left of the file."""
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name == b"data":
            return length < _UNKNOWN and file.tell() + length > size
        file.seek(length + length % 2, os.SEEK_CUR)
    return True


def _lacks_last_page(file: BinaryIO, size: int) -> bool:
    """Tell whether the last page is not marked as the last of its stream, or not whole (RFC 3533)."""
    file.seek(max(0, size - _LAST_PAGE))
    tail = file.read()
    at = tail.rfind(b"OggS")
    page = tail[at:]
    if at < 0 or len(page) < 27 or not page[5] & 4:
        return True
    segments = page[27 : 27 + page[26]]
    return len(segments) < page[26] or len(page) < 27 + len(segments) + sum(segments)
