"""What every sound of a data set is: how long, how loud, whether it was cut off at its loudest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from torchwork.data.audit.records import Seen
from torchwork.data.audit.spread import far
from torchwork.data.remembered import remembered
from torchwork.data.sound import decode
from torchwork.data.wording import counted, named
from torchwork.types import Finding, Severity, Source

_KIND = "sound-1"
_WHERE = "data.source"

# Below this share of full scale, -60 dB, nothing is heard.
_SILENT = 1e-3
# A wave that was cut off stays at its peak for some samples; by chance few do.
_RUN, _CLIPPED = 4, 1e-3
_LONG = 3  # times the median length, or that part of it


@dataclass(frozen=True)
class Sounds:
    """What was found of N sounds: seconds, peak (of full scale 1), and the share of samples in runs at the peak, all
    float64 [N]; one that cannot be read stands in ``faults`` and has zeros."""

    seconds: np.ndarray
    peaks: np.ndarray
    clipped: np.ndarray
    faults: dict[int, tuple[str, str]]


def sounds(source: Source, progress: Callable[[int], None] | None = None) -> Sounds:
    """Decode every sound of a source once. What is found of a file is remembered until the file changes."""
    paths = getattr(source, "paths", None)
    if paths is not None:
        found = remembered(_KIND, paths, measure, progress)
    else:
        found = []
        for index in range(len(source)):
            found.append(_measured(source, index))
            if progress is not None:
                progress(len(found))
    faults = {place: (one["code"], one["reason"]) for place, one in enumerate(found) if "code" in one}
    seconds, peaks, clip = (
        np.array([one.get(name, 0.0) for one in found], np.float64) for name in ("seconds", "peak", "clipped")
    )
    return Sounds(seconds, peaks, clip, faults)


def measure(path: Path) -> dict[str, Any]:
    """Decode a file at its own rate and return what it is, as JSON holds it."""
    try:
        rate = decode.header(path).sample_rate
        return _heard(decode.decode(path, rate).numpy(), rate)
    except decode.UnreadableError as error:
        return {"code": error.code, "reason": str(error)}


def _measured(source: Source, index: int) -> dict[str, Any]:
    try:
        samples = source.read(np.array([index]), epoch=0)[0][0]
    except Exception as error:  # a user's data set may raise anything
        return {"code": "unreadable", "reason": str(error) or type(error).__name__}
    return _heard(samples.numpy(), source.schema.sample_rate or 1)


def _heard(samples: np.ndarray, rate: int) -> dict[str, Any]:
    loud = np.abs(samples)
    peak = float(loud.max(initial=0.0))
    return {"seconds": len(samples) / rate, "peak": peak, "clipped": clipped(samples)}


def clipped(samples: np.ndarray) -> float:
    """Return the share of samples [n] that stand in runs of 4 or more at the largest or the smallest value.

    >>> wave = np.sin(np.arange(1000) / 10)
    >>> clipped(wave), round(clipped(wave.clip(-0.5, 0.5)), 1)
    (0.0, 0.7)
    """
    if not len(samples):
        return 0.0
    total = 0
    for edge in (samples.max(), samples.min()):
        ends = np.flatnonzero(np.diff(np.concatenate([[False], samples == edge, [False]])))
        runs = ends[1::2] - ends[::2]
        total += int(runs[runs >= _RUN].sum())
    return total / len(samples)


def findings(found: Sounds, name: Callable[[int], str]) -> list[Seen]:
    """Return what is to be said of each sound for itself; those that cannot be read are told elsewhere."""
    heard = found.seconds > 0
    silent = heard & (found.peaks < _SILENT)
    cut = heard & ~silent & (found.clipped >= _CLIPPED)
    length = np.zeros(len(heard), bool)
    length[heard] = far(found.seconds[heard], _LONG)
    median = float(np.median(found.seconds[heard])) if heard.any() else 0.0

    def told(code: str, places: np.ndarray, said: tuple[str, str], shown: Callable[[int], str], fix: str) -> list[Seen]:
        ids = np.flatnonzero(places).tolist()
        if not ids:
            return []
        notes = {place: shown(place) for place in ids}
        message = f"{counted(len(ids), *said)}: {named(f'{name(place)} ({note})' for place, note in notes.items())}"
        severity: Severity = "info" if code == "outlying-length" else "warning"
        return [Seen(Finding(code, severity, _WHERE, message, fix), tuple((place,) for place in ids), notes)]

    return [
        *told(
            "silent",
            silent,
            ("sound is silent", "sounds are silent"),
            lambda i: f"peak {found.peaks[i]:.2g}",
            "nothing is to be heard there; remove them",
        ),
        *told(
            "clipped",
            cut,
            ("sound is clipped", "sounds are clipped"),
            lambda i: f"{found.clipped[i]:.1%} of its samples",
            "they were recorded too loud: the wave stays at its peak",
        ),
        *told(
            "outlying-length",
            length,
            (f"sound is far from the usual length of {median:.2f} s", f"sounds are far from the usual {median:.2f} s"),
            lambda i: f"{found.seconds[i]:.2f} s",
            "look whether they hold what the others hold",
        ),
    ]
