"""Cutting samples into parts of given shares: exact counts, every class in proportion, and what belongs together whole.

Two steps. First the units of several samples are placed one by one, the larger ones first (those within a factor of two
of each other in random order), each into the part that is the least full for it: for a part with share p that holds
a_s of the N_s samples of class s, a unit with c_s of them costs

    mean over the classes of  c_s (2 a_s + c_s) / (N_s² p),  and as much again for all classes taken as one,

which is what it adds to the squared deviation of every class from the part's share. A part that would get more of a
class than its share is taken only where all would. Then the single samples, in random order, fill up each class to
exact counts: the shares of it, rounded by largest remainder, equal remainders going to the part furthest behind.
"""

from __future__ import annotations

import numpy as np


def cut(order: np.ndarray, share: np.ndarray, stratum: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the part of each sample, int64 [N], below P.

    Without units of several samples the counts of each stratum are its shares rounded. With such units a part that is
    due a sample goes without only where there are fewer units than parts.

    Args:
        order: A random number of each sample, [N]: whoever has the smaller is taken first.
        share: The share of each part, [P], all above 0, which sum to 1.
        stratum: Of which stratum each sample is, int64 [N] from 0: a class, or 0 for all.
        unit: Samples of one unit stay together, int64 [N] from 0.

    >>> cut(np.arange(6), np.array([0.5, 0.5]), np.array([0, 0, 0, 0, 1, 1]), np.arange(6)).tolist()
    [0, 0, 1, 1, 0, 1]
    """
    wanted = _wanted(np.bincount(stratum), share)
    part = np.full(len(order), -1)
    have = _place_units(part, wanted, order, share, stratum, unit)
    by_stratum = np.lexsort((order, stratum))
    by_stratum = by_stratum[part[by_stratum] < 0]
    ends = np.cumsum(np.bincount(stratum[by_stratum], minlength=len(wanted)))
    for row, members in enumerate(np.split(by_stratum, ends[:-1])):
        counts = _fill(wanted[row] - have[row], len(members))
        part[members] = np.repeat(np.arange(len(share)), counts)
    if have.any():
        _give_to_empty(part, wanted.sum(0), order, unit)
    return part


def _wanted(totals: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the samples of each stratum that each part is to get, [S, P]."""
    behind = np.zeros(len(share))
    wanted = np.zeros((len(totals), len(share)), np.int64)
    for row, total in enumerate(totals.tolist()):
        wanted[row] = _counts(total, share, behind)
        behind += share * total - wanted[row]
    return wanted


def _counts(total: int, share: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Return whole counts that sum to ``total``: largest remainder, ties to the part furthest behind its share."""
    quota = np.round(share * total, 9)  # so that 0.15 · 20 is 3 and equal remainders compare equal
    counts = np.floor(quota).astype(np.int64)
    order = np.lexsort((np.arange(len(share)), -np.round(behind, 9), -np.round(quota - counts, 6)))
    counts[order[: total - int(counts.sum())]] += 1
    return counts


def _fill(room: np.ndarray, count: int) -> np.ndarray:
    """Return how many single samples each part gets: its room; where a part is over-full, the roomiest give way."""
    room = np.maximum(room, 0)
    over = int(room.sum()) - count
    for place in np.argsort(-room, kind="stable"):
        taken = min(over, int(room[place]))
        room[place] -= taken
        over -= taken
    return room


def _give_to_empty(part: np.ndarray, wanted: np.ndarray, order: np.ndarray, unit: np.ndarray) -> None:
    """Move the smallest unit, of the part that has most beyond its due, to each part that is due some and has none."""
    while True:
        counts = np.bincount(part, minlength=len(wanted))
        empty = np.flatnonzero((counts == 0) & (wanted > 0))
        _, one, sizes = np.unique(unit, return_index=True, return_counts=True)  # one sample of each unit
        side = part[one]
        spare = np.bincount(side, minlength=len(wanted))[side] > 1
        if len(empty) == 0 or not spare.any():
            return
        best = np.lexsort((order[one], -(counts - wanted)[side], sizes, ~spare))[0]
        part[unit == unit[one[best]]] = empty[0]


def _place_units(
    part: np.ndarray, wanted: np.ndarray, order: np.ndarray, share: np.ndarray, stratum: np.ndarray, unit: np.ndarray
) -> np.ndarray:
    """Write the parts of the samples whose unit has several; return how many of each stratum went where, [S, P]."""
    have = np.zeros_like(wanted)
    sizes = np.bincount(unit)
    several = np.flatnonzero(sizes[unit] > 1)
    if len(several) == 0:
        return have
    several = several[np.lexsort((order[several], unit[several]))]
    members = np.split(several, np.flatnonzero(np.diff(unit[several])) + 1)
    members.sort(key=lambda found: (-len(found).bit_length(), order[found[0]]))
    parts = range(len(share))
    only_units = len(several) == len(part)
    totals, all_of_them = np.bincount(stratum).tolist(), len(part)
    placed, counts, wishes = have.tolist(), [0] * len(share), wanted.tolist()
    for number, found in enumerate(members):
        kinds, numbers = np.unique(stratum[found], return_counts=True)
        rows = list(zip(kinds.tolist(), numbers.tolist(), strict=True))
        size = len(found)

        def cost(p: int, rows: list[tuple[int, int]] = rows, size: int = size) -> float:
            classes = sum(c * (2 * placed[s][p] + c) / totals[s] ** 2 for s, c in rows) / len(totals)
            return (classes + size * (2 * counts[p] + size) / all_of_them**2) / share[p]

        empty = [p for p in parts if counts[p] == 0]
        fitting = [p for p in parts if all(placed[s][p] + c <= wishes[s][p] for s, c in rows)]
        chosen = fitting or parts
        if only_units and len(members) - number <= len(empty):
            chosen = empty
        best = min(chosen, key=cost)
        part[found] = best
        counts[best] += size
        for s, c in rows:
            placed[s][best] += c
    return np.array(placed, np.int64).reshape(have.shape)
