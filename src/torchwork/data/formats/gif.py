"""GIF: how large the first image is, and whether the file goes on to its end mark (CompuServe, GIF89a)."""

from __future__ import annotations

from torchwork.data.unreadable import UnreadableError, check_size


def check(data: bytes) -> None:
    """Go through the blocks of a file.

    Raises:
        UnreadableError: it ends before its end mark (``truncated``), has no image, or claims too many pixels.
    """
    try:
        width, height = _short(data, 6), _short(data, 8)
        at, images = _after_palette(data, 10, 13), 0
        while data[at] != 0x3B:
            if data[at] == 0x2C:
                right, bottom = _short(data, at + 1) + _short(data, at + 5), _short(data, at + 3) + _short(data, at + 7)
                if not images:
                    check_size(max(width, right), max(height, bottom))
                images += 1
                at = _after_blocks(data, _after_palette(data, at + 9, at + 10) + 1)
            elif data[at] == 0x21:
                at = _after_blocks(data, at + 2)
            else:  # what stands between blocks is passed over, as everybody does
                at += 1
    except IndexError:
        raise UnreadableError("cut off: it ends before its end mark", "truncated") from None
    if not images:
        raise UnreadableError("it holds no image")


def _short(data: bytes, at: int) -> int:
    return data[at] | data[at + 1] << 8


def _after_palette(data: bytes, flags: int, start: int) -> int:
    return start + (6 << (data[flags] & 7) if data[flags] & 0x80 else 0)


def _after_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1
