"""JPEG by libjpeg-turbo, and what that passes over in silence: scans that are missing, pixels that cannot be there.

The format: ITU-T T.81, annex B; the Adobe marker's inverted CMYK as every reader takes it.
"""

from __future__ import annotations

import io
import re
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, JpegImagePlugin

from torchwork.data.formats import exif
from torchwork.data.unreadable import UnreadableError, check_content, check_size

SIGNATURE = b"\xff\xd8\xff"
END = b"\xff\xd9"

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the markers that begin a frame, without tables
_PROGRESSIVE = (0xC2, 0xCA)
_HUFFMAN = (0xC0, 0xC1, 0xC2)
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a segment
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
# Of progressive images that were met, none has a tenth of this. Each scan may go over all pixels.
_MOST_SCANS = 200
_PADDED = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


class Layout(NamedTuple):
    """What stands before the pixels: the frame as it is stored, and where the first scan's header begins."""

    height: int
    width: int
    components: tuple[int, ...]
    kind: int
    orientation: int
    scan: int


def layout(data: bytes) -> Layout:
    """Read a file up to its pixels.

    Raises:
        UnreadableError: it ends before (``truncated``), or is damaged.
    """
    at, frame, camera, packet = 2, None, None, None
    try:
        while True:
            kind = data[at + 1]
            if data[at] != 0xFF:
                raise UnreadableError("damaged: between its segments stands something else")
            if kind == 0xFF:  # fill
                at += 1
                continue
            if kind in _BARE:
                at += 2
                continue
            if kind == 0xD9:
                raise UnreadableError("it ends before its pixels begin", "truncated")
            if kind == 0xDA:
                break
            length = data[at + 2] << 8 | data[at + 3]
            if kind in _FRAMES:
                count = data[at + 9]
                components = tuple(data[place] for place in range(at + 10, at + 10 + 3 * count, 3))
                frame = (data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8], components, kind)
            elif kind == 0xE1 and camera is None and data.startswith(b"Exif\0", at + 4):
                camera = data[at + 4 : at + 2 + length]
            elif kind == 0xE1 and data.startswith(_XMP, at + 4):
                packet = data[at + 4 + len(_XMP) : at + 2 + length]
            at += 2 + length
        data[at + 3]
    except IndexError:
        raise UnreadableError("it ends before its pixels begin", "truncated") from None
    if frame is None:
        raise UnreadableError("damaged: it does not say how large it is")
    turn = exif.orientation(camera, packet) if camera or packet else 1
    return Layout(*frame, turn, at)


def decode(data: bytes, size: tuple[int, int] | None = None, into: np.ndarray | None = None) -> np.ndarray:
    """Return [H, W, 3] as shown, or [H, W, 1] of a grey file.

    Args:
        data: The file.
        size: Decode at half the size or less, as long as neither side falls below this height and width.
        into: Where the pixels go, uint8 [H, W, C], if they are stored in this shape.

    Raises:
        UnreadableError: damaged, cut off, or of a kind that libjpeg-turbo does not read.
    """
    found = layout(data)
    check_size(found.width, found.height)
    if found.kind in _HUFFMAN:  # each block of 8 by 8 pixels takes a bit at least
        check_content(found.width, found.height, found.width * found.height / 512, len(data) - found.scan)
    if data[found.scan + 4] != len(found.components) or found.kind in _PROGRESSIVE:
        _check_scans(data, found)
    colours = {1: "GRAY", 3: "RGB", 4: "CMYK"}.get(len(found.components))
    if colours is None:
        raise UnreadableError(f"a JPEG of {len(found.components)} components, which have no meaning")
    height, width = (0, 0) if size is None else size[::-1] if found.orientation in exif.SIDEWAYS else size
    options: dict[str, Any] = {
        "colorspace": colours,
        "min_height": height,
        "min_width": width,
        "min_factor": 1 if size is None else 2,  # scales over one half take longer than they save
    }
    shape = (found.height, found.width, len(found.components))
    if into is not None and size is None and found.orientation == 1 and colours != "CMYK" and into.shape == shape:
        options["buffer"] = into
    try:
        pixels = simplejpeg.decode_jpeg(data, **options)
    except ValueError as error:
        pixels = _once_more(data, found, options, str(error))
    if colours == "CMYK":  # stored inverted, as Adobe does and everybody after it
        inverted = Image.frombuffer("CMYK", pixels.shape[1::-1], 255 - pixels, "raw", "CMYK", 0, 1)
        pixels = np.array(inverted.convert("RGB"))
    return pixels if found.orientation == 1 else exif.upright(pixels, found.orientation)


def _once_more(data: bytes, found: Layout, options: dict[str, Any], said: str) -> np.ndarray:
    """Decode a file with a flaw that leaves every pixel whole; refuse any other.

    Cameras pad the space before the end mark, and some write a scan header that no decoder reads in a sequential file.
    """
    padded = _PADDED.search(said)
    end = data.find(END, found.scan)
    if padded and len(set(data[end - int(padded[1]) : end])) == 1:
        return simplejpeg.decode_jpeg(data, strict=False, **options)
    if said.startswith("Invalid SOS parameters"):
        at = found.scan + 5 + 2 * data[found.scan + 4]
        mended = data[:at] + b"\0\x3f\0" + data[at + 3 :]
        if mended != data:
            try:
                return simplejpeg.decode_jpeg(mended, **options)
            except ValueError as error:
                said = str(error)
    if "subsampling" in said:  # Pillow reads it, though it says nothing of damage
        return _pillow(data, found)
    if "remature end" in said or "found marker 0xd9" in said:
        raise UnreadableError("cut off: its pixels are not all there", "truncated")
    raise UnreadableError(f"damaged: {said}")


def _pillow(data: bytes, found: Layout) -> np.ndarray:
    """Decode by Pillow, from the frame, tables and the Adobe marker alone: of others it might warn."""
    at, kept = 2, [data[:2]]
    while at < found.scan:
        kind = data[at + 1]
        length = 1 if kind == 0xFF else 2 if kind in _BARE else 2 + (data[at + 2] << 8 | data[at + 3])
        if not (0xE0 <= kind <= 0xEF or kind == 0xFE) or kind == 0xEE:
            kept.append(data[at : at + length])
        at += length
    with JpegImagePlugin.JpegImageFile(io.BytesIO(b"".join([*kept, data[found.scan :]]))) as image:
        if image.mode == "CMYK":  # inverted back: the caller expects it as it is stored
            return 255 - np.array(image)
        pixels = np.array(image)
        return pixels[..., None] if pixels.ndim == 2 else pixels


def _check_scans(data: bytes, found: Layout) -> None:
    """Refuse a file whose scans do not bring every coefficient to its last bit: libjpeg would fill in what is missing.

    A scan of a progressive file brings a band of coefficients of some components from bit ``high`` down to bit ``low``
    (T.81, G.1.1.1.2); a scan of a sequential one brings all of them.
    """
    lowest = {component: [16] * 64 for component in found.components}
    at = found.scan
    if data.count(b"\xff\xda", at) > _MOST_SCANS:
        raise UnreadableError(f"it has more than {_MOST_SCANS} scans, each of which may take as long", "bomb")
    while at >= 0:
        try:
            count = data[at + 4]
            first, last, bits = data[at + 5 + 2 * count : at + 8 + 2 * count]
        except (IndexError, ValueError):
            raise UnreadableError("it ends within the header of a scan", "truncated") from None
        high, low = bits >> 4, bits & 15
        if found.kind not in _PROGRESSIVE:
            first, last, high, low = 0, 63, 0, 0
        for component in data[at + 5 : at + 5 + 2 * count : 2]:
            band = lowest.get(component, [])[first : last + 1]
            if high and band.count(high) < len(band):
                raise UnreadableError("cut off: one of its scans is not there", "truncated")
            lowest.get(component, [])[first : last + 1] = [low] * len(band)
        at = data.find(b"\xff\xda", at + 2)
    if any(max(band) > 0 for band in lowest.values()):
        raise UnreadableError("cut off: some of its scans are not there", "truncated")
