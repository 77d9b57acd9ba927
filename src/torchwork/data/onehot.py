"""Category columns as one column for each level."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from torchwork.data.wording import counted
from torchwork.types import Finding, InputError


class OneHot:
    """Turn each category column of a table into one column of 0 and 1 for each of its levels; always on.

    The levels are those of the training split, sorted. A level that train lacks is an error, or with
    ``unknown: zeros`` a row of zeros. It stands in a config only to say that.

    >>> one_hot = OneHot()
    >>> one_hot.learn(["colour"], np.array([["red"], ["blue"]], dtype=object))
    >>> one_hot.expand(one_hot.codes(np.array([["red"]], dtype=object))).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, unknown: Literal["error", "zeros"] = "error") -> None:
        self.unknown = unknown
        self.levels: dict[str, list[str]] = {}

    def learn(self, columns: list[str], values: np.ndarray) -> None:
        """Fix the levels from the training rows' texts [N, k]."""
        self.levels = {name: sorted(set(values[:, place])) for place, name in enumerate(columns)}

    def codes(self, values: np.ndarray) -> Tensor:
        """Return float64 [B, k]: the place of each text among its column's levels, −1 for an unknown one.

        Raises:
            InputError: a text is no level, and ``unknown`` is ``error``.
        """
        codes = np.empty(values.shape, np.float64)
        findings = []
        for place, (name, levels) in enumerate(self.levels.items()):
            place_of = {level: code for code, level in enumerate(levels)}
            codes[:, place] = [place_of.get(text, -1) for text in values[:, place]]
            missing = sorted(set(values[codes[:, place] < 0, place]))
            if missing and self.unknown == "error":
                findings.append(_unknown_level(name, missing, levels))
        if findings:
            raise InputError(findings)
        return torch.from_numpy(codes)

    def expand(self, codes: Tensor) -> Tensor:
        """Return [B, number of all levels] of 0 and 1 from codes [B, k]."""
        columns = [
            codes[:, place, None] == torch.arange(len(levels), device=codes.device)
            for place, levels in enumerate(self.levels.values())
        ]
        return torch.cat(columns, 1).to(codes.dtype) if columns else codes

    def __repr__(self) -> str:
        total = sum(map(len, self.levels.values()))
        columns = counted(len(self.levels), "category column", "category columns")
        return f"OneHot({columns}, {counted(total, 'level', 'levels')}, unknown: {self.unknown})"


def _unknown_level(column: str, missing: list[str], levels: list[str]) -> Finding:
    shown = ", ".join(map(repr, missing[:10])) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
    known = ", ".join(map(repr, levels[:10])) + (", …" if len(levels) > 10 else "")
    return Finding(
        "unknown-category",
        "error",
        "data.transform",
        f"column {column!r} holds {shown}, which the training split lacks (it has {known})",
        "leave the column out with data.source.columns, or add {name: OneHot, unknown: zeros} to data.transform",
    )
