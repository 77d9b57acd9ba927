"""Python values as plain data that JSON can hold, and back, bit for bit: tuples, counters, infinities, int keys."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

Reference = dict[str, Any]


def encode(value: Any, path: str, tensor: Callable[[Tensor, str], Reference] | None = None) -> Any:
    """Return ``value`` as plain data.

    Args:
        value: None, a bool, int, float or text, or lists, tuples, dicts and Counters of these.
        path: What to call the value, in the error and for tensors inside it.
        tensor: Called for every tensor with its path; returns what stands for it: a dict with one key or more.

    Raises:
        TypeError: the value, or one inside it, is of another kind.

    >>> encode((0.9, float("inf")), "betas")
    {'tuple': [0.9, {'float': 'inf'}]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Tensor) and tensor is not None:
        return tensor(value, path)
    if isinstance(value, list | tuple):
        items = [encode(item, f"{path}/{index}", tensor) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping):
        pairs = [[encode(key, path), encode(item, f"{path}/{key}", tensor)] for key, item in value.items()]
        return {"counter" if isinstance(value, Counter) else "dict": pairs}
    raise TypeError(f"{path} cannot be written down: it is a {type(value).__name__}")


def decode(data: Any, tensor: Callable[[Reference], Tensor] | None = None) -> Any:
    """Return what ``encode`` was given.

    >>> decode(encode({3: (1, None)}, "x"))
    {3: (1, None)}
    """
    if isinstance(data, list):
        return [decode(item, tensor) for item in data]
    if not isinstance(data, dict):
        return data
    match data:
        case {"float": text}:
            return float(text)
        case {"tuple": items}:
            return tuple(decode(item, tensor) for item in items)
        case {"counter": pairs}:
            return Counter({decode(key): decode(item, tensor) for key, item in pairs})
        case {"dict": pairs}:
            return {decode(key): decode(item, tensor) for key, item in pairs}
    if tensor is None:
        raise ValueError(f"not plain data: {sorted(data)}")
    return tensor(data)
