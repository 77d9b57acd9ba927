"""WebP: how large the canvas is, and whether the file is all there (RFC 9649)."""

from __future__ import annotations

import struct

from torchwork.data.unreadable import UnreadableError, check_size


def check(data: bytes) -> None:
    """Read the header of a file.

    Raises:
        UnreadableError: it is shorter than it says (``truncated``), damaged, or claims too many pixels.
    """
    if len(data) < 30:
        raise UnreadableError("it ends within its header", "truncated")
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        message = f"cut off: {len(data):,} of its {length + 8:,} bytes are there"
        raise UnreadableError(message, "truncated")
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise UnreadableError("damaged: its first part is none that holds an image")
    check_size(width, height)
