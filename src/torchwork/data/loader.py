"""Batches: in an order that is a function of (seed, epoch), the same for any number of workers, kept or read anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchwork import rng
from torchwork.data import threads
from torchwork.data.augment.build import Augmentation
from torchwork.data.dataset import DatasetSource
from torchwork.data.decoding import FileImages
from torchwork.data.memory import consecutive
from torchwork.data.mixing import Mixing
from torchwork.data.moving import moved
from torchwork.data.pairs import Companions
from torchwork.data.prefetch import SideStream, ahead
from torchwork.data.reading import Reading, reading
from torchwork.data.resident import SHARE, free_memory
from torchwork.data.sampling import Sampling, turns
from torchwork.data.soft import SoftTarget
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.data.wording import counted
from torchwork.data.workers import TIMEOUT, Workers, deaths_told
from torchwork.types import Batch, Finding, InputError, Source

# Kept data that need no augmentation are kept as floats, ready for the model, up to this size, which the processor's
# cache holds: they then cost a batch nothing but the copy. Beyond it, to copy floats takes as long as to make them.
FINISHED_BYTES = 4 * 2**20


class Loader:
    """The batches of one split.

    Args:
        source: Where the samples are.
        indices: Which of them.
        pipeline: Fitted transforms. Its ``dtype`` must be set before.
        target: The meaning of the targets, or None where there are none: the batches' targets then are [B, 0].
        augments: What ``augment.build.build`` gave.
        batch_size: Samples a batch; the last one may be smaller.
        shuffle: Draw a new order for each epoch.
        drop_last: Leave out the last batch where it is smaller.
        num_workers: Processes that read what is neither kept in memory nor on disk; 0: threads, or this process for a
            user's data set. Any number gives the same bytes.
        seed: With the epoch it decides the order, and with the sample what augmentation and data set draw.
        device: Where the batches go.
        resident: Keep the prepared data in memory (True), read them anew in each epoch (False), or decide by size
            (None: see ``resident.SHARE``). A user's data set is always read anew, as it may draw in each epoch.
        companions: Who goes with whom. A batch then has B rows of m samples: inputs [B, m, ...], the targets of the
            members [B, m, ...] (or float [B] of 1 and -1, where a user's file gives those) and the anchors' ids [B].
        sampling: Which samples an epoch draws, and how often; None: each once. Each time that a sample is drawn it is
            augmented in another way.
        late: Read nothing before the first batch is asked for.
        timeout: Seconds after which a worker that is still at the same sample counts as hung; None: never.

    Raises:
        InputError: unreadable images, images that do not stack, a class that is not known, ``drop_last`` with a batch
            size over the number of samples.

    >>> from torchwork.data.builtin import Iris
    >>> source, ids = Iris(), np.arange(150)
    >>> pipeline = Pipeline([], source.schema)
    >>> target = Target.fit(source.schema, source.targets, {"train": ids}, source.name)
    >>> loader = Loader(source, ids, pipeline=pipeline, target=target, batch_size=64, shuffle=True)
    >>> [tuple(batch.inputs.shape) for batch in loader.batches(1)]
    [(64, 4), (64, 4), (22, 4)]
    """

    def __init__(
        self,
        source: Source,
        indices: np.ndarray,
        *,
        pipeline: Pipeline,
        target: Target | SoftTarget | None,
        augments: Sequence[Augmentation] = (),
        batch_size: int,
        shuffle: bool = False,
        drop_last: bool = False,
        num_workers: int = 0,
        seed: int = 0,
        device: torch.device | str = "cpu",
        resident: bool | None = None,
        companions: Companions | None = None,
        sampling: Sampling | None = None,
        late: bool = False,
        timeout: float | None = TIMEOUT,
    ) -> None:
        if isinstance(source, DatasetSource):
            source = source.seeded(seed)
        self.indices = np.asarray(indices, np.int64)
        self.batch_size = batch_size
        self.device = torch.device(device)
        self._source, self._pipeline, self._target = source, pipeline, target
        self._augments = tuple(augment for augment in augments if not augment.sizes and not augment.mixes)
        self._sizing = next((augment for augment in augments if augment.sizes), None)
        self._shuffle, self._drop_last, self._seed = shuffle, drop_last, seed
        self._companions, self._sampling = companions, sampling
        self._count = len(self.indices) if companions is None else len(companions)
        self._mixing = next((Mixing(augment, self._count, seed) for augment in augments if augment.mixes), None)
        if drop_last:
            check_batch_size(batch_size, self._count)
        if isinstance(source, FileImages) and self._sizing is None:
            pipeline.check_sizes(source.sizes[self.indices], lambda place: source.name(int(self.indices[place])))
        self._num_workers, self._timeout = num_workers, timeout
        self.share = (0, 1)  # which part of each batch this process takes, of how many: its rank and the world
        self._wanted = resident
        self._kept: Tensor | None = None
        self._finished = False
        self._reading: Reading | None = None
        self._workers: Workers | None = None
        if not late:
            self._open()

    def _open(self) -> None:
        """Read what is to be kept in memory, or make ready to read in each epoch."""
        if self._reading is not None:
            return
        self._reading = reading(
            self._source,
            self.indices,
            self._pipeline,
            self._target,
            sizing=self._sizing,
            seed=self._seed,
        )
        if self._wanted is not False and self._sizing is None:
            self._kept = self._pipeline.read_all(self._source, self.indices, np.inf if self._wanted else None)
        if self._kept is not None:
            raw = None if self._source.targets is None else self._source.targets[self.indices]
            self._targets = self._reading.target(raw, self.indices).to(self.device)
            self._kept = self._settle(self._kept)
        elif self._reading.keeps_in_memory:
            self._reading.keep(self.indices)
        elif self._num_workers and not self._reading.keeps:
            self._workers = Workers(
                self._reading, self._num_workers, self.device, timeout=self._timeout, name=self._source.name
            )

    def __len__(self) -> int:
        return self._count // self.batch_size if self._drop_last else -(-self._count // self.batch_size)

    @property
    def num_samples(self) -> int:
        """How many samples an epoch has; pairs or triplets, where there are companions."""
        return min(self._count, len(self) * self.batch_size)

    @property
    def resident(self) -> bool:
        """Whether a batch is no more than a copy of what is kept in memory, ready but for augmentation."""
        return self._kept is not None

    @property
    def reads_ahead(self) -> bool:
        """Whether threads read the next batches while the model is at work."""
        self._open()
        return self._kept is None and self._workers is None and not isinstance(self._source, DatasetSource)

    def order(self, epoch: int) -> np.ndarray:
        """Return the source's ids in the order in which the epoch goes through them: the anchors of rows."""
        rows = self._rows(epoch)
        return self.indices[rows if self._companions is None else self._companions.anchors[rows]]

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from batch number ``start`` on, the same as when it starts at 0.

        No batch shares memory with another or with what the loader keeps. With a ``share`` it is this process's rows of
        each batch; where it has none of them, the first row stands in, and the batch has no ids: nothing of it counts.
        """
        self._open()
        rows = self._rows(epoch)
        members = rows[:, None] if self._companions is None else self._companions.members(epoch, rows)
        places, each = members.reshape(-1), members.shape[1]
        ids = self.indices[places]
        when = turns(epoch, places) if self._sampling is not None else np.full(len(places), epoch)
        times = when
        size, stop = self.batch_size * each, self.num_samples * each
        cuts = [slice(at, min(at + size, stop)) for at in range(start * size, stop, size)]
        counts = [True] * len(cuts)
        if self.share != (0, 1):
            cuts, counts = _shared(cuts, each, *self.share)
        parts = cuts
        if self._mixing is not None and cuts:  # the partners are read behind the samples, and augmented like them
            partners = self._mixing.partners(when, ids)
            partners = partners if self._sampling is None else rows[partners]
            places = np.concatenate([drawn[cut] for cut in cuts for drawn in (places, partners)])
            times = np.concatenate([drawn[cut] for cut in cuts for drawn in (when, np.full_like(when, epoch))])
            ends = np.cumsum([2 * (cut.stop - cut.start) for cut in cuts]).tolist()
            parts = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        wanted = self.indices[places]
        keys = [augment.keys(self._seed, times, wanted) for augment in self._augments]
        raw = self._read_anew(times, wanted, parts) if self._kept is None else self._pick(places, parts)
        with deaths_told():
            for cut, part, counted in zip(cuts, parts, counts, strict=True):
                read = list(next(raw))
                target = read.pop()  # and the inputs below: what was read is gone as soon as it is floats
                inputs = read.pop() if self._finished else self._ready(read.pop(), [drawn[part] for drawn in keys])
                if self._mixing is not None:
                    inputs, target = self._mixing(inputs, target, when[cut], ids[cut])
                batch = Batch(inputs, target, ids[cut])
                del inputs, target
                batch = batch if self._companions is None else self._rowed(batch, rows[cut.start // each :])
                yield batch if counted else batch._replace(ids=batch.ids[:0])

    def close(self) -> None:
        """End the worker processes, if there are any."""
        if self._workers is not None:
            self._workers.close()

    def _rows(self, epoch: int) -> np.ndarray:
        """Return the order of the epoch: places in the split, or rows of the companions."""
        order = rng.permutation(self._count, self._seed, "order", epoch) if self._shuffle else np.arange(self._count)
        return order if self._sampling is None else self._sampling.places(self._seed, epoch)[order]

    def _rowed(self, batch: Batch, rows: np.ndarray) -> Batch:
        """Lay the members of each pair or triplet, which stand one after the other, side by side."""
        assert self._companions is not None
        each = self._companions.num_members
        inputs = batch.inputs
        if isinstance(inputs, dict):
            inputs = {name: value.unflatten(0, (-1, each)) for name, value in inputs.items()}
        else:
            inputs = inputs.unflatten(0, (-1, each))
        signs = self._companions.signs
        if signs is None:
            return Batch(inputs, batch.target.unflatten(0, (-1, each)), batch.ids[::each])
        target = torch.from_numpy(signs[rows[: len(batch.ids) // each]]).to(self.device, self._pipeline.dtype)
        return Batch(inputs, target, batch.ids[::each])

    def _settle(self, kept: Tensor) -> Tensor:
        """Finish what is kept where that is small and final, and put it on the device where it fits there."""
        if not self._augments and self._pipeline.finish(kept[:1]).nbytes * len(kept) <= FINISHED_BYTES:
            self._finished = True
            return self._ready(kept, [])
        if self.device.type == "cuda" and kept.nbytes <= SHARE * free_memory(self.device):
            return kept.to(self.device)
        return kept

    def _ready(self, inputs: Any, keys: list[np.ndarray]) -> Any:
        """Augment and finish, on the device where the inputs are uint8 (a quarter of the bytes to move)."""
        on_device = isinstance(inputs, Tensor) and inputs.dtype == torch.uint8
        if on_device:
            inputs = moved(inputs, self.device)
        for augment, drawn in zip(self._augments, keys, strict=bool(keys)):
            inputs = augment(inputs, drawn, owned=True)
        return moved(self._pipeline.finish(inputs), self.device)

    def _pick(self, places: np.ndarray, parts: list[slice]) -> Iterator[tuple[Any, Tensor]]:
        assert self._kept is not None
        order = torch.from_numpy(places)
        rows_of_kept, rows_of_targets = order.to(self._kept.device), order.to(self.device)
        # images of which floats are made anyway need not be copied before, where they stand in order
        images = self._pipeline.schema.inputs == "image" and self._kept.dtype == torch.uint8
        standing = self._kept[places[0] :] if images and not self._augments and consecutive(places) else None
        for part in parts:
            inputs = self._kept.index_select(0, rows_of_kept[part]) if standing is None else standing[part]
            yield inputs, self._targets.index_select(0, rows_of_targets[part])

    def _read_anew(self, times: np.ndarray, ids: np.ndarray, parts: list[slice]) -> Iterator[tuple[Any, Tensor]]:
        assert self._reading is not None
        keys = [(times[part], ids[part]) for part in parts]
        if self._workers is not None:
            read = self._workers.read(keys)
        elif isinstance(self._source, DatasetSource):  # it draws from the global generators, which the model uses too
            read = map(self._reading, keys)
        else:
            read = self._ahead(keys)

        def there(pair: tuple[Any, Tensor]) -> tuple[Any, Tensor]:
            return pair[0], moved(pair[1], self.device)

        return map(there, read)  # a generator would hold a batch until it is asked for the next

    def _ahead(self, keys: list[Any]) -> Iterator[tuple[Any, Tensor]]:
        """Return batches that a thread reads, and sends to the device, while the model is at work on those before.

        Two batches of uint8 take turns: one is read while floats, or a copy on the device, are made of the other. New
        ones for each would leave holes in the memory that a batch of floats does not fit into.
        """
        assert self._reading is not None
        side, read = SideStream(self.device), self._reading
        read.num_threads = threads.beside(torch.get_num_threads())

        used: list[Tensor] = []

        def sent(key: Any) -> tuple[Any, Tensor]:
            inputs, target = read(key, used.pop(0) if len(used) == 2 else None)
            if isinstance(inputs, Tensor) and inputs.dtype == torch.uint8:
                used.append(inputs)
            return side.send(inputs), target

        def arrived(pair: tuple[Any, Tensor]) -> tuple[Any, Tensor]:
            return side.arrived(pair[0]), pair[1]

        return map(arrived, ahead(map(sent, keys)))


def _shared(cuts: list[slice], each: int, rank: int, world: int) -> tuple[list[slice], list[bool]]:
    """Return a process's rows of each batch, of ``each`` places a row, and whether they count.

    The rows are shared out as evenly as can be, the first processes getting more. Where there are none, the batch's
    first row stands in.

    >>> _shared([slice(0, 5), slice(5, 6)], 1, 1, 2)
    ([slice(3, 5, None), slice(5, 6, None)], [True, False])
    """
    own, counts = [], []
    for cut in cuts:
        rows = (cut.stop - cut.start) // each
        first, end = (-(-rows * place // world) for place in (rank, rank + 1))
        counts.append(first < end)
        start = cut.start + first * each if first < end else cut.start
        own.append(slice(start, start + max(1, end - first) * each))
    return own, counts


def check_batch_size(batch_size: int, num_samples: int, where: str = "data.batch_size") -> None:
    """Refuse a batch size over the number of training samples.

    Raises:
        InputError: at ``where``.

    >>> check_batch_size(10, 10)
    """
    if batch_size > num_samples:
        message = f"got {batch_size}, but the training split has {counted(num_samples, 'sample', 'samples')}"
        raise InputError(Finding("batch-size", "error", where, message, f"choose at most {num_samples}"))
