"""Why a file cannot be read as an image, and the limits that keep a hostile one from taking memory."""

from __future__ import annotations

#: The most pixels of an image, 1024³ / 12: as RGB a quarter of a gigabyte, the number that Pillow warns from.
MAX_PIXELS = 1024**3 // 12
#: The most bytes of a file: what so many pixels take with four channels of 16 bits, without compression, and room.
MAX_BYTES = 1024**3


class UnreadableError(Exception):
    """A file that cannot be read as what it should be, an image or a sound. The message is the reason.

    Attributes:
        code: ``missing``, ``zero-byte``, ``truncated`` (a part is not there), ``bomb`` (over the limits of memory),
            ``not-an-image``, ``not-a-sound``, ``empty`` (no samples), ``not-finite`` (samples that are NaN), or
            ``unreadable`` for damage and for kinds of files that are not read.

    >>> UnreadableError("cut off", "truncated").code
    'truncated'
    """

    def __init__(self, reason: str, code: str = "unreadable") -> None:
        super().__init__(reason)
        self.code = code


def check_size(width: int, height: int) -> None:
    """Refuse a header that claims no pixels at all, or more than ``MAX_PIXELS``, before any memory is taken."""
    if width < 1 or height < 1:
        raise UnreadableError(f"its header claims {width} by {height} pixels")
    if width * height > MAX_PIXELS:
        raise UnreadableError(f"its header claims {width} by {height} pixels, the limit is {MAX_PIXELS:,}", "bomb")


def check_content(width: int, height: int, least: float, found: int) -> None:
    """Refuse a header that claims more pixels than the bytes of the file can hold.

    Args:
        width: Of the header.
        height: Of the header.
        least: The bytes that so many pixels need at the very least.
        found: The bytes that there are.
    """
    if found < least:
        raise UnreadableError(f"its {found:,} bytes cannot hold {width} by {height} pixels", "truncated")
