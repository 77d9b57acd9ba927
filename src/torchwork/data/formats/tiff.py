"""TIFF as far as pixels go: the first directory with the fields that say where they are, and no others.

The format: Adobe, TIFF 6.0, and BigTIFF. Of the fields that are left out, hostile files make readers take memory, and
damaged ones make them warn.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import TiffTags

from torchwork.data.formats import exif
from torchwork.data.unreadable import UnreadableError, check_size

_WIDTH, _LENGTH, _BITS, _PHOTOMETRIC, _XMP = 256, 257, 258, 262, 700
_TILE = (322, 323)
_PARTS = ((273, 279), (324, 325))  # where the strips or tiles are, and how long
# Compression and what belongs to it, meaning of the levels, strips, tiles, palette.
_PIXELS = {
    *(_WIDTH, _LENGTH, _BITS, 259, _PHOTOMETRIC, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, *_TILE, 324, 325),
    *(332, 334, 338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),
}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_OPAQUE = (1, 2, 6, 7)  # types whose values are one piece of bytes, however long
_WHOLE = {1: "B", 3: "H", 4: "I", 16: "Q"}


class Head(NamedTuple):
    """What Pillow does not tell: bits of a level, whether the lowest is white, the orientation."""

    bits: int
    white_is_zero: bool
    orientation: int


class _Layout(NamedTuple):
    order: str
    entry: str
    number: str
    offset: str

    def read(self, form: str, data: bytes, at: int) -> tuple:
        return struct.unpack_from(self.order + form, data, at)


class _Field(NamedTuple):
    tag: int
    kind: int
    number: int
    entry: bytes
    start: int  # of its values

    @property
    def stop(self) -> int:
        return self.start + self.number * _BYTES[self.kind]


def core(data: bytes) -> tuple[bytes, Head]:
    """Return the file with one directory that holds what the pixels need, and what is to be done with them.

    Raises:
        UnreadableError: the directory, or what a field names, lies behind the end (``truncated``), or is damaged.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    form = _Layout(order, "HHQ8s", "Q", "Q") if big else _Layout(order, "HHI4s", "H", "I")
    try:
        fields = {field.tag: field for field in reversed(list(_fields(data, form, 8 if big else 4)))}
    except struct.error:
        raise UnreadableError("cut off: it ends before its directory", "truncated") from None
    kept = [fields[tag] for tag in sorted(fields) if tag in _PIXELS]
    _check(data, kept)
    for starts, lengths in _PARTS:
        if starts in fields and lengths in fields:
            _check_parts(data, fields[starts], fields[lengths], order)
    values = {field.tag: _first(data, field, form) for field in fields.values() if field.kind in _WHOLE}
    if _WIDTH not in values or _LENGTH not in values:
        raise UnreadableError("damaged: it does not say how large it is")
    check_size(values[_WIDTH], values[_LENGTH])
    if all(tag in values for tag in _TILE):
        check_size(values[_TILE[0]], values[_TILE[1]])
    packet = fields.get(_XMP)
    notes = None if packet is None else data[packet.start : packet.stop]
    turn = values.get(exif.ORIENTATION) or exif.orientation(None, notes)
    directory = struct.pack(order + form.number, len(kept)) + b"".join(field.entry for field in kept)
    start = len(data) + len(data) % 2
    at = 8 if big else 4
    content = b"".join(
        [
            data[:at],
            struct.pack(order + form.offset, start),
            data[at + struct.calcsize(form.offset) :],
            b"\0" * (start - len(data)),
            directory,
            struct.pack(order + form.offset, 0),
        ]
    )
    head = Head(values.get(_BITS, 1), values.get(_PHOTOMETRIC) == 0, turn if turn in range(1, 9) else 1)
    return content, head


def _fields(data: bytes, form: _Layout, at: int) -> Iterator[_Field]:
    (start,) = form.read(form.offset, data, at)
    (count,) = form.read(form.number, data, start)
    start += struct.calcsize(form.number)
    length = struct.calcsize("=" + form.entry)
    inline = struct.calcsize(form.offset)
    for place in range(start, start + count * length, length):
        tag, kind, number, value = form.read(form.entry, data, place)
        if kind in _BYTES:
            far = number * _BYTES[kind] > inline
            begin = form.read(form.offset, value, 0)[0] if far else place + length - inline
            yield _Field(tag, kind, number, data[place : place + length], begin)


def _first(data: bytes, field: _Field, form: _Layout) -> int:
    if field.number < 1 or field.stop > len(data):
        return 0
    return form.read(_WHOLE[field.kind], data, field.start)[0]


def _check(data: bytes, fields: list[_Field]) -> None:
    if any(field.stop > len(data) for field in fields):
        raise UnreadableError("cut off: what its directory names lies behind its end", "truncated")
    if sum(field.stop - field.start for field in fields) > len(data):
        raise UnreadableError("damaged: its directory is larger than the file")
    for field in fields:
        if field.number != 1 and field.kind not in _OPAQUE and TiffTags.lookup(field.tag).length == 1:
            raise UnreadableError(f"damaged: its field {field.tag} holds {field.number} values instead of one")


def _check_parts(data: bytes, starts: _Field, lengths: _Field, order: str) -> None:
    """Refuse a file that ends within a strip or tile: what the core has behind the end would be taken for pixels."""
    if starts.kind not in _WHOLE or lengths.kind not in _WHOLE or starts.number != lengths.number:
        raise UnreadableError("damaged: it does not say where its pixels are")
    first, length = (
        np.frombuffer(data, f"{order}u{_BYTES[field.kind]}", field.number, field.start).astype(np.float64)
        for field in (starts, lengths)
    )
    if (first + length > len(data)).any():
        raise UnreadableError("cut off: its pixels are not all there", "truncated")
