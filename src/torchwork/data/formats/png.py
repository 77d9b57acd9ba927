"""PNG as far as pixels go: the chunks that hold them, checked by their checksums, and the rest left out.

The format: W3C, Portable Network Graphics. What is left out can neither be damaged nor blow up (compressed texts and
profiles) nor be taken for something else (animations: the first image is the one that every reader shows).
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

from torchwork.data.formats import exif
from torchwork.data.unreadable import UnreadableError, check_content, check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"IEND\xaeB`\x82"
#: What the orientation may stand in.
NOTES = (b"eXIf", b"XML:com.adobe.xmp", b"Raw profile type ")

_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_DEFLATED = 1032  # no bytes that Deflate writes stand for more than this many each (RFC 1951: 258 by two bits)
_LONGEST_NOTE = 1 << 20


class Head(NamedTuple):
    """The first chunk: size in pixels, bits of a level, kind of colour."""

    width: int
    height: int
    bits: int
    colour: int

    @property
    def mode(self) -> str:
        """As Pillow calls it, with the bits behind where there are 16 to several channels: ``RGB;16``."""
        mode = _MODES.get(self.colour, "?")
        if self.bits == 16:
            return "I;16" if mode == "L" else f"{mode};16"
        return "1" if (self.bits, mode) == (1, "L") else mode


def head(data: bytes) -> Head:
    """Read the size from the first bytes of a file."""
    if len(data) < 33:
        raise UnreadableError("it ends within its header", "truncated")
    if data[12:16] != b"IHDR":
        raise UnreadableError("damaged: it does not begin with its header")
    return Head(*struct.unpack_from(">IIBB", data, 16))


def core(data: bytes) -> tuple[bytes, Head, int]:
    """Return the file without all that is no pixel, its head and its orientation.

    Raises:
        UnreadableError: a part is missing or does not have its checksum, or so many pixels cannot be in it.
    """
    first = head(data)
    check_size(first.width, first.height)
    at, length, name = 8, 0, b""
    kept, stored = [SIGNATURE], 0
    camera = packet = None
    while name != b"IEND":
        at += length
        if at + 12 > len(data):
            raise UnreadableError("cut off: it ends before its end mark", "truncated")
        length, name = struct.unpack_from(">I4s", data, at)
        length += 12
        if at + length > len(data):
            raise UnreadableError("cut off: its last part is not all there", "truncated")
        if name in _PIXELS:
            chunk = data[at : at + length]
            if zlib.crc32(memoryview(chunk)[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise UnreadableError(f"damaged: its part {name.decode()} does not have its checksum")
            kept.append(chunk)
            stored += length if name == b"IDAT" else 0
        elif name == b"eXIf":
            camera = data[at + 8 : at + length - 4]
        elif name in (b"iTXt", b"tEXt", b"zTXt"):
            note = data[at + 8 : at + length - 4]
            packet = note if note.startswith(b"XML:com.adobe.xmp\0") else packet
            camera = camera or _profile(name, note)
    row = (first.width * first.bits * _CHANNELS.get(first.colour, 1) + 7) // 8
    check_content(first.width, first.height, first.height * row / _DEFLATED, stored)
    return b"".join(kept), first, exif.orientation(camera, packet)


def _profile(name: bytes, note: bytes) -> bytes | None:
    """Return the EXIF data in the way that ImageMagick used to write them: in hexadecimal digits, after three lines."""
    title, _, text = note.partition(b"\0")
    if title not in (b"Raw profile type exif", b"Raw profile type APP1"):
        return None
    try:
        if name == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], _LONGEST_NOTE)
        return bytes.fromhex(re.sub(rb"\s", b"", text.split(b"\n", 3)[3]).decode("ascii"))
    except (zlib.error, ValueError, IndexError):
        return None
