"""A sample in small, for somebody to look at: a picture, the words of a text, or the columns of a row."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from torchwork.inspection.sheet import levels

LONGEST = 96  # pixels of a thumbnail's longer side
_AS_PNG = 40  # pictures up to this size are kept exactly: a JPEG of them is no smaller, and blurred
_MOST_LETTERS = 400
_MOST_COLUMNS = 12
_MOST_NUMBERS = 8


def picture(sample: Tensor) -> tuple[str, bytes] | None:
    """Return a sample [C, H, W] of one or three channels as a small PNG or JPEG, with the ending; None for others.

    uint8 keeps its levels; floats are stretched from their least to their greatest value.

    >>> picture(torch.zeros(3, 8, 8, dtype=torch.uint8))[0], picture(torch.zeros(4))
    ('png', None)
    """
    if sample.dim() != 3 or sample.shape[0] not in (1, 3) or not sample.numel():
        return None
    if sample.dtype != torch.uint8:
        sample = levels(torch.nan_to_num(sample.detach().float().cpu())[None])[0]
    pixels = sample[0] if len(sample) == 1 else sample.permute(1, 2, 0)
    found = Image.fromarray(pixels.contiguous().cpu().numpy())
    kept = max(found.size) <= _AS_PNG
    if max(found.size) > LONGEST:
        found.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    if kept:
        found.save(content, "PNG", optimize=True)
        return "png", content.getvalue()
    found.save(content, "JPEG", quality=85)
    return "jpg", content.getvalue()


def pixels(sample: Tensor) -> np.ndarray:
    """Return a sample [C, H, W] of floats as uint8 [H, W, 3], stretched to its own range, grey where C is not 3."""
    stretched = levels(torch.nan_to_num(sample.detach().float().cpu())[None])[0]
    grey = stretched if len(stretched) == 3 else stretched[:1].expand(3, -1, -1)
    return grey.permute(1, 2, 0).contiguous().numpy()


def words(text: str) -> str:
    """Return a text, its end left out where it is long.

    >>> words("abc"), len(words("a" * 1000))
    ('abc', 401)
    """
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


def cells(names: Sequence[str], values: Sequence[Any]) -> list[list[str]]:
    """Return the columns of a row as pairs of name and value, the first of many.

    >>> cells(["a", "b"], [1.0, "x"])
    [['a', '1'], ['b', 'x']]
    """
    found = [[str(name), _said(value)] for name, value in zip(names, values, strict=True)]
    left = len(found) - _MOST_COLUMNS
    return found if left <= 0 else [*found[:_MOST_COLUMNS], ["…", f"{left} more columns"]]


def numbers(sample: Tensor) -> str:
    """Return the shape of a sample and its first numbers.

    >>> numbers(torch.arange(10.0))
    '[10]: 0, 1, 2, 3, 4, 5, 6, 7 …'
    """
    values = sample.reshape(-1)[:_MOST_NUMBERS].tolist()
    end = " …" if sample.numel() > _MOST_NUMBERS else ""
    return f"{list(sample.shape)}: {', '.join(map(_said, values))}{end}"


def _said(value: Any) -> str:
    return format(value, ".4g") if isinstance(value, float) else str(value)
