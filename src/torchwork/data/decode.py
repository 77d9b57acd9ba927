"""From an image file to a uint8 tensor, the same on every call; what a file is, its content says, not its name.

JPEG goes through libjpeg-turbo (simplejpeg; the accurate inverse transform and smooth upsampling, as Pillow does),
every other format through Pillow, from the parts that hold pixels alone. The EXIF orientation is applied. Of a file
with several images the first is read. What claims more than ``unreadable.MAX_PIXELS`` pixels is refused from its
header, before memory is taken.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from torchwork.data.formats import exif, jpeg, others, png
from torchwork.data.luminance import luminance
from torchwork.data.unreadable import MAX_BYTES, UnreadableError, check_size

__all__ = ["EXTENSIONS", "Background", "Header", "Mode", "UnreadableError", "colour", "decode", "header", "is_image"]

Mode = Literal["RGB", "L", "RGBA"]
Background = Literal["white", "black"] | Sequence[int]

_KINDS = "avif bmp dib gif jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm tga tif tiff webp"
EXTENSIONS = frozenset(f".{kind}" for kind in _KINDS.split())

_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0)}
# What is read of a JPEG or PNG to know its size. The segments before a JPEG's pixels seldom take more.
_HEAD = 1 << 16
_TAIL = 4096
# What may stand behind the end mark of a file that was not cut off.
_PADDING = b"\0\r\n \xff"
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)


def is_image(path: Path) -> bool:
    """Tell by its extension whether a file is meant to be an image.

    >>> is_image(Path("a.JPG")), is_image(Path("a.txt"))
    (True, False)
    """
    return path.suffix.lower() in EXTENSIONS


@dataclass(frozen=True)
class Header:
    """What a file says of its image.

    Attributes:
        height: In pixels, as it is shown.
        width: In pixels, as it is shown.
        format: What the content is, whatever the name: ``JPEG``, ``PNG``, ``GIF`` and so on.
        mode: The kind of pixels as Pillow calls it: ``RGB``, ``L``, ``P``, ``CMYK``, ``I;16``; ``RGB;16``: 16 bits.
    """

    height: int
    width: int
    format: str = ""
    mode: str = ""


def colour(background: Background) -> tuple[int, int, int]:
    """Return a background as levels of red, green and blue.

    Raises:
        ValueError: it is neither white nor black nor three levels from 0 to 255.

    >>> colour("white"), colour([0, 128, 255])
    ((255, 255, 255), (0, 128, 255))
    """
    if isinstance(background, str) and background in _COLOURS:
        return _COLOURS[background]
    if isinstance(background, Sequence) and not isinstance(background, str) and len(background) == 3:
        red, green, blue = background
        if all(type(level) is int and 0 <= level <= 255 for level in background):
            return red, green, blue
    raise ValueError(f"got {background!r}; expected white, black or three levels from 0 to 255")


def decode(
    path: Path,
    mode: Mode = "RGB",
    size: tuple[int, int] | None = None,
    background: Background = "white",
    into: np.ndarray | None = None,
) -> Tensor:
    """Read an image file as uint8 [C, H, W].

    Grey images have equal channels in mode RGB. Grey of 16 bits is divided by 257 and rounded (12 bits by 16.06); of
    colours of 16 bits Pillow gives the high byte. CMYK becomes RGB by Pillow's formula, (255 − C)(255 − K) / 255.
    Images of 32-bit numbers are refused, as they have no range of levels.

    Args:
        path: The file.
        mode: RGB (C is 3), L (C is 1; grey by ``luminance``) or RGBA (C is 4; the alpha channel as it is stored, 255
            where there is none, over the colours as they are stored).
        size: Let a JPEG be decoded at half its size or less, as long as neither side falls below this height and width.
        background: What shows through where an image is transparent, in the modes RGB and L: (a · colour +
            (255 − a) · background) / 255, rounded. The colour that is stored below full transparency means nothing.
        into: Memory, uint8 [H, W, C], that the decoder of a JPEG of this shape writes into, which spares a copy.

    Raises:
        UnreadableError: with the reason, and its kind as ``code``.
    """
    try:
        data = _read(path)
        kind = "JPEG" if data.startswith(jpeg.SIGNATURE) else others.kind(data[: others.SNIFFED], path.suffix)
        if kind == "JPEG":
            pixels = jpeg.decode(data, size, into)
        else:
            pixels, _ = others.decode(kind, data, None if mode == "RGBA" else colour(background))
    except UnreadableError:
        raise
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error and others on bad bytes
        raise _unreadable(error) from error
    return _as_mode(torch.from_numpy(pixels.transpose(2, 0, 1)), mode)


def _as_mode(image: Tensor, mode: Mode) -> Tensor:
    """Return [C, H, W] of 1, 3 or 4 channels with those of a mode."""
    channels = image.shape[0]
    if mode == "L":
        return image if channels == 1 else luminance(image[:3])
    if channels == 1:
        image = image.expand(3, -1, -1)
    if mode == "RGBA" and channels != 4:
        return torch.cat([image, torch.full_like(image[:1], 255)])
    return image


def header(path: Path) -> Header:
    """Read what a file says of its image without decoding it.

    A file that lacks its format's end mark, and any format but JPEG and PNG, is decoded to see whether it can be.

    Raises:
        UnreadableError: as ``decode``; damage within the pixels of a JPEG or PNG is only found by that.
    """
    try:
        file, length = _opened(path)
        try:
            head = os.read(file, min(length, _HEAD))
            tail = head if length <= len(head) else os.pread(file, _TAIL, max(0, length - _TAIL))
        finally:
            os.close(file)
        kind = "JPEG" if head.startswith(jpeg.SIGNATURE) else others.kind(head[: others.SNIFFED], path.suffix)
        if kind in ("JPEG", "PNG"):
            found = (_of_jpeg if kind == "JPEG" else _of_png)(head, tail, length)
            if found is not None:
                return found
        data = _read(path)
        if kind == "JPEG":
            pixels, mode = jpeg.decode(data), _JPEG_MODES[len(jpeg.layout(data).components)]
        else:
            pixels, mode = others.decode(kind, data, _COLOURS["white"])
    except UnreadableError:
        raise
    except Exception as error:
        raise _unreadable(error) from error
    return Header(pixels.shape[0], pixels.shape[1], kind, mode)


def _of_jpeg(head: bytes, tail: bytes, length: int) -> Header | None:
    """Return what the beginning of a file says; None where the whole has to be looked at."""
    if not tail.rstrip(_PADDING).endswith(jpeg.END):
        return None
    try:
        found = jpeg.layout(head)
    except UnreadableError as error:
        if error.code == "truncated" and len(head) < length:
            return None
        raise
    check_size(found.width, found.height)
    sides = (found.width, found.height) if found.orientation in exif.SIDEWAYS else (found.height, found.width)
    return Header(*sides, "JPEG", _JPEG_MODES.get(len(found.components), "?"))


def _of_png(head: bytes, tail: bytes, length: int) -> Header | None:
    if not tail.rstrip(_PADDING).endswith(png.END):
        return None
    if any(note in part for part in {head, tail} for note in png.NOTES):
        return None
    found = png.head(head)
    check_size(found.width, found.height)
    return Header(found.height, found.width, "PNG", found.mode)


def _read(path: Path) -> bytes:
    """Return the content of a file, in as few calls as there can be: of small images a fifth of the time is this."""
    file, length = _opened(path)
    try:
        data = os.read(file, length)
        while len(data) < length and (more := os.read(file, length - len(data))):
            data += more
        return data
    finally:
        os.close(file)


def _opened(path: Path) -> tuple[int, int]:
    """Open a file to be read; return its descriptor and length. Nobody is waited for who would write to a pipe."""
    try:
        file = os.open(path, _FLAGS)
        status = os.fstat(file)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # a name may hold what no name can
        raise UnreadableError("there is no such file", "missing") from error
    if stat.S_ISREG(status.st_mode) and 0 < status.st_size <= MAX_BYTES:
        return file, status.st_size
    os.close(file)
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableError("it is a folder", "not-an-image")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("it is a pipe or a device", "not-an-image")
    if status.st_size == 0:
        raise UnreadableError("the file is empty", "zero-byte")
    raise UnreadableError(f"it has {status.st_size:,} bytes, the limit is {MAX_BYTES:,}", "bomb")


def _unreadable(error: Exception) -> UnreadableError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    cut = isinstance(error, EOFError) or any(said in reason.lower() for said in ("truncated", "not enough", "eof"))
    return UnreadableError(reason, "truncated" if cut else "unreadable")
