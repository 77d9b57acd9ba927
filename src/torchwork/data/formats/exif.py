"""The orientation that a camera notes, from EXIF or XMP."""

from __future__ import annotations

import re
import struct

import numpy as np

ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)

_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_WHOLE = {1: "B", 3: "H", 4: "I"}  # types of TIFF fields


def orientation(exif: bytes | None, xmp: bytes | None = None) -> int:
    """Return the orientation 1 to 8 that EXIF data hold, or else XMP; 1, upright, where neither does.

    Damaged EXIF data count as none: the pixels are not theirs.

    Args:
        exif: A TIFF header with a directory, with or without ``Exif`` and two zero bytes in front.
        xmp: A packet of XMP.

    >>> orientation(None, b'<x tiff:Orientation="6"/>')
    6
    """
    found = _of_exif(exif) if exif else None
    if found is None and xmp and (said := _XMP.search(xmp)):
        found = int(said[1])
    return found if found is not None and 1 <= found <= 8 else 1


def _of_exif(exif: bytes) -> int | None:
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _ = struct.unpack_from(f"{order}HHI", exif, at)
            if tag == ORIENTATION:
                return struct.unpack_from(order + _WHOLE[kind], exif, at + 8)[0]
    except (struct.error, KeyError):
        pass
    return None


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return [H, W, C] as it is to be shown."""
    if orientation in SIDEWAYS:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
