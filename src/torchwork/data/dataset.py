"""Any map-style ``torch.utils.data.Dataset`` as a source: what it draws is a function of (seed, epoch, sample)."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, Subset, default_collate

from torchwork import rng
from torchwork.data import marks, user_errors
from torchwork.types import Fault, Finding, InputError, RunError, Schema

# Items that are held together while only their targets are wanted.
_AT_A_TIME = 64
# A label is a place among the model's outputs; one beyond this is an identifier, and no model has that many outputs.
_MOST_CLASSES = 1_000_000


@contextmanager
def kept_generators() -> Iterator[None]:
    """Give ``random``, ``numpy.random`` and torch's CPU generator back their states at the end."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def seed_generators(seed: int) -> None:
    """Seed the three global generators. ``torch.manual_seed`` would take 100 µs, as it looks for devices."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


class DatasetSource:
    """The samples of a user's data set: each item a pair (input, target).

    An input is a PIL image, a uint8 image (tensor [C, H, W] or array [H, W] or [H, W, C], with 1 or 3 channels), any
    other tensor, array or number, or a dict of tensors. A target is a whole number or text (a class) or a float or
    vector of floats (numbers). Whole numbers are the model's output places, as in PyTorch: they are not renumbered;
    ``classes`` of the data set names them.

    Before each item ``random``, ``numpy.random`` and torch's CPU generator are seeded by (seed, epoch, sample), and
    afterwards given back their states; generators that the data set holds itself are its own affair. A data set with
    ``__getitems__`` is asked for a whole batch at a time, seeded by (seed, epoch, the batch's first sample): any number
    of workers gives the same batches, but what it draws for a sample depends on the batch.

    Raises:
        InputError: no ``__len__`` or ``__getitem__``, no samples, or items that are no pairs.
    """

    given: Mapping[str, np.ndarray] | None = None
    faults: Sequence[Fault] = ()
    annotations: Mapping[str, np.ndarray] = MappingProxyType({})

    def __init__(self, dataset: Dataset[Any], seed: int = 0) -> None:
        self.dataset = dataset
        self.seed = seed
        if isinstance(dataset, IterableDataset) or not all(
            callable(getattr(dataset, method, None)) for method in ("__len__", "__getitem__")
        ):
            message = f"{type(dataset).__name__} has no __len__ and __getitem__"
            raise InputError(Finding("not-indexable", "error", "", message, "give a map-style data set"))
        if len(self) == 0:
            raise InputError(Finding("no-samples", "error", "", f"{type(dataset).__name__} has no samples"))
        item = self.items(np.arange(1), epoch=0)[0]
        if not isinstance(item, tuple | list) or len(item) != 2:
            kind = f"{type(item).__name__} of {len(item)}" if isinstance(item, tuple | list) else type(item).__name__
            message = f"an item of {type(dataset).__name__} is a {kind}"
            raise InputError(Finding("no-pair", "error", "", message, "each item must be a pair (input, target)"))
        self._image = _is_image(item[0])
        self._class = _is_class(item[1])
        self._width = 0 if self._class else int(np.size(_number(item[1])))

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def name(self, index: int) -> str:
        return f"sample {index}"

    def seeded(self, seed: int) -> DatasetSource:
        """Return this source with another seed; what was already found out about the targets is kept."""
        found = copy.copy(self)
        found.seed = seed
        return found

    @cached_property
    def schema(self) -> Schema:
        inputs = "image" if self._image else "array"
        if not self._class:
            names = ("target",) if self._width == 1 else tuple(f"target_{place}" for place in range(self._width))
            return Schema(inputs, "number", target_names=names)  # type: ignore[arg-type]
        return Schema(inputs, "class", classes=self._class_names())  # type: ignore[arg-type]

    @cached_property
    def targets(self) -> np.ndarray:
        """The raw target of each sample: from ``targets`` or ``labels`` where those agree with the items, else read."""
        listed = _listed_targets(self.dataset)
        if listed is not None and len(listed) == len(self):
            probe = np.unique([0, len(self) // 2, len(self) - 1])
            items = self._targets_of(self.items(probe, epoch=0))
            try:
                found = self._targets_of([(None, target) for target in listed])
            except (TypeError, ValueError):
                found = items[:0]
            if len(found) == len(self) and found.dtype == items.dtype and np.array_equal(found[probe], items):
                return found
        every = np.arange(len(self))
        runs = [every[start : start + _AT_A_TIME] for start in range(0, len(self), _AT_A_TIME)]
        return np.concatenate([self._targets_of(self.items(run, epoch=0)) for run in runs])

    def read(
        self, indices: np.ndarray, *, epoch: int | np.ndarray, size: tuple[int, int] | None = None
    ) -> tuple[Any, np.ndarray]:
        items = self.items(indices, epoch)
        targets = self._targets_of(items)
        if self._image:
            images = [_as_image(item[0]) for item in items]
            alike = all(image.shape == images[0].shape for image in images)
            return (torch.stack(images) if alike else images), targets
        try:
            return default_collate([item[0] for item in items]), targets
        except RuntimeError as error:
            message = f"the inputs of {self.name(int(indices[0]))} and its companions do not stack: {error}"
            fix = "make the data set give inputs of one shape"
            raise InputError(Finding("unequal-sizes", "error", "data.source", message, fix)) from error

    def items(self, indices: np.ndarray, epoch: int | np.ndarray) -> list[Any]:
        """Return the data set's own items, each drawn from the generators seeded for it."""
        seeds = (rng.keys(self.seed, "dataset", epoch, np.asarray(indices)) >> np.uint64(32)).tolist()
        wanted = np.asarray(indices).tolist()
        with kept_generators():
            if wanted and _gives_batches(self.dataset):
                seed_generators(seeds[0])
                with _told(f"samples {wanted[0]} to {wanted[-1]}", self.dataset):
                    return self._as_many(wanted, self.dataset.__getitems__(wanted))  # type: ignore[attr-defined]
            items = []
            for index, seed in zip(wanted, seeds, strict=True):
                marks.sample(index)
                seed_generators(seed)
                with _told(f"sample {index}", self.dataset):
                    items.append(self.dataset[index])
        return items

    def _as_many(self, wanted: list[int], items: Any) -> list[Any]:
        found = list(items)
        if len(found) != len(wanted):
            message = f"__getitems__ of {type(self.dataset).__name__} gave {len(found)} items for {len(wanted)} indices"
            raise InputError(Finding("wrong-length", "error", "data.source", message, "return one item for each index"))
        return found

    def _targets_of(self, items: list[Any]) -> np.ndarray:
        if not self._class:
            return np.stack([np.asarray(_number(item[1]), np.float64).reshape(-1) for item in items])
        labels = [_label(item[1]) for item in items]
        whole = all(isinstance(label, int) for label in labels)
        return np.array(labels, np.int64 if whole else object)

    def _class_names(self) -> tuple[str, ...] | None:
        """Name the output places, or leave texts to the training split."""
        if self.targets.dtype != np.int64:
            return None
        named = _innermost(self.dataset, "classes")
        names = tuple(map(str, named)) if isinstance(named, list | tuple) else None
        least, most = int(self.targets.min()), int(self.targets.max())
        limit = _MOST_CLASSES if names is None else len(names)
        if least < 0 or most >= limit:
            wrong = least if least < 0 else most
            at = self.name(int(np.flatnonzero(self.targets == wrong)[0]))
            message = f"the label {wrong} of {at} is out of range"
            fix = f"expected whole numbers from 0 and below {limit}" + (", the classes that it names" if names else "")
            raise InputError(Finding("label-range", "error", "data.source", message, fix))
        return names if names is not None else tuple(str(label) for label in range(most + 1))


def _gives_batches(dataset: Any) -> bool:
    """Tell whether a data set has ``__getitems__``; torch's Subset has one that may only ask item by item."""
    if isinstance(dataset, Subset):
        return _gives_batches(dataset.dataset)
    return callable(getattr(dataset, "__getitems__", None))


@contextmanager
def _told(what: str, dataset: Any) -> Iterator[None]:
    try:
        yield
    except (InputError, RunError):
        raise
    except Exception as error:
        raise user_errors.told(f"{what} of {type(dataset).__name__} cannot be read", error) from error


def _listed_targets(dataset: Any) -> list[Any] | None:
    if isinstance(dataset, Subset):
        listed = _listed_targets(dataset.dataset)
        return None if listed is None else [listed[index] for index in dataset.indices]
    for name in ("targets", "labels"):
        listed = getattr(dataset, name, None)
        if isinstance(listed, Tensor | np.ndarray | list | tuple):
            return list(listed)
    return None


def _innermost(dataset: Any, name: str) -> Any:
    return _innermost(dataset.dataset, name) if isinstance(dataset, Subset) else getattr(dataset, name, None)


def _is_class(target: Any) -> bool:
    if isinstance(target, Tensor | np.ndarray | np.generic):
        return target.ndim == 0 and not _floating(target)
    return isinstance(target, int | str)


def _floating(value: Tensor | np.ndarray | np.generic) -> bool:
    return value.is_floating_point() if isinstance(value, Tensor) else bool(np.issubdtype(value.dtype, np.floating))


def _label(target: Any) -> int | str:
    value: Any = target.item() if isinstance(target, Tensor | np.ndarray | np.generic) else target
    return int(value) if isinstance(value, bool) else value


def _number(target: Any) -> Any:
    return target.detach().cpu().numpy() if isinstance(target, Tensor) else target


def _is_image(value: Any) -> bool:
    if isinstance(value, Image.Image):
        return True
    if isinstance(value, Tensor):
        return value.dtype == torch.uint8 and value.dim() == 3 and value.shape[0] in (1, 3)
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return value.ndim == 2 or (value.ndim == 3 and (value.shape[2] in (1, 3) or value.shape[0] in (1, 3)))
    return False


def _as_image(value: Any) -> Tensor:
    """Return uint8 [C, H, W]."""
    if isinstance(value, Image.Image):
        value = np.array(value if value.mode in ("L", "RGB") else value.convert("RGB"))
    if isinstance(value, np.ndarray):
        if value.ndim == 2:
            value = value[None]
        elif value.shape[2] in (1, 3):
            value = value.transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(value))
    return value
