"""The IDX format, in which MNIST and its relatives are shipped: a header that says type and sizes, then the numbers."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from torchwork.types import Finding, InputError

#: The type byte of the header (yann.lecun.com/exdb/mnist): all numbers are stored with the high byte first.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

_CHUNK = 1 << 22

#: MNIST's own names: images and labels of its two splits.
OFFICIAL = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def is_idx(path: Path) -> bool:
    """Tell by its name whether a file is meant to be in IDX format.

    >>> is_idx(Path("train-images-idx3-ubyte.gz")), is_idx(Path("a.npz"))
    (True, False)
    """
    name = path.name.removesuffix(".gz")
    return name.endswith((".idx", "-ubyte", ".idx3-ubyte", ".idx1-ubyte")) or "-idx" in name


def begins_as_idx(path: Path) -> bool:
    """Tell by its first bytes whether a file, gzipped or not, is in IDX format, whatever its name."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as content:
            first = content.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(first) == 4 and first[:2] == b"\0\0" and first[2] in _TYPES


def read_idx(path: Path, where: str = "path") -> np.ndarray:
    """Return the array of an IDX file, gzipped or not, in the machine's byte order.

    Raises:
        InputError: the file is not there, its magic number is not that of IDX, or its length is not what the header
            says.
    """

    def wrong(message: str) -> InputError:
        return InputError(Finding("bad-idx", "error", where, f"{path} {message}", "give the file as it was published"))

    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as unpacked:
            content = _content(unpacked)
    except FileNotFoundError as error:
        raise InputError(Finding("missing-path", "error", where, f"{path} is not there")) from error
    except (OSError, EOFError, zlib.error) as error:
        raise wrong(f"cannot be read: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise wrong(f"does not begin as an IDX file (magic number {content[:4].hex() or 'missing'})")
    kind, axes = np.dtype(_TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    if axes == 0 or len(content) < start:
        raise wrong(f"has a header for {axes} axes that does not fit")
    shape = tuple(np.frombuffer(content, ">u4", axes, 4).tolist())
    expected = start + math.prod(shape) * kind.itemsize
    if len(content) != expected:
        has = "more" if len(content) > expected else len(content)
        raise wrong(f"says {'×'.join(map(str, shape))}, which takes {expected} bytes, but has {has}")
    return np.frombuffer(content, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))


def _content(file: Any) -> bytearray:
    """Return what a file holds, at most a byte more than its header says: a packed one may become very large."""
    content = bytearray(file.read(4))
    if len(content) < 4 or content[2] not in _TYPES:
        return content
    content += file.read(4 * content[3])
    axes = np.frombuffer(content, ">u4", (len(content) - 4) // 4, 4).tolist()
    most = len(content) + math.prod(axes) * np.dtype(_TYPES[content[2]]).itemsize + 1
    while len(content) < most and (part := file.read(min(_CHUNK, most - len(content)))):
        content += part
    return content


def find(folder: Path, name: str) -> Path | None:
    """Return the file of that name in a folder, gzipped or not, also with a dot for the hyphen before idx."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for path in (folder / spelling, folder / f"{spelling}.gz"):
            if path.is_file():
                return path
    return None
