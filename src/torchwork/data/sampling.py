"""Drawing the training samples of an epoch by weights, so that rare classes are seen as often as common ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from torchwork import rng
from torchwork.data.belonging import column
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Source

BALANCED = "balanced"
WHERE = "data.sampling"


class Sampling:
    """Draws N of N samples for an epoch, with replacement, in proportion to their weights.

    ``torch.utils.data.WeightedRandomSampler`` draws each place of an epoch by itself, so that by chance a class comes
    much too often or not at all. Here the draws are systematic (Madow, "On the theory of systematic sampling, II",
    1949): the samples lie in random order, each class together, on a line of length N, sample i on a piece of length
    N·p_i; drawn are those that the points u, u + 1, ..., u + N − 1 hit, u from [0, 1). So sample i is drawn ⌊N·p_i⌋
    or ⌈N·p_i⌉ times in every epoch, N·p_i times on average, and a class as often as its weights say, but for one.

    Args:
        weights: Of each sample, [N], none negative; a weight of 0 is never drawn.
        classes: The class of each sample, int64 [N]; None: there are none.

    >>> sampling = Sampling(np.array([1.0, 1, 1, 3, 0, 0]))
    >>> sampling.places(0, 1).tolist()
    [0, 1, 2, 3, 3, 3]
    """

    def __init__(self, weights: np.ndarray, classes: np.ndarray | None = None) -> None:
        self.weights = np.asarray(weights, np.float64)
        self._drawn = np.flatnonzero(self.weights)
        self._classes = np.zeros(len(self._drawn), np.int64) if classes is None else classes[self._drawn]

    def places(self, seed: int, epoch: int) -> np.ndarray:
        """Return the places of the samples that an epoch draws, int64 [N], ascending: a function of seed and epoch."""
        key = rng.keys(seed, "sampling", epoch)  # of another purpose than the order, or they would go together
        order = np.lexsort((rng.keys(seed, "sampling order", epoch, self._drawn), self._classes))
        ends = np.cumsum(self.weights[self._drawn[order]])
        points = (rng.uniform(key, 1)[0] + np.arange(len(self.weights))) * (ends[-1] / len(self.weights))
        hit = np.searchsorted(ends, points, side="right").clip(max=len(ends) - 1)
        return np.sort(self._drawn[order[hit]])


def turns(epoch: int, places: np.ndarray) -> np.ndarray:
    """Return what stands for the epoch in the keys of samples that it may draw more than once, int64 [N].

    That is the epoch, and above its 32 bits how often the place came before: so every time is augmented in its own way.

    >>> (turns(7, np.array([5, 3, 5, 5, 3])) >> 32).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    before = np.empty(len(places), np.int64)
    before[order] = np.arange(len(places)) - np.repeat(starts, np.diff(np.r_[starts, len(places)]))
    return epoch + (before << 32)


def build(how: str, source: Source, ids: np.ndarray, classes: np.ndarray | None) -> Sampling:
    """Return the sampling of ``data.sampling``.

    Args:
        how: ``balanced``: every class of the training split equally often; else the column of the weights.
        source: The samples.
        ids: Those of the training split.
        classes: Their classes, int64 [N]; None where the targets are none.

    Raises:
        InputError: balanced without classes; no such column; weights that are no numbers, negative, or all 0.
    """
    if how != BALANCED:
        return Sampling(_weights(how, source, ids), classes)
    if classes is None:
        message = "balanced draws every class equally often, and the targets are no classes"
        raise InputError(Finding("no-classes", "error", WHERE, message, "name a column of weights, or remove it"))
    counts = np.bincount(classes)
    return Sampling(1 / counts[classes], classes)


def _weights(name: str, source: Source, ids: np.ndarray) -> np.ndarray:
    found = column(source, name, ids, WHERE, fix=f"{BALANCED} needs none, or describe the samples in a CSV file")
    cells = found.tolist()
    weights = np.array([_number(cell) for cell in cells])
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        shown = named([f"{cells[row]!r} of {source.name(int(ids[row]))}" for row in wrong[:10].tolist()])
        message = f"{counted(len(wrong), 'cell', 'cells')} of column {name!r} are no weights: {shown}"
        raise InputError(Finding("no-weight", "error", WHERE, message, "write numbers of 0 or more"))
    if not weights.any():
        message = f"column {name!r} is 0 in all of the training split"
        raise InputError(Finding("no-weight", "error", WHERE, message, "give some sample a weight"))
    return weights


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")


def told(how: str, sampling: Sampling, classes: np.ndarray | None, names: Sequence[str]) -> Finding:
    """Return what an epoch draws, in a sentence."""
    share = sampling.weights / sampling.weights.sum() * len(sampling.weights)
    message = f"{how}: an epoch draws a sample {share.min():.3g} to {share.max():.3g} times"
    if classes is not None:
        drawn = np.bincount(classes, share, len(names))
        there = np.bincount(classes, minlength=len(names))
        each = [f"{name} {drawn[k]:.4g} of {there[k]}" for k, name in enumerate(names)]
        message += f"; by class, draws of samples: {named(each)}"
    return Finding("sampling", "info", WHERE, message)
