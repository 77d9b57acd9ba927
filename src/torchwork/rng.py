"""Keyed randomness: numbers that are a function of (seed, epoch, sample, purpose) and of nothing else.

There is no generator with a state to save. A key is mixed from its fields with the finaliser of splitmix64
(Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014), one field after the other, so that
fields whose sums are equal still give different keys.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

Field = int | str | np.ndarray


def _mix(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = x + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * _MIX_1
        x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@lru_cache(maxsize=1024)
def _text(value: str) -> int:
    return int.from_bytes(hashlib.sha256(value.encode()).digest()[:8], "little")


def keys(*fields: Field) -> np.ndarray:
    """Return uint64 keys mixed from the fields: integers, texts, or integer arrays that broadcast.

    >>> keys(0, "order", np.arange(3)).shape
    (3,)
    >>> int(keys(1, 2)) == int(keys(2, 1))
    False
    """
    state = np.zeros((), np.uint64)
    for field in fields:
        if isinstance(field, str):
            value = np.asarray(_text(field), np.uint64)
        elif isinstance(field, np.ndarray):
            value = field.astype(np.uint64)
        else:
            value = np.asarray(field % 2**64, np.uint64)
        state = _mix(state ^ _mix(value))
    return state


@lru_cache(maxsize=256)
def _numbers(count: int) -> np.ndarray:
    return _mix(np.arange(1, count + 1, dtype=np.uint64))


def uniform(key: np.ndarray, count: int) -> np.ndarray:
    """Return float64 [*key.shape, count], each in [0, 1), drawn from each key.

    >>> uniform(keys(0, np.arange(4)), 2).shape
    (4, 2)
    """
    draws = _mix(np.asarray(key, np.uint64)[..., None] ^ _numbers(count))
    return (draws >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(count: int, *fields: Field) -> np.ndarray:
    """Return the integers below ``count`` (int64) in an order that is a function of the fields.

    >>> sorted(permutation(5, 0, "order", 1).tolist())
    [0, 1, 2, 3, 4]
    """
    return np.argsort(keys(*fields, np.arange(count)), kind="stable")


def seed(*fields: Field) -> int:
    """Return a seed for another library's generator: below 2**32, as numpy and torch's CPU generator use no more."""
    return int(keys(*fields) >> np.uint64(32))
