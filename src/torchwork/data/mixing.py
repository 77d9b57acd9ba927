"""MixUp and CutMix: who is mixed with whom, and what becomes of the targets."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchwork import rng
from torchwork.data.augment.build import Augmentation


class Mixing:
    """One mixing operation over the batches of a training split.

    The partner of a sample is drawn from the whole split by (seed, epoch, sample), not from the batch, and is augmented
    as it is in this epoch. The target becomes ``lam · target + (1 − lam) · target of the partner``.

    Args:
        augmentation: MixUp or CutMix.
        count: How many samples the split has.
        seed: The run's.
    """

    def __init__(self, augmentation: Augmentation, count: int, seed: int) -> None:
        self._augmentation = augmentation
        self._count = count
        self._seed = seed

    def partners(self, epoch: int | np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Return the place in the split of each sample's partner, int64 [B]."""
        keys = rng.keys(self._seed, "partner", self._augmentation.place, epoch, ids)
        return (rng.uniform(keys, 1)[:, 0] * self._count).astype(np.int64)

    def __call__(
        self, inputs: Tensor, target: Tensor, epoch: int | np.ndarray, ids: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Return inputs [B, C, H, W] and targets [B, k] mixed, from finished ones [2B, ...]: samples, then partners.

        Raises:
            InputError: the samples are no images.
        """
        self._augmentation.check(inputs)
        length = len(ids)
        keys = self._augmentation.keys(self._seed, epoch, ids)
        operation = self._augmentation.operation
        mixed = operation.draw(keys, *inputs.shape[-2:])  # type: ignore[attr-defined]
        both = operation.apply(inputs[:length], inputs[length:], mixed)  # type: ignore[attr-defined]
        lam = torch.from_numpy(mixed.lam).to(target.device, target.dtype).view(-1, *[1] * (target.dim() - 1))
        return both, lam * target[:length] + (1 - lam) * target[length:]
