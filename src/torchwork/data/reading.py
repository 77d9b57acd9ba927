"""From (epochs, ids) to prepared inputs and encoded targets: one function, so that threads and workers agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork.data import threads
from torchwork.data.augment.build import Augmentation
from torchwork.data.dataset import DatasetSource
from torchwork.data.decoding import Decoded, FileImages
from torchwork.data.pipelines.images import Images
from torchwork.data.pipelines.stack import stacked
from torchwork.data.soft import SoftTarget
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.types import Source

Key = tuple[np.ndarray, np.ndarray]


class Reading:
    """From (epochs, ids) to prepared inputs and encoded targets on the host.

    The epoch of each sample is counted in the low 32 bits, and above them how often it came before in that epoch.

    Args:
        source: Where the samples are.
        pipeline: The fitted transforms.
        target: The meaning of the targets, or None where there are none.
        decoded: The images of files after the steps, where the samples are such.
        sizing: An augmentation that takes images of any size and sets it, where there is one.
        seed: What ``sizing`` draws from, with epoch and sample.
    """

    def __init__(
        self,
        source: Source,
        pipeline: Pipeline,
        target: Target | SoftTarget | None,
        *,
        decoded: Decoded | None = None,
        sizing: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self._source = source
        self._pipeline = pipeline
        self._target = target
        self._decoded = decoded
        self._sizing = sizing
        self._seed = seed
        #: How many threads decode; None: one for each core.
        self.num_threads: int | None = None

    @property
    def keeps(self) -> bool:
        """Whether an image that was decoded once is kept, in memory or on disk."""
        return self._decoded is not None and self._decoded.store is not None

    @property
    def keeps_in_memory(self) -> bool:
        """Whether the images are kept in memory."""
        return self._decoded is not None and self._decoded.store is not None and self._decoded.store.in_memory

    def keep(self, ids: np.ndarray) -> None:
        """Decode the images ``ids`` now, so that what is wrong with them is known before training.

        Raises:
            InputError: files that cannot be read, all of them by name.
        """
        assert self._decoded is not None
        self._decoded.fill(ids)

    def __call__(self, key: Key, into: Tensor | None = None) -> tuple[Any, Tensor]:
        """Return inputs and target; ``into`` is a batch of image files that may be written over."""
        epochs, ids = key
        if self._decoded is not None:
            raw = None if self._source.targets is None else self._source.targets[ids]
            found = self._decoded.batch(ids, self._sized(epochs, ids), count=self.num_threads, into=into)
            return stacked(found, self._pipeline.where), self.target(raw, ids)
        inputs, raw = self._read(epochs, ids)
        sized = self._sized(epochs, ids)
        if sized is None or not isinstance(self._pipeline.way, Images):
            return self._pipeline.prepare(inputs), self.target(raw, ids)
        way = self._pipeline.way
        images = threads.over(lambda place: sized(place, way.prepare_unsized(inputs[place])), range(len(ids)))
        return torch.stack(images), self.target(raw, ids)

    def _read(self, epochs: np.ndarray, ids: np.ndarray) -> tuple[Any, Any]:
        size = self._pipeline.size_hint
        if isinstance(self._source, DatasetSource):
            return self._source.read(ids, epoch=epochs, size=size)
        return self._source.read(ids, epoch=int(epochs[0]) & 0xFFFFFFFF, size=size)

    def target(self, raw: Any, ids: np.ndarray) -> Tensor:
        """Return the encoded targets; [B, 0] where there are none."""
        if self._target is None or raw is None:
            return torch.empty((len(ids), 0), dtype=self._pipeline.dtype)
        return self._target.at(ids, raw, self._pipeline.dtype)

    def _sized(self, epochs: np.ndarray, ids: np.ndarray) -> Any:
        """Return what gives the image at a place of ``ids`` its size, or None."""
        if self._sizing is None:
            return None
        return self._sizing.operation.at(self._sizing.keys(self._seed, epochs, ids))  # type: ignore[attr-defined]


def reading(
    source: Source,
    indices: np.ndarray,
    pipeline: Pipeline,
    target: Target | SoftTarget | None,
    *,
    sizing: Augmentation | None,
    seed: int,
) -> Reading:
    """Return how the samples ``indices`` are read in each epoch; image files with what keeps them between epochs."""
    decoded = None
    if isinstance(source, FileImages) and isinstance(pipeline.way, Images):
        decoded = pipeline.decoded(source, indices, sized=sizing is None)
    return Reading(source, pipeline, target, decoded=decoded, sizing=sizing, seed=seed)
