"""Decoded images, each decoded at most once: kept in memory, or one after the other in a file that epochs map."""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import shutil
import sys
import weakref
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork.caches import cache_folder

# Counts up when the same key would stand for other bytes.
FORMAT = 1
# Packs may take this share of the disk that is free beside them, where no budget is named.
SHARE = 0.2
# Its number in the system's headers (mman.h); an older system refuses it, and gives the pages when they are written.
_MADV_POPULATE_WRITE = 23
_LIBRARY = ctypes.CDLL(None)
_PIXELS, _SUMS, _USED = "pixels.bin", "sums.bin", "used"


class Kept:
    """uint8 images of known sizes in memory, which is gone with this object; what is not there yet costs nothing.

    Args:
        shapes: Height, width and channels of each image, int64 [N, 3].

    >>> kept = Kept(np.array([[2, 2, 3], [1, 4, 3]]))
    >>> kept.put(1, torch.ones(3, 1, 4, dtype=torch.uint8))
    >>> kept.get(0) is None, kept.get(1).shape, kept.missing([0, 1])
    (True, torch.Size([3, 1, 4]), [0])
    """

    in_memory = True

    def __init__(self, shapes: np.ndarray) -> None:
        self._shapes, self._starts = _laid_out(shapes)
        self._images: dict[int, Tensor] = {}
        memory = mmap.mmap(-1, max(1, self.nbytes), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._pixels = np.frombuffer(memory, np.uint8)

    @property
    def nbytes(self) -> int:
        """The bytes of all images."""
        return int(self._starts[-1])

    def room(self, place: int) -> np.ndarray:
        """Return the memory of an image, uint8 [H, W, C], to be decoded into; ``put`` then takes it as it is."""
        slot = self._pixels[self._starts[place] : self._starts[place + 1]]
        _make_ready(slot)
        return slot.reshape(*self._shapes[place])

    def get(self, place: int) -> Tensor | None:
        """Return an image uint8 [C, H, W] that is not to be changed, or None where it is not there."""
        return self._images.get(place)

    def put(self, place: int, image: Tensor) -> None:
        """Keep an image uint8 [C, H, W].

        Raises:
            ValueError: it is of another shape than was said.
        """
        _check_shape(place, image, self._shapes[place])
        start, pixels = int(self._starts[place]), image.permute(1, 2, 0)
        if image.data_ptr() != self._pixels.ctypes.data + start or not pixels.is_contiguous():
            room = torch.from_numpy(self.room(place))
            pixels = room.copy_(pixels)
        self._images[place] = pixels.permute(2, 0, 1)

    def missing(self, places: Sequence[int]) -> list[int]:
        """Return those of the places that hold no image."""
        return [place for place in places if place not in self._images]


class Packed:
    """uint8 images of known sizes in files, each at its own place; what is not there yet is None.

    The pixels stand in a file that is mapped, and a checksum (CRC-32) stands beside each image, written after it: a
    process that died, a machine that stopped or a disk that lied leaves an image that does not count, never a wrong
    one. Two runs may fill and read one folder at a time, as both write the same bytes.

    Args:
        shapes: Height, width and channels of each image, int64 [N, 3].
        folder: Where the files stand.

    Raises:
        OSError: the folder cannot be written, or the disk is full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     packed = Packed(np.array([[2, 2, 3], [1, 4, 3]]), Path(folder))
    ...     packed.put(1, torch.ones(3, 1, 4, dtype=torch.uint8))
    ...     packed.get(0) is None, packed.get(1).shape
    (True, torch.Size([3, 1, 4]))
    """

    in_memory = False

    def __init__(self, shapes: np.ndarray, folder: Path) -> None:
        self._shapes, self._starts = _laid_out(shapes)
        self._there = np.zeros(len(self._shapes), bool)
        folder.mkdir(parents=True, exist_ok=True)
        used = os.open(folder / _USED, os.O_CREAT | os.O_RDWR)
        weakref.finalize(self, os.close, used)  # held as long as this lives: nobody deletes the pack then
        fcntl.flock(used, fcntl.LOCK_SH)
        os.utime(folder / _USED)
        self._file = os.open(folder / _PIXELS, os.O_CREAT | os.O_RDWR, 0o666)
        weakref.finalize(self, os.close, self._file)
        self._sums = _sums(folder / _SUMS, len(self._shapes))
        _lengthen(self._file, max(1, self.nbytes))
        self._pixels = np.frombuffer(mmap.mmap(self._file, max(1, self.nbytes)), np.uint8)

    def __len__(self) -> int:
        return len(self._shapes)

    @property
    def nbytes(self) -> int:
        """The bytes of all images."""
        return int(self._starts[-1])

    def room(self, place: int) -> None:
        """Return None: an image is written once it is whole, or a killed process would leave a part of it."""

    def get(self, place: int) -> Tensor | None:
        """Return an image uint8 [C, H, W], a view that is not to be changed, or None where it is not there (whole)."""
        if not self._there[place]:
            if self._sums[place] == 0 or _sum(self._slot(place)) != self._sums[place]:
                return None
            self._there[place] = True
        return torch.from_numpy(self._slot(place).reshape(*self._shapes[place])).permute(2, 0, 1)

    def put(self, place: int, image: Tensor) -> None:
        """Write an image uint8 [C, H, W].

        Raises:
            ValueError: it is of another shape than was said.
        """
        _check_shape(place, image, self._shapes[place])
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy()).reshape(-1)
        # written, not copied into the mapping: a new page then costs half, and a full disk is an error, not a signal
        _write(self._file, pixels.data, int(self._starts[place]))
        self._sums[place] = _sum(pixels)
        self._there[place] = True

    def missing(self, places: Sequence[int]) -> list[int]:
        """Return those of the places that hold no image."""
        return [place for place in places if self.get(place) is None]

    def _slot(self, place: int) -> np.ndarray:
        return self._pixels[self._starts[place] : self._starts[place + 1]]


def _make_ready(memory: np.ndarray) -> None:
    """Let the system give the pages of an array at once (Linux 5.14): one by one takes half as long again."""
    if sys.platform == "linux":
        page, start = mmap.PAGESIZE, memory.ctypes.data
        first, end = start // page * page, -(-(start + memory.nbytes) // page) * page
        _LIBRARY.madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _MADV_POPULATE_WRITE)


def _laid_out(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shapes, int64 [N, 3], and where each image starts, then where the last one ends."""
    shapes = np.asarray(shapes, np.int64).reshape(-1, 3)
    return shapes, np.concatenate([[0], np.cumsum(shapes.prod(1))])


def _check_shape(place: int, image: Tensor, shape: np.ndarray) -> None:
    height, width, channels = shape.tolist()
    if tuple(image.shape) != (channels, height, width):
        raise ValueError(f"image {place} is {list(image.shape)}, not {[channels, height, width]}")


def _sum(slot: np.ndarray) -> int:
    """Return the checksum of an image; never 0, which says that there is none."""
    return zlib.crc32(slot.data) or 1


def _sums(path: Path, count: int) -> np.ndarray:
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        _lengthen(file, count * 4)
    finally:
        os.close(file)
    return np.memmap(path, np.uint32, mode="r+", shape=(count,)) if count else np.empty(0, np.uint32)


def _lengthen(file: int, length: int) -> None:
    """Make a file longer, with its blocks taken from the disk at once, so that a disk that is too full says so now.

    A file is never made shorter, as another run may have it mapped.
    """
    if length > os.fstat(file).st_size:
        os.posix_fallocate(file, 0, length)


def _write(file: int, pixels: memoryview, start: int) -> None:
    while len(pixels):
        count = os.pwrite(file, pixels, start)
        pixels, start = pixels[count:], start + count


@dataclass(frozen=True)
class Cache:
    """The folder that packs stand in, and how many bytes they may take together."""

    folder: Path
    budget: float

    def pack(self, name: str, shapes: np.ndarray, *, only_if_there: bool = False) -> Packed | None:
        """Return the pack of a name, made where it is not there; None where the budget or the disk has no room."""
        place = self.folder / name
        if only_if_there and not (place / _SUMS).is_file():
            return None
        try:
            if not _make_room(self.folder, name, int(shapes.prod(1).sum()), self.budget):
                return None
            return Packed(shapes, place)
        except OSError:
            return None


def default_cache(gigabytes: float | None) -> Cache | None:
    """Return the cache below the cache folder for a budget in gigabytes; a fifth of the free disk for None.

    >>> default_cache(0) is None
    True
    """
    if gigabytes == 0:
        return None
    folder = cache_folder() / "packs"
    if gigabytes is not None:
        return Cache(folder, gigabytes * 1e9)
    there = next((place for place in (folder, *folder.parents) if place.is_dir()), Path("/"))
    taken = sum(map(_size, folder.glob("*")))
    return Cache(folder, SHARE * (shutil.disk_usage(there).free + taken))


def key(contents: Sequence[str], *said: Any) -> str:
    """Return the name of a pack: a function of the files' contents and of all that decides what becomes of them.

    >>> key(["ab"], "RGB") == key(["ab"], "L")
    False
    """
    digest = blake2b(json.dumps([FORMAT, *map(repr, said)]).encode(), digest_size=16)
    for content in contents:
        digest.update(content.encode() + b"\n")
    return digest.hexdigest()


def _make_room(root: Path, wanted: str, nbytes: int, budget: float) -> bool:
    """Delete packs that were used longest ago until ``nbytes`` more fit into the budget; tell whether they do.

    A pack that a process has open stays. That of the name ``wanted`` counts as if it were there in full.
    """
    if nbytes > budget:
        return False
    packs = sorted((path for path in root.glob("*") if path.name != wanted), key=_last_use)
    total = nbytes + sum(map(_size, packs))
    for pack in packs:
        if total <= budget:
            break
        size = _size(pack)
        if _deleted(pack):
            total -= size
    return total <= budget


def _last_use(pack: Path) -> float:
    try:
        return (pack / _USED).stat().st_mtime
    except OSError:
        return 0.0


def _size(pack: Path) -> int:
    """Return the bytes of a pack's files."""
    try:
        return sum(path.stat().st_size for path in pack.iterdir())
    except OSError:
        return 0


def _deleted(pack: Path) -> bool:
    with suppress(OSError), open(pack / _USED, "ab") as used:
        fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(pack)
        return True
    return False
