"""What a sample holds, in 32 letters: equal content has equal fingerprints, whatever its name, place or target."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from torchwork.data.dataset import DatasetSource
from torchwork.data.remembered import remembered
from torchwork.types import Source

_KIND = "content-1"
_BYTES = 16
_AT_A_TIME = 4096  # samples that are read at once


def fingerprints(source: Source, indices: np.ndarray) -> list[str]:
    """Return a fingerprint of the content of each sample: BLAKE2b with 16 bytes (RFC 7693), as hexadecimal digits.

    Of a file it is that of its bytes, remembered until the file changes; of what stands in memory, that of type, shape
    and values; of a text that of its UTF-8 bytes; of a table's row that of its cells, in which every missing number is
    the same and −0 is 0. A target is no content. A file that cannot be read has the fingerprint "", as has every sample
    of a user's data set, which may draw it anew each time.

    A source made of others gives its own by a method ``fingerprints(indices)``.

    >>> from torchwork.data.builtin import Iris
    >>> first, other, again = fingerprints(Iris(), np.array([101, 0, 142]))
    >>> len(first), first == again, first == other
    (32, True, False)
    """
    own = getattr(source, "fingerprints", None)
    if own is not None:
        return own(indices)
    places = np.asarray(indices, np.int64).tolist()
    if isinstance(source, DatasetSource):
        return [""] * len(places)
    paths = getattr(source, "paths", None)
    if paths is not None:
        return [found or "" for found in remembered(_KIND, [paths[place] for place in places], of_file)]
    return [
        digest
        for start in range(0, len(places), _AT_A_TIME)
        for digest in of_inputs(source.read(np.array(places[start : start + _AT_A_TIME], np.int64), epoch=0)[0])
    ]


def of_file(path: Path) -> str | None:
    """Return the fingerprint of a file's bytes, or None where it cannot be read."""
    try:
        if not path.is_file():  # nobody may ever write to a pipe
            return None
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_BYTES)).hexdigest()
    except (OSError, ValueError):
        return None


def of_inputs(inputs: Any) -> Iterator[str]:
    """Yield the fingerprint of each sample of raw inputs, as a source's ``read`` gives them."""
    if isinstance(inputs, dict):
        parts = [[f"{name}: ".encode() + row for row in _rows(inputs[name])] for name in sorted(inputs)]
        for cells in zip(*parts, strict=True):
            yield _digest(b"\0".join(cells))
    else:
        for row in _rows(inputs):
            yield _digest(row)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_BYTES).hexdigest()


def _rows(values: Any) -> Iterator[bytes]:
    if isinstance(values, Tensor):
        values = values.numpy()
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.dtype.kind == "f":
            values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values + np.array(0, values.dtype))
        values = np.ascontiguousarray(values)
        begin = f"{values.dtype.str} {values.shape[1:]} ".encode()
        for row in values:
            yield begin + row.tobytes()
        return
    for value in values:
        if isinstance(value, str):
            yield value.encode("utf-8", "surrogatepass")
        elif isinstance(value, Tensor):
            yield next(_rows(value[None]))
        else:  # the categories of a row of a table: texts, or None where missing
            cells = [None if cell is None else str(cell) for cell in value]
            yield repr(cells).encode("utf-8", "backslashreplace")
