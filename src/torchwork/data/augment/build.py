"""From ``data.augment`` of a config to a list of augmentations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from torchwork import rng
from torchwork.data import AUGMENTS
from torchwork.data.component import construct
from torchwork.types import Finding, InputError


@dataclass(frozen=True)
class Augmentation:
    """An operation on whole batches and the purpose that its random numbers are keyed by."""

    operation: Callable[[Tensor, np.ndarray], Tensor]
    place: int
    name: str
    where: str
    sizes: bool = False  # takes images of any size, one at a time, and gives them one
    mixes: bool = False  # mixes each sample with another of the training split, and their targets
    sounds: bool = False  # does to a spectrogram what a sound can bear

    def keys(self, seed: int, epoch: int | np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Return the uint64 keys of samples: a function of the seed, the epoch, the sample and this operation."""
        return rng.keys(seed, "augment", self.place, self.name, epoch, ids)

    def __call__(self, images: Tensor, keys: np.ndarray, *, owned: bool = False) -> Tensor:
        """Return the augmented images [B, C, H, W]; ``owned`` ones may be changed where that spares a copy.

        Raises:
            InputError: the samples are no images, or of a size that the operation cannot take.
        """
        self.check(images)
        try:
            in_place = getattr(self.operation, "in_place", None) if owned else None
            return (in_place or self.operation)(images, keys)
        except ValueError as error:
            if self.name not in AUGMENTS:  # a user's own: its traceback says more
                raise
            raise InputError(Finding("wrong-size", "error", self.where, str(error))) from error

    def check(self, images: Any) -> None:
        """Raise InputError where samples are no images [B, C, H, W]."""
        if not isinstance(images, Tensor) or images.dim() != 4:
            message = f"{self.name} is for images [C, H, W], the samples are not"
            raise InputError(Finding("misfit", "error", self.where, message, "remove it"))

    def __repr__(self) -> str:
        return repr(self.operation)


def build(specs: Sequence[Mapping[str, Any]], where: str = "data.augment") -> list[Augmentation]:
    """Return the augmentations of a config, in its order.

    A name is one of the catalog, or the import path of a class whose objects take (images [B, C, H, W], keys uint64
    [B]) and return images. One with an attribute ``sizes = True`` stands first, and has a method ``one(image, key)``
    for an image of any size; one with ``mixes = True`` stands last, and has MixUp's methods ``draw`` and ``apply``.

    Raises:
        InputError: an unknown name or option, a value out of range, an operation out of its place.

    >>> build([{"name": "RandomHorizontalFlip", "p": 0.25}])
    [RandomHorizontalFlip(p=0.25)]
    """
    built, findings = [], []
    for place, spec in enumerate(specs):
        at = f"{where}[{place}]"
        operation, wrong = construct(spec, AUGMENTS, "augmentation", at)
        findings += wrong
        if not wrong:
            traits = {trait: getattr(operation, trait, False) is True for trait in ("sizes", "mixes", "sounds")}
            built.append(Augmentation(operation, place, spec["name"], at, **traits))
            findings += _misplaced(built[-1], len(specs))
    if findings:
        raise InputError(findings)
    return built


def unfit(augmentations: Sequence[Augmentation], inputs: str) -> list[Finding]:
    """Return a warning for each operation of the catalog that is made for pictures, where the samples are sounds.

    >>> unfit(build([{"name": "RandomHorizontalFlip"}]), "audio")[0].severity
    'warning'
    """
    message = "is made for pictures: across a spectrogram runs time, which a flip turns round, and up it the pitch"
    fix = "for sounds there are TimeMasking, FrequencyMasking, TimeWarp and FrequencyWarp"
    return [
        Finding("picture-augment", "warning", found.where, f"{found.name} {message}", fix)
        for found in augmentations
        if inputs == "audio" and found.name in AUGMENTS and not found.sounds
    ]


def _misplaced(augmentation: Augmentation, count: int) -> list[Finding]:
    """Return what is wrong with the place of an augmentation among ``count``."""
    name, where = augmentation.name, augmentation.where
    if augmentation.sizes and augmentation.place > 0:
        fix = "put it first, or use RandomCrop on images of one size"
        return [Finding("order", "error", where, f"{name} takes the images as they were read, so it stands first", fix)]
    if augmentation.mixes and augmentation.place < count - 1:
        fix = "put it last; there can be one such operation"
        return [Finding("order", "error", where, f"{name} mixes samples that are otherwise done", fix)]
    return []
