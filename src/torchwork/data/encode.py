"""Category columns as numbers: a column for each level, or the place of each level among all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from torchwork.data.impute import MISSING
from torchwork.data.wording import named
from torchwork.types import Finding


class OneHot:
    """Turn category columns of a table into one column of 0 and 1 for each of their levels.

    The levels are those of the training split, sorted. A level that train lacks is an error, or with
    ``unknown: zeros`` a row of zeros. Every category column that no other step names is treated so, without a step too.

    Args:
        unknown: What becomes of a level that train lacks: error or zeros.
        columns: The category columns; by default all that no other OneHot or Ordinal names.

    >>> step = OneHot()
    >>> levels = step.learn(np.array(["red", "blue"], dtype=object))
    >>> codes, finding = step.encode("colour", np.array(["red", "blue"], dtype=object), levels)
    >>> levels, step.expand(codes, levels).tolist()
    (['blue', 'red'], [[0.0, 1.0], [1.0, 0.0]])
    """

    def __init__(self, unknown: Literal["error", "zeros"] = "error", columns: list[str] | None = None) -> None:
        self.unknown = unknown
        self.columns = columns

    def learn(self, texts: np.ndarray) -> list[str]:
        """Return the levels of a column from the training rows' texts [N]."""
        return sorted(set(texts.tolist()))

    def encode(self, column: str, texts: np.ndarray, levels: Sequence[str]) -> tuple[Tensor, Finding | None]:
        """Return the place of each text [B] among the levels, float64, -1 for an unknown one, and what is wrong."""
        places = _places(texts, levels)
        return places, _unknown(column, texts, places, levels, "OneHot, unknown: zeros") if self._strict else None

    def expand(self, codes: Tensor, levels: Sequence[str]) -> Tensor:
        """Return [B, number of levels] of 0 and 1 from codes [B]."""
        return (codes[:, None] == torch.arange(len(levels), device=codes.device)).to(codes.dtype)

    @property
    def _strict(self) -> bool:
        return self.unknown == "error"

    def __repr__(self) -> str:
        return f"OneHot(unknown: {self.unknown})"


class Ordinal:
    """Turn category columns of a table into numbers: the place of each level, as scikit-learn's OrdinalEncoder.

    The levels are those of the training split, sorted, or those of ``order``; the first is 0. The numbers may be
    scaled by a later step that names the column.

    Args:
        unknown: What becomes of a level that train lacks (or ``order``): error, or the number that stands for it.
        order: All levels in their order, where the alphabet's is not meant.
        columns: The category columns; by default all that no other OneHot or Ordinal names.

    Raises:
        ValueError: a level stands twice in ``order``.

    >>> step = Ordinal(order=["small", "large"], unknown=-1)
    >>> step.encode("size", np.array(["large", "small", "huge"], dtype=object), ["small", "large"])[0].tolist()
    [1.0, 0.0, -1.0]
    """

    def __init__(
        self,
        unknown: Literal["error"] | float = "error",
        order: list[str] | None = None,
        columns: list[str] | None = None,
    ) -> None:
        if order is not None and len(set(order)) < len(order):
            raise ValueError(f"order is {order}; expected each level once")
        self.unknown = unknown
        self.order = order
        self.columns = columns

    def learn(self, texts: np.ndarray) -> list[str]:
        """Return the levels of a column from the training rows' texts [N]."""
        return list(self.order) if self.order is not None else sorted(set(texts.tolist()))

    def encode(self, column: str, texts: np.ndarray, levels: Sequence[str]) -> tuple[Tensor, Finding | None]:
        """Return the place of each text [B] among the levels, float64, and what is wrong where one is unknown."""
        places = _places(texts, levels)
        if isinstance(self.unknown, str):
            return places, _unknown(column, texts, places, levels, "Ordinal, unknown: -1")
        return torch.where(places < 0, float(self.unknown), places), None

    def expand(self, codes: Tensor, levels: Sequence[str]) -> Tensor:
        """Return the codes [B] as a column [B, 1]."""
        return codes[:, None]

    def __repr__(self) -> str:
        return f"Ordinal(unknown: {self.unknown})"


def _places(texts: np.ndarray, levels: Sequence[str]) -> Tensor:
    place_of = {level: float(place) for place, level in enumerate(levels)}
    return torch.tensor([place_of.get(text, -1.0) for text in texts.tolist()], dtype=torch.float64)


def _unknown(column: str, texts: np.ndarray, places: Tensor, levels: Sequence[str], step: str) -> Finding | None:
    lacking = sorted(set(texts[places.numpy() < 0].tolist()))
    if not lacking:
        return None
    message = f"column {column!r} holds {named(map(repr, lacking))}, which the training split lacks"
    message += f" (it has {named(map(repr, levels))})"
    fix = f"leave the column out with data.source.columns, or add {{name: {step}}} to data.transform"
    if lacking == [MISSING]:
        fix = f"fill in what is missing there, or add {{name: {step}}} to data.transform"
    return Finding("unknown-category", "error", "data.transform", message, fix)
