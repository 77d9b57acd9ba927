"""What is to be said of images one by one: those that cannot be read, odd kinds, odd sizes, nothing to be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from torchwork.data.audit.pictures import Pictures
from torchwork.data.audit.records import Seen
from torchwork.data.audit.spread import far
from torchwork.data.wording import counted, named
from torchwork.types import Finding, Severity

_WHERE = "data.source"
_MOST = 0.9  # so many of one size are the rule, and the others odd

Name = Callable[[int], str]

# Which formats a name promises. Pillow calls the several images of one camera file MPO.
_PROMISED = {
    ".avif": ("AVIF",),
    ".bmp": ("BMP", "DIB"),
    ".dib": ("BMP", "DIB"),
    ".gif": ("GIF",),
    ".jfif": ("JPEG", "MPO"),
    ".jp2": ("JPEG2000",),
    ".jpe": ("JPEG", "MPO"),
    ".jpeg": ("JPEG", "MPO"),
    ".jpg": ("JPEG", "MPO"),
    ".pbm": ("PPM",),
    ".pgm": ("PPM",),
    ".png": ("PNG",),
    ".pnm": ("PPM",),
    ".ppm": ("PPM",),
    ".tga": ("TGA",),
    ".tif": ("TIFF",),
    ".tiff": ("TIFF",),
    ".webp": ("WEBP",),
}


def findings(found: Pictures, name: Name, paths: Sequence[Path] | None) -> list[Seen]:
    """Return what is to be said of each image for itself; those that cannot be read are told elsewhere."""
    seen = _constant(found, name) + _sizes(found, name)
    return seen if paths is None else _mislabelled(found, name, paths) + seen + _modes(found, name)


def _told(
    code: str, severity: Severity, places: np.ndarray, message: str, note: Callable[[int], str], name: Name, fix: str
) -> list[Seen]:
    if not len(places):
        return []
    notes = {place: note(place) for place in places.tolist()}
    said = named(f"{name(place)} ({text})" if text else name(place) for place, text in notes.items())
    finding = Finding(code, severity, _WHERE, f"{message}: {said}", fix)
    return [Seen(finding, tuple((place,) for place in notes), notes)]


def _mislabelled(found: Pictures, name: Name, paths: Sequence[Path]) -> list[Seen]:
    wrong = np.array(
        [
            place
            for place in found.readable.tolist()
            if found.formats[place] not in _PROMISED.get(paths[place].suffix.lower(), ())
        ],
        np.int64,
    )
    message = f"{counted(len(wrong), 'file holds', 'files hold')} another format than the name says"
    fix = "each is read by its content; rename them for programs that go by the name"
    return _told("mislabelled", "warning", wrong, message, lambda i: str(found.formats[i]), name, fix)


def _constant(found: Pictures, name: Name) -> list[Seen]:
    places = np.flatnonzero(found.constant)
    message = f"{counted(len(places), 'image has', 'images have')} one colour only"
    fix = "nothing is to be seen there; look what was lost"
    return _told("constant", "warning", places, message, lambda i: "", name, fix)


def _modes(found: Pictures, name: Name) -> list[Seen]:
    modes = Counter(found.modes[found.readable].tolist())
    usual, count = modes.most_common(1)[0] if modes else ("", 0)
    if count == len(found.readable):
        return []
    fix = "all are brought to one kind of pixels when they are read"
    if 2 * count < len(found.readable):
        told = ", ".join(f"{mode} {number}" for mode, number in modes.most_common())
        return [Seen(Finding("odd-modes", "info", _WHERE, f"the images are of several kinds of pixels: {told}", fix))]
    odd = found.readable[found.modes[found.readable] != usual]
    message = f"{counted(len(odd), 'image is', 'images are')} of other pixels than {usual}"
    return _told("odd-modes", "info", odd, message, lambda i: str(found.modes[i]), name, fix)


def _sizes(found: Pictures, name: Name) -> list[Seen]:
    """Find sizes that differ where nearly all are one; else areas and proportions that lie far from the others.

    Far is more than a factor of 4 from the median area, or 2 from the median proportions, and more than 5 robust
    standard deviations of their logarithms (``spread.far``).
    """
    places = found.readable
    sizes = found.sizes[places]
    if not len(places):
        return []
    each, count = np.unique(sizes, axis=0, return_counts=True)
    height, width = each[count.argmax()].tolist()
    if count.max() >= _MOST * len(places):
        odd = (sizes != (height, width)).any(1)
        message = f"of another size than {width}×{height}, which nearly all have"
    else:
        odd = far(sizes.prod(1), 4) | far(sizes[:, 1] / sizes[:, 0], 2)
        middle = np.median(sizes, 0).astype(int)
        message = f"of a size far from the others (median {middle[1]}×{middle[0]})"
    outlying = places[odd]
    whole = f"{counted(len(outlying), 'image is', 'images are')} {message}"
    fix = "Resize makes them alike; look whether they belong here"
    return _told(
        "outlying-size", "info", outlying, whole, lambda i: f"{found.sizes[i, 1]}×{found.sizes[i, 0]}", name, fix
    )
