"""Number columns of a table on one scale, by figures of the training split."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchwork.data.normalize import Moments

_EPS = torch.finfo(torch.float64).eps


class Standardize:
    """Bring columns of a table to mean 0 and standard deviation 1: ``(x - mean) / std``, as StandardScaler does.

    The figures are those of the training split, in float64, std over N. On a table Normalize does the same to
    all number columns; this one can name some. A constant column becomes 0.

    Args:
        columns: The columns; by default all number columns that no other scaling step names. A category column may be
            named after Ordinal has made numbers of it.

    >>> center, scale = Standardize().measure(torch.tensor([[1.0], [3.0]], dtype=torch.float64))
    >>> center.tolist(), scale.tolist()
    ([2.0], [1.0])
    """

    def __init__(self, columns: list[str] | None = None) -> None:
        self.columns = columns

    def measure(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and std, float64 [n] each, of training rows [N, n]; the std of a constant column as 1."""
        moments = Moments()
        moments.add(x)
        return moments.result()

    def __repr__(self) -> str:
        return "Standardize()"


class RobustScale:
    """Scale columns of a table by what outliers do not move: ``(x - median) / (q75 - q25)``, as RobustScaler does.

    The figures are those of the training split; between two rows a quantile is interpolated linearly. Where half of a
    column is one value, q75 - q25 may be 0, and the division is by 1.

    Args:
        columns: The columns; by default all number columns that no other scaling step names. A category column may be
            named after Ordinal has made numbers of it.

    >>> center, scale = RobustScale().measure(torch.tensor([[0.0], [1.0], [2.0], [3.0], [100.0]]))
    >>> center.tolist(), scale.tolist()
    ([2.0], [2.0])
    """

    def __init__(self, columns: list[str] | None = None) -> None:
        self.columns = columns

    def measure(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return median and interquartile range, float64 [n] each, of training rows [N, n]."""
        low, middle, high = np.quantile(x.double().numpy(), [0.25, 0.5, 0.75], axis=0)
        scale = torch.from_numpy(high - low)
        return torch.from_numpy(middle), torch.where(scale < 10 * _EPS, 1.0, scale)

    def __repr__(self) -> str:
        return "RobustScale()"
