"""Images that look alike: a hash of what an image shows coarsely, and a search for pairs whose hashes are close.

The hash is that of Zauner (2010, Implementation and Benchmarking of Perceptual Image Hash Functions), with signs in
place of a median: the image is reduced to 16×16 grey levels, their discrete cosine transform (DCT-II) is taken, and of
the 8×8 lowest frequencies all but the constant one give a bit each: whether the coefficient is positive. To mirror an
image turns the signs of the odd horizontal frequencies and leaves the others, so that one mask makes the hash of the
mirrored image. A change of size or of the quality of a JPEG turns few bits. A crop turns many: it is not found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from torchwork.data import threads

SIDE = 16
_KEPT = 8

# Pairs are candidates up to so many different bits of 63, and are confirmed by the correlation of their grey levels
# reduced to 8×8. Of 200 photographs saved anew (JPEG of quality 30 and up, half to double the size, mirrored, grey, as
# WebP) no copy differs in more than 4 bits, with a correlation of 0.998; of 1,000 images of CIFAR-10, which have
# 32×32 pixels, none from three quarters of the size on in more than 9 bits, with 0.978. Of those of half the size, and
# mirrored at quality 50, 1 in 200 is missed.
MOST_BITS = 12
LEAST_CORRELATION = 0.96

# Where images of a set resemble each other by nature (X-rays of one part), the limit falls until no more pairs than
# this for each image lie within. Then, and between two images that are too small to hold much (digits on black), it is
# the thumbnails of 16×16 that have to agree, and nearly in full: no two of MNIST's 60,000 digits do, and copies of
# CIFAR-10 of the same size do from quality 75 on.
_CROWD = 5
_CROWD_AT_LEAST = 1000
_STRICT_CORRELATION = 0.998

# An image whose grey levels spread less than this shows nothing that could be compared.
_FLAT = 2.0

_ROWS, _COLUMNS = 128, 4096  # of hashes that are compared at once: the block stays in a core's cache
_WAVE = 16  # blocks of rows until the limit is looked at again
_AT_A_TIME = 1 << 13  # thumbnails, or pairs of them

_FREQUENCY, _PLACE = np.arange(_KEPT)[:, None], np.arange(SIDE)[None]
_BASIS = np.cos(np.pi * _FREQUENCY * (2 * _PLACE + 1) / (2 * SIDE))
_BITS = np.uint64(1) << np.arange(_KEPT * _KEPT - 1, dtype=np.uint64)
_ODD = np.tile(np.arange(_KEPT) % 2 == 1, _KEPT)[1:]
MIRROR = np.uint64(_BITS[_ODD].sum())


class Pairs(NamedTuple):
    """Images that look alike: the places of both, int64 [P], the first less than the second, and whether mirrored."""

    first: np.ndarray
    second: np.ndarray
    mirrored: np.ndarray


def hashes(thumbs: np.ndarray) -> np.ndarray:
    """Return the hash of each image, uint64 [N], from its reduction to grey levels, uint8 [N, 16, 16].

    >>> image = np.random.default_rng(0).integers(0, 256, (1, 16, 16), np.uint8)
    >>> bool(hashes(image[:, :, ::-1]) == hashes(image) ^ MIRROR)
    True
    """
    found = np.empty(len(thumbs), np.uint64)
    for start in range(0, len(thumbs), _AT_A_TIME):
        some = thumbs[start : start + _AT_A_TIME].astype(np.float64)
        # rounded, so that what is 0 up to rounding has the same sign everywhere
        coefficients = (_BASIS @ some @ _BASIS.T).round(3).reshape(len(some), -1)[:, 1:]
        found[start : start + len(some)] = np.where(coefficients > 0, _BITS, np.uint64(0)).sum(1, dtype=np.uint64)
    return found


def near_pairs(
    thumbs: np.ndarray, small: np.ndarray | None = None, progress: Callable[[int, int], None] | None = None
) -> Pairs:
    """Return the pairs of images that show the same, as they are or mirrored.

    All hashes are compared with all, in blocks by all cores: for 60,000 images a few seconds, for ten times as many a
    hundred times as long.

    Args:
        thumbs: The images reduced to grey levels, uint8 [N, 16, 16].
        small: Which of them are too small to hold much, bool [N]; none where left out.
        progress: Told how many of the images have been compared with those after them, of how many.
    """
    kept = np.flatnonzero([thumb.std() >= _FLAT for thumb in thumbs])
    candidates, limit = _candidates(hashes(thumbs[kept]), progress)
    strict = np.full(len(candidates), limit < MOST_BITS)
    if small is not None:
        strict |= small[kept[candidates[:, 0]]] & small[kept[candidates[:, 1]]]
    half = thumbs[kept].reshape(-1, SIDE // 2, 2, SIDE // 2, 2).sum((2, 4), dtype=np.uint16)
    loose = candidates[~strict]
    close = candidates[strict]
    candidates = np.concatenate(
        [
            loose[_correlation(loose, half) >= LEAST_CORRELATION],
            close[_correlation(close, thumbs[kept]) >= _STRICT_CORRELATION],
        ]
    )
    order = np.lexsort((candidates[:, 2], candidates[:, 1], candidates[:, 0]))
    first, second, mirrored = candidates[order, :3].T
    once = np.ones(len(order), bool)
    once[1:] = (np.diff(first) != 0) | (np.diff(second) != 0)  # an image that mirrors itself is met twice
    return Pairs(kept[first[once]], kept[second[once]], mirrored[once].astype(bool))


def _candidates(found: np.ndarray, progress: Callable[[int, int], None] | None) -> tuple[np.ndarray, int]:
    """Return int32 [P, 4] (first, second, mirrored, different bits) of all pairs within a limit, and that limit."""
    count = len(found)
    most, limit = max(_CROWD * count, _CROWD_AT_LEAST), MOST_BITS
    pairs = np.empty((0, 4), np.int32)
    starts = list(range(0, count, _ROWS))
    for at in range(0, len(starts), _WAVE):
        wave = starts[at : at + _WAVE]
        within = limit
        blocks = threads.over(lambda start: _block(found, start, within, most), wave)  # noqa: B023 - called at once
        limit = min(reached for _, reached in blocks)
        pairs = np.concatenate([pairs, *(part for part, _ in blocks)])
        pairs = pairs[pairs[:, 3] <= limit]
        while len(pairs) > most:
            limit -= 1
            pairs = pairs[pairs[:, 3] <= limit]
        if progress is not None:
            progress(min(wave[-1] + _ROWS, count), count)
    return pairs, limit


def _block(found: np.ndarray, start: int, limit: int, most: int) -> tuple[np.ndarray, int]:
    """Compare some rows with all after them; return the pairs, and the limit that leaves no more than ``most``."""
    rows, parts, total = found[start : start + _ROWS, None], [np.empty((0, 4), np.int32)], 0
    for left in range(start, len(found), _COLUMNS):
        different = rows ^ found[None, left : left + _COLUMNS]
        for mirrored in (0, 1):
            if mirrored:
                different ^= MIRROR
            bits = np.bitwise_count(different)
            near = np.flatnonzero(bits <= limit)
            first, second = np.divmod(near, different.shape[1])
            first, second = first + start, second + left
            later = second > first
            if not later.any():
                continue
            part = np.empty((int(later.sum()), 4), np.int32)
            part[:, 0], part[:, 1], part[:, 2], part[:, 3] = (
                first[later],
                second[later],
                mirrored,
                bits.flat[near[later]],
            )
            parts.append(part)
            total += len(part)
            while total > most:
                limit -= 1
                parts = [kept[kept[:, 3] <= limit] for kept in parts]
                total = sum(map(len, parts))
    return np.concatenate(parts), limit


def _correlation(pairs: np.ndarray, thumbs: np.ndarray) -> np.ndarray:
    """Return the correlation of the grey levels of each pair, the second image mirrored where the pair says so."""
    result = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _AT_A_TIME):
        first, second, mirrored, _ = pairs[start : start + _AT_A_TIME].T
        one, other = thumbs[first], thumbs[second]
        turned = mirrored == 1
        other[turned] = other[turned][:, :, ::-1]
        result[start : start + len(first)] = np.einsum("ijk,ijk->i", _unit(one), _unit(other))
    return result


def _unit(thumbs: np.ndarray) -> np.ndarray:
    centred = thumbs - thumbs.mean((1, 2), keepdims=True, dtype=np.float32)
    return centred / np.maximum(np.sqrt((centred**2).sum((1, 2), keepdims=True)), 1e-12)
