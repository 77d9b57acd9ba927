"""A user's tensors or data set as batches, with nothing changed on the way: what `torchwork.fit` trains on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, default_collate

from torchwork import rng
from torchwork.data.moving import moved
from torchwork.data.wording import counted
from torchwork.data.workers import Workers
from torchwork.types import Batch, Finding, InputError

if TYPE_CHECKING:
    from torchwork.data.dataset import DatasetSource

Tensors = tuple[Tensor, Tensor]


class CollatedLoader:
    """Batches as PyTorch's ``DataLoader`` collates them, in the keyed order, the same for any number of workers.

    Args:
        data: A map-style data set whose items are pairs (input, target), or a pair of tensors with the samples along
            the first axis. A ``TensorDataset`` of two tensors is read as that pair, a whole batch at a time.
        where: What to call it in errors.
        batch_size, shuffle, drop_last, num_workers, seed, device: As for ``Loader``.

    Raises:
        InputError: no samples, no pairs, tensors of different lengths, or no full batch with ``drop_last``.

    >>> loader = CollatedLoader((torch.arange(5.0), torch.arange(5)), batch_size=2)
    >>> [batch.target.tolist() for batch in loader.batches(0)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        data: Dataset[Any] | Tensors,
        *,
        where: str = "train",
        batch_size: int = 64,
        shuffle: bool = False,
        drop_last: bool = False,
        num_workers: int = 0,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.batch_size, self._shuffle, self._drop_last, self._seed = batch_size, shuffle, drop_last, seed
        self.device = torch.device(device)
        self._workers: Workers | None = None
        if type(data) is TensorDataset and len(data.tensors) == 2:
            data = (data.tensors[0], data.tensors[1])
        if isinstance(data, tuple):
            self._tensors: Tensors | None = _checked(data, where)
            self._count = len(data[0])
        else:
            from torchwork.data.dataset import DatasetSource  # reads images too: tensors need none of it

            self._tensors = None
            self._reading = _Collating(DatasetSource(data, seed))
            self._count = len(self._reading.source)
            if num_workers:
                self._workers = Workers(self._reading, num_workers, self.device)
        if drop_last and batch_size > self._count:
            message = (
                f"drop_last leaves nothing of {counted(self._count, 'sample', 'samples')} in batches of {batch_size}"
            )
            raise InputError(Finding("batch-size", "error", where, message, f"choose at most {self._count}"))

    def __len__(self) -> int:
        return self._count // self.batch_size if self._drop_last else -(-self._count // self.batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from batch number ``start`` on, the same as when it starts at 0."""
        order = rng.permutation(self._count, self._seed, "order", epoch) if self._shuffle else np.arange(self._count)
        stop = min(self._count, len(self) * self.batch_size)
        cuts = [order[at : at + self.batch_size] for at in range(start * self.batch_size, stop, self.batch_size)]
        for ids, (inputs, target) in zip(cuts, self._read(epoch, cuts), strict=True):
            yield Batch(moved(inputs, self.device), moved(target, self.device), ids)

    def close(self) -> None:
        """End the worker processes, if there are any."""
        if self._workers is not None:
            self._workers.close()

    def _read(self, epoch: int, cuts: list[np.ndarray]) -> Iterator[Any]:
        if self._tensors is not None:
            inputs, targets = self._tensors
            rows = map(torch.from_numpy, cuts)
            if inputs.device.type == targets.device.type == "cpu":
                return ((inputs.index_select(0, r), targets.index_select(0, r)) for r in rows)
            return (tuple(part.index_select(0, r.to(part.device)) for part in (inputs, targets)) for r in rows)
        keys = [(epoch, ids) for ids in cuts]
        return map(self._reading, keys) if self._workers is None else self._workers.read(keys)


class _Collating:
    """From (epoch, ids) to a batch as ``default_collate`` makes it."""

    def __init__(self, source: DatasetSource) -> None:
        self.source = source

    def __call__(self, key: tuple[int, np.ndarray]) -> Any:
        epoch, ids = key
        return default_collate(self.source.items(ids, epoch))


def _checked(data: Tensors, where: str) -> Tensors:
    if len(data) != 2 or not all(isinstance(part, Tensor) for part in data):
        kinds = ", ".join(type(part).__name__ for part in data)
        fix = "give a data set, or a pair of tensors (inputs, targets)"
        raise InputError(Finding("no-pair", "error", where, f"is a tuple of {kinds}", fix))
    if len(data[0]) != len(data[1]) or len(data[0]) == 0:
        message = f"has {counted(len(data[0]), 'input', 'inputs')} and {counted(len(data[1]), 'target', 'targets')}"
        raise InputError(Finding("lengths", "error", where, message, "give a target for each input"))
    return data
