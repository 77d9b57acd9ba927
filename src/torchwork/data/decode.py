"""From an image file to a uint8 tensor, the same on every call.

JPEG goes through libjpeg-turbo (simplejpeg; the accurate inverse transform and smooth upsampling, as Pillow does),
every other format through Pillow. The EXIF orientation is applied. Of a file with several frames the first is read.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import simplejpeg
import torch
from PIL import Image, ImageOps
from torch import Tensor

from torchwork.data.luminance import luminance

Mode = Literal["RGB", "L"]

_KINDS = "avif bmp dib gif jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm tga tif tiff webp"
EXTENSIONS = frozenset(f".{kind}" for kind in _KINDS.split())

_ORIENTATION = 0x0112
_JPEG = b"\xff\xd8"
# How the two usual formats begin and end. A file without its end mark was cut off; neither occurs inside coded pixels.
_ENDS = {_JPEG: b"\xff\xd9", b"\x89PNG\r\n\x1a\n": b"IEND"}
_TAIL = 4096
# The orientation stands in EXIF or XMP: in JPEG before the pixels, in segments of at most 64 KiB, in PNG also behind.
_HEAD = 1 << 18
_TURN_MARKS = (b"Exif\x00", b"eXIf", b"tiff:Orientation")
_SIDEWAYS = (5, 6, 7, 8)


def is_image(path: Path) -> bool:
    """Tell by its extension whether a file is meant to be an image.

    >>> is_image(Path("a.JPG")), is_image(Path("a.txt"))
    (True, False)
    """
    return path.suffix.lower() in EXTENSIONS


class UnreadableError(Exception):
    """A file that is no image, or a damaged one. The message is the reason."""


@dataclass(frozen=True)
class Header:
    """What a file says of its image: height and width in pixels, as it is shown."""

    height: int
    width: int


def decode(path: Path, mode: Mode = "RGB", size: tuple[int, int] | None = None) -> Tensor:
    """Read an image file as uint8 [C, H, W]; C is 3 for mode RGB and 1 for mode L.

    Args:
        path: The file.
        mode: RGB or L (grey by ``luminance``). Transparency is dropped; 16-bit grey levels are divided by 257.
        size: Let a JPEG be decoded at half its size or less, as long as neither side falls below this height and width.

    Raises:
        UnreadableError: with the reason.
    """
    try:
        data = path.read_bytes()
        if not data:
            raise UnreadableError("the file is empty")
        pixels = _jpeg(data, size) if data.startswith(_JPEG) else None
        if pixels is None:
            pixels = _pillow(data)
    except UnreadableError:
        raise
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error and others on bad bytes
        raise UnreadableError(_reason(error)) from error
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    if mode == "RGB":
        return image if len(image) == 3 else image.expand(3, -1, -1)
    return image if len(image) == 1 else luminance(image)


def header(path: Path) -> Header:
    """Return an image's size without decoding it, or raise UnreadableError.

    A file that lacks its format's end mark, and any format but JPEG and PNG, is decoded to see whether it can be.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            file.seek(max(0, file.seek(0, io.SEEK_END) - _TAIL))
            tail = file.read()
            start = next((start for start, end in _ENDS.items() if head.startswith(start) and end in tail), None)
            if start is not None:
                if start == _JPEG and not _may_turn(head):  # a tenth of Pillow's time
                    with suppress(ValueError):  # an unusual kind
                        return Header(*simplejpeg.decode_jpeg_header(head)[:2])
                file.seek(0)
                with Image.open(file) as image:
                    width, height = image.size
                    turned = _may_turn(head + tail) and image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS
                return Header(width, height) if turned else Header(height, width)
    except Exception as error:
        raise UnreadableError(_reason(error)) from error
    return Header(*decode(path).shape[1:])


def _may_turn(content: bytes) -> bool:
    return any(mark in content for mark in _TURN_MARKS)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image that can be recognised"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{error}" or type(error).__name__


def _jpeg(data: bytes, size: tuple[int, int] | None) -> np.ndarray | None:
    """Return [H, W, 3], or [H, W, 1] for a grey file; None where Pillow must decide."""
    try:
        space = simplejpeg.decode_jpeg_header(data)[2]
        if space not in ("Gray", "YCbCr", "RGB"):
            return None
        turn = _orientation(data) if _may_turn(data[:_HEAD]) else 1
        height, width = (0, 0) if size is None else size[::-1] if turn in _SIDEWAYS else size
        factor = 1 if size is None else 2  # scales over one half take longer than they save
        colours = "GRAY" if space == "Gray" else "RGB"
        pixels = simplejpeg.decode_jpeg(data, colours, min_height=height, min_width=width, min_factor=factor)
    except ValueError:
        return None
    return _turned(pixels, turn)


def _orientation(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return int(image.getexif().get(_ORIENTATION, 1))


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation to [H, W, C]."""
    if orientation in _SIDEWAYS:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I;16"):
            levels = np.asarray(image).astype(np.uint32)
            return ((levels + 128) // 257).astype(np.uint8)[..., None]
        if image.mode in ("I", "F"):
            raise UnreadableError(f"its pixels are 32-bit numbers (mode {image.mode}), which have no range of levels")
        if image.mode in ("L", "1"):
            return np.array(image.convert("L"))[..., None]
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # Pillow asks for this way
        return np.array(image.convert("RGB"))
