"""Every format but JPEG by Pillow: told by its first bytes, checked where Pillow is not strict, put onto a background.

Pillow's plugins are called one by one, not through ``Image.open``: that guesses among all of them, also from the name,
and warns where here is a limit.
"""

from __future__ import annotations

import io
from importlib import import_module
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile

from torchwork.data.formats import exif, gif, png, tiff, webp
from torchwork.data.unreadable import UnreadableError, check_size

Colour = tuple[int, int, int]

#: How many bytes tell the format.
SNIFFED = 32

_PLUGINS = {
    "AVIF": "AvifImagePlugin:AvifImageFile",
    "BMP": "BmpImagePlugin:BmpImageFile",
    "DIB": "BmpImagePlugin:DibImageFile",
    "GIF": "GifImagePlugin:GifImageFile",
    "JPEG2000": "Jpeg2KImagePlugin:Jpeg2KImageFile",
    "PNG": "PngImagePlugin:PngImageFile",
    "PPM": "PpmImagePlugin:PpmImageFile",
    "TGA": "TgaImagePlugin:TgaImageFile",
    "TIFF": "TiffImagePlugin:TiffImageFile",
    "WEBP": "WebPImagePlugin:WebPImageFile",
}
_SIGNATURES = {
    b"\xff\xd8": "JPEG",
    png.SIGNATURE: "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
}
# These formats have no signature: their files are known by their names.
_BY_NAME = {".tga": "TGA", ".dib": "DIB"}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # their lengths


def kind(start: bytes, suffix: str) -> str:
    """Return the format of a file by its first ``SNIFFED`` bytes.

    Raises:
        UnreadableError: ``not-an-image``, or ``truncated`` where a signature is cut off.

    >>> kind(b"GIF89a" + bytes(26), ".jpg")
    'GIF'
    """
    for signature, name in _SIGNATURES.items():
        if start.startswith(signature):
            return name
    if start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        return "AVIF"
    if start[:1] == b"P" and start[1:2] in b"123456" and start[2:3].isspace():
        return "PPM"
    if suffix.lower() in _BY_NAME:
        return _BY_NAME[suffix.lower()]
    if len(start) < SNIFFED and any(signature.startswith(start) for signature in (*_SIGNATURES, b"RIFF", b"BM")):
        raise UnreadableError("it ends within its first bytes", "truncated")
    raise UnreadableError("not an image that can be recognised", "not-an-image")


class _Prepared(NamedTuple):
    """What Pillow is to decode, and what it does not tell."""

    content: bytes
    orientation: int | None = None  # None: Pillow hands the EXIF data on
    mode: str | None = None  # of the file, where Pillow's says less
    bits: int = 8
    inverted: bool = False


def decode(kind: str, data: bytes, background: Colour | None) -> tuple[np.ndarray, str]:
    """Return [H, W, C] as shown, and the file's mode.

    C is 1 for grey, 3 for colour. Without a background it is 4 where there is transparency.

    Raises:
        UnreadableError: among others; Pillow raises what it likes.
    """
    prepared = _prepare(kind, data)
    with _open(kind, prepared.content) as image:
        check_size(*image.size)
        turn, mode = prepared.orientation, prepared.mode or image.mode
        if kind == "PPM" and mode == "I":  # which has 16 bits at most
            mode = "I;16"
        if turn is None:
            turn = exif.orientation(image.info.get("exif"), image.info.get("xmp"))
        image.load()
        pixels = _pixels(image, kind, prepared, background)
    return exif.upright(pixels, turn), mode


def _prepare(kind: str, data: bytes) -> _Prepared:
    if kind == "PNG":
        content, first, turn = png.core(data)
        return _Prepared(content, turn, first.mode, first.bits)
    if kind == "TIFF":
        content, head = tiff.core(data)
        return _Prepared(content, head.orientation, None, head.bits, head.white_is_zero)
    if kind == "GIF":
        gif.check(data)
    if kind == "WEBP":
        webp.check(data)
    return _Prepared(data, 16 if kind == "PPM" else None)


def _open(kind: str, content: bytes) -> ImageFile.ImageFile:
    module, name = _PLUGINS[kind].split(":")
    return getattr(import_module(f"PIL.{module}"), name)(io.BytesIO(content))


def _pixels(image: Image.Image, kind: str, prepared: _Prepared, background: Colour | None) -> np.ndarray:
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and kind == "PPM"):
        return _grey_of_16_bits(image, prepared, background)
    if mode in ("I", "F"):
        raise UnreadableError(f"its pixels are 32-bit numbers (mode {mode}), which have no range of levels")
    see_through = image.info.get("transparency")
    if mode == "RGB" and prepared.bits == 16 and isinstance(see_through, tuple):
        image.info["transparency"] = tuple(level >> 8 for level in see_through)  # as the pixels have become
    if image.has_transparency_data:
        return _on(image.convert("LA").convert("RGBA") if mode == "La" else image.convert("RGBA"), background)
    if mode in ("L", "1"):
        return np.array(image.convert("L"))[..., None]
    return np.array(image.convert("RGB"))


def _grey_of_16_bits(image: Image.Image, prepared: _Prepared, background: Colour | None) -> np.ndarray:
    levels = np.asarray(image).astype(np.uint32)
    most = (1 << prepared.bits) - 1 if 8 < prepared.bits < 16 else 65535
    scaled = ((levels * 255 + most // 2) // most).clip(0, 255).astype(np.uint8)
    if prepared.inverted:
        scaled = 255 - scaled
    see_through = image.info.get("transparency")
    if not isinstance(see_through, int):
        return scaled[..., None]
    alpha = np.where(levels == see_through, 0, 255).astype(np.uint8)
    return _on(Image.fromarray(np.dstack([scaled, scaled, scaled, alpha])), background)


def _on(image: Image.Image, background: Colour | None) -> np.ndarray:
    """Put an RGBA image onto a background: (a · colour + (255 − a) · background) / 255, rounded."""
    if background is None:
        return np.array(image)
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(image, mask=image.getchannel("A"))  # the image's own alpha is dropped on the way
    return np.array(canvas)
