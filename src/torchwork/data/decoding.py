"""Images from files by threads, each straight into its place in the batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from torchwork.data import resident, threads
from torchwork.data.decode import UnreadableError
from torchwork.data.fingerprint import fingerprints
from torchwork.data.packed import Cache, Kept, Packed, key
from torchwork.data.pipelines.images import Images
from torchwork.types import Source

# Pixels of an image below which to hand the interpreter's lock from thread to thread takes longer than to decode: two
# threads took three times as long as one for images of 32 by 32.
SMALL = 128 * 128


@runtime_checkable
class FileImages(Source, Protocol):
    """A source whose samples are image files, so that each can be decoded for itself by any thread."""

    paths: Sequence[Path]
    sizes: np.ndarray  # height and width of each, int64 [N, 2]; (0, 0) of one that cannot be read
    mode: str  # RGB, L or another of Pillow's, which gives the number of channels
    reading: str  # how pixels come from a file, in words

    def decode(self, index: int, size: tuple[int, int] | None = None, into: np.ndarray | None = None) -> Tensor:
        """Return one image uint8 [C, H, W]; ``size`` is a hint as for ``read``.

        It may stand in ``into``, uint8 [H, W, C], where the decoder can write there.
        """
        ...


def _side_by_side(
    image: Callable[[int], Tensor], length: int, count: int | None, into: Tensor | None
) -> Tensor | list[Tensor]:
    """Return ``image(place)`` for each place, written by threads straight into one tensor where shapes are equal.

    That is the beginning of ``into``, where they fit into it.
    """
    made: list[Tensor] = []
    making = threading.Lock()

    def batch_like(found: Tensor) -> Tensor:
        if into is not None and len(into) >= length and into.shape[1:] == found.shape and into.dtype == found.dtype:
            return into[:length]
        return torch.empty((length, *found.shape), dtype=found.dtype)

    def fill(place: int) -> Tensor | None:
        found = image(place)
        with making:  # whoever is first says the shape
            if not made:
                made.append(batch_like(found))
        batch = made[0]
        if found.shape != batch.shape[1:] or found.dtype != batch.dtype:
            return found
        if found.dtype == torch.uint8:  # numpy takes two thirds of torch's time to lay channels one after the other
            np.copyto(batch.numpy()[place], found.numpy())
        else:
            batch[place].copy_(found)
        return None

    others = threads.over(fill, range(length), count)
    if all(other is None for other in others):
        return made[0]
    return [made[0][place] if other is None else other for place, other in enumerate(others)]


def store_for(
    source: FileImages, way: Images, indices: np.ndarray, *, sized: bool, cache: Cache | None, ahead: bool = False
) -> Packed | Kept | None:
    """Return what keeps the images of a split between epochs; None where nothing does, or one tensor in memory will.

    That is a pack that is already there; else the memory, where the images fit into its budget (``resident``); else a
    new pack. Which of them changes no byte of a batch.

    Args:
        source: The files.
        way: The steps, which with the content of the files decide the pack.
        indices: The samples of the split.
        sized: As for ``Decoded``.
        cache: Where packs may stand; None where there is to be none.
        ahead: Make a pack where the images would fit into memory too: later runs then need no decoder.
    """
    shapes = way.shapes(source.sizes, len(source.mode), sized=sized)
    if shapes is None:
        return None
    small = int(shapes[indices].prod(1).sum()) <= resident.SHARE * resident.free_memory()
    if cache is not None and (ahead or not small or cache.folder.is_dir()):
        said = (source.reading, way.said(sized=sized), *map(version, ("simplejpeg", "pillow", "torch")))
        name = key(fingerprints(source, np.arange(len(source.paths))), *said)
        found = cache.pack(name, shapes, only_if_there=small and not ahead)
        if found is not None:
            return found
    return Kept(shapes) if small and not sized and not ahead else None


class Decoded:
    """The images of files after the steps, each taken from a store where it is there, else decoded and put there.

    Args:
        source: The files.
        way: The steps.
        sized: Do the steps that set the size too; else an augmentation is to set it.
        store: What keeps the images; None decodes them each time.
    """

    def __init__(
        self, source: FileImages, way: Images, *, sized: bool = True, store: Packed | Kept | None = None
    ) -> None:
        self._source = source
        self._prepare = way.prepare_one if sized else way.prepare_unsized
        self._hint = way.size_hint if sized else None
        small = float(source.sizes.prod(1).mean()) < SMALL if len(source.sizes) else False
        self._most_threads = 1 if small else threads.num_cores()
        self.store = store

    def image(self, index: int) -> Tensor:
        """Return one image uint8 [C, H, W], which is not to be changed.

        Raises:
            decode.UnreadableError: the file cannot be read.
        """
        found = None if self.store is None else self.store.get(index)
        if found is None:
            room = None if self.store is None else self.store.room(index)
            found = self._prepare(self._source.decode(index, self._hint, room))
            if self.store is not None:
                with suppress(OSError):  # a full disk costs the time to decode again, not the run
                    self.store.put(index, found)
        return found

    def batch(
        self,
        indices: np.ndarray,
        then: Callable[[int, Tensor], Tensor] | None = None,
        *,
        count: int | None = None,
        into: Tensor | None = None,
    ) -> Tensor | list[Tensor]:
        """Return the images of ``indices`` as one tensor [B, ...], or a list where shapes differ.

        Args:
            indices: Samples of the source.
            then: What becomes of the image at a place of ``indices``, called with both by several threads.
            count: How many threads decode; as many as there are cores where left out.
            into: A batch that nobody needs any more, to be written over where the new one fits into it.

        Raises:
            InputError: files that cannot be read, all of them by name.
        """
        ids = np.asarray(indices).tolist()

        def image(place: int) -> Tensor:
            found = self.image(ids[place])
            return found if then is None else then(place, found)

        try:
            most = self._most_threads if count is None else min(count, self._most_threads)
            return _side_by_side(image, len(ids), most, into)
        except UnreadableError:
            self._source.read(indices, epoch=0)  # names them all
            raise  # not reached, unless a file has been mended meanwhile

    def fill(self, indices: np.ndarray) -> None:
        """Decode those of ``indices`` that the store lacks.

        Raises:
            InputError: files that cannot be read, all of them by name.
        """
        assert self.store is not None
        missing = self.store.missing(np.asarray(indices).tolist())
        try:
            threads.over(lambda index: self.image(index) is None, missing, self._most_threads)
        except UnreadableError:
            self._source.read(np.array(missing, np.int64), epoch=0)
            raise
