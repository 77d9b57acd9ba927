"""Mean 0 and standard deviation 1, by figures that are given or measured on the training split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from torchwork.data.wording import counted
from torchwork.types import Finding, InputError


class Normalize:
    """Subtract a mean and divide by a standard deviation: each channel of images, each column of tables and arrays.

    Left out, they are measured on the training split only, in float64, over all samples (and pixels): std is
    ``sqrt(mean((x - mean)²))``. Given, they are a number for each channel or column, or one number for all; those of
    images refer to levels from 0 to 1, as in torchvision. Where the measured std is 0 (a constant column) the division
    is by 1, so that the column becomes 0.

    >>> Normalize(mean=[0.5], std=[0.25]).apply(torch.full((1, 1, 2, 2), 0.75)).unique()
    tensor([1.])
    """

    def __init__(self, mean: float | list[float] | None = None, std: float | list[float] | None = None) -> None:
        if (mean is None) != (std is None):
            raise ValueError("mean and std go together: give both, or none and they are measured on train")
        self.given = mean is not None
        self.mean: Tensor | None = None
        self.std: Tensor | None = None
        self._cast: dict[tuple[Any, ...], list[Tensor]] = {}
        if mean is not None and std is not None:
            spread = _as_tensor(std, "std")
            self.set(_as_tensor(mean, "mean"), spread)
            if bool((spread <= 0).any()):
                raise ValueError(f"std is {std}; expected numbers above 0")

    def set(self, mean: Tensor, std: Tensor) -> None:
        """Fix the figures: float64 [channels] each, or [1] for all channels."""
        if mean.shape != std.shape and 1 not in (len(mean), len(std)):
            raise ValueError(f"mean has {counted(len(mean), 'number', 'numbers')} and std {len(std)}")
        self.mean, self.std = mean.double(), std.double()
        self._cast.clear()

    def apply(self, x: Tensor) -> Tensor:
        """Return floats [B, C, ...] normalised in place along axis 1."""
        mean, std = self._figures(x, "numbers", lambda mean, std: (mean, std))
        return x.sub_(mean).div_(std)

    def apply_to_levels(self, x: Tensor) -> Tensor:
        """Return what ``apply`` gives of ``x / 255``, but for rounding, in two passes: ``x / (255 std) - mean / std``.

        >>> Normalize(mean=[0.5], std=[0.25]).apply_to_levels(torch.full((1, 1, 1, 2), 255.0))
        tensor([[[[2., 2.]]]])
        """
        scale, shift = self._figures(x, "levels", lambda mean, std: (1 / (255 * std), -mean / std))
        return x.mul_(scale).add_(shift)

    def _figures(self, x: Tensor, name: str, of: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> list[Tensor]:
        """Return figures computed from mean and std in float64, as tensors that meet ``x`` along axis 1."""
        key = (name, x.device, x.dtype, x.dim())
        if key not in self._cast:
            assert self.mean is not None
            assert self.std is not None
            ones = (1,) * (x.dim() - 2)
            self._cast[key] = [figure.to(x.device, x.dtype).view(1, -1, *ones) for figure in of(self.mean, self.std)]
        return self._cast[key]

    def copied(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return numbers [B, C, ...] normalised as ``dtype``, computed in float64 where they are that."""
        exact = x.to(torch.float64 if x.dtype == torch.float64 else dtype, copy=True)
        return self.apply(exact).to(dtype)

    def state(self) -> dict[str, Tensor]:
        """Return what was measured or given, float64: ``normalize.mean`` and ``normalize.std``, where there is any."""
        return {} if self.mean is None or self.std is None else {"normalize.mean": self.mean, "normalize.std": self.std}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what ``state`` gave."""
        self.set(state["normalize.mean"], state["normalize.std"])

    def __repr__(self) -> str:
        if self.mean is None or self.std is None:
            return "Normalize(measured on train)"
        if len(self.mean) > 4:
            return f"Normalize({len(self.mean)} means and stds)"
        return f"Normalize(mean={_short(self.mean)}, std={_short(self.std)})"


def learn_normalize(normalize: Normalize, passes: Callable[[], Iterator[Any]], where: str) -> None:
    """Measure mean and std over prepared training samples, or check those that were given against the first batch.

    Raises:
        InputError: samples without channels or columns, or figures for another number of them.
    """
    moments = Moments()
    image = False
    for batch in passes():
        if not isinstance(batch, Tensor) or batch.dim() < 2:
            raise InputError(_unmeasurable(where))
        if normalize.given:
            _check_given(normalize, batch.shape[1], where)
            return
        image = batch.dtype == torch.uint8
        moments.add(batch)
    normalize.set(*moments.result(1 / 255 if image else 1.0))


def _check_given(normalize: Normalize, columns: int, where: str) -> None:
    for name, values in (("mean", normalize.mean), ("std", normalize.std)):
        assert values is not None
        if len(values) not in (1, columns):
            said = counted(len(values), "number", "numbers")
            wanted = counted(columns, "channel or column", "channels or columns")
            message = f"Normalize has {said} for {name}, the data have {wanted}"
            raise InputError(Finding("wrong-length", "error", where, message, f"give {columns}, or one"))


def _unmeasurable(where: str) -> Finding:
    message = "Normalize takes samples that are one tensor with channels or columns; these are not"
    return Finding("misfit", "error", where, message, "remove it, and normalise in the data set")


def _as_tensor(value: float | list[float], name: str) -> Tensor:
    tensor = torch.as_tensor(value, dtype=torch.float64).flatten()
    if len(tensor) == 0 or not bool(tensor.isfinite().all()):
        raise ValueError(f"{name} is {value}; expected finite numbers, one for each channel or column")
    return tensor


def _short(values: Tensor) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values.tolist()) + "]"


class Moments:
    """Mean and standard deviation along axis 1 of a stream of batches.

    uint8 batches are summed as integers, exactly; floats by the pairwise update of Chan, Golub and LeVeque ("Updating
    formulae and a pairwise algorithm for computing sample variances", 1979) in float64.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, batch: Tensor) -> None:
        """Take in a batch [B, C, ...]."""
        columns = batch.transpose(0, 1).flatten(1)
        count = columns.shape[1]
        if batch.dtype == torch.uint8:
            levels = torch.stack([torch.bincount(column, minlength=256) for column in columns]).double()
            value = torch.arange(256, dtype=torch.float64)
            mean = levels @ value / count
            squares = (levels * (value - mean[:, None]) ** 2).sum(1)
        else:
            columns = columns.double()
            mean = columns.mean(1)
            squares = (columns - mean[:, None]).square().sum(1)
        if self._mean is None or self._squares is None:
            self._count, self._mean, self._squares = count, mean, squares
            return
        total = self._count + count
        delta = mean - self._mean
        self._squares = self._squares + squares + delta.square() * (self._count * count / total)
        self._mean = self._mean + delta * (count / total)
        self._count = total

    def result(self, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return the mean and std, float64 [C], of the values times ``scale``; a std of 0 is given as 1.

        What rounding makes of a constant column counts as 0: ``var <= N eps var + (N mean eps)²``, the bound that
        scikit-learn's StandardScaler takes.
        """
        assert self._mean is not None
        assert self._squares is not None
        variance = self._squares / self._count
        error = self._count * torch.finfo(torch.float64).eps
        constant = variance <= error * variance + (error * self._mean).square()
        return self._mean * scale, torch.where(constant, 1.0, variance.sqrt() * scale)
