"""What an audit of a data set gives back: findings with the samples they are about, and facts for its page.

A kind of samples has a module here that looks at what only it can show: ``pictures``, ``texts``, ``sounds`` and
``tables``.
``tables`` offers ``findings(source) -> list[Seen]`` and ``columns(source) -> list[Column]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from torchwork.types import Finding

Groups = tuple[tuple[int, ...], ...]


class Seen(NamedTuple):
    """A finding and the samples that it is about: groups that belong together, or one sample to a group.

    The message of the finding holds how many there are and the first ten by name (``wording.named``). Its severity is
    ``error`` where training refuses it, ``warning`` where a model would suffer from it, ``info`` where it is to be
    known. ``notes`` says of a sample what was found of it: a reason, a size.
    """

    finding: Finding
    groups: Groups = ()
    notes: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True)
class Histogram:
    """How often values fall into equal bins from ``low`` to ``high``; of one class, one column, or all."""

    name: str
    counts: tuple[int, ...]
    low: float
    high: float
    unit: str = ""


@dataclass(frozen=True)
class Column:
    """What stands in one column of a table. ``facts`` are shown in their order, as ``missing: 3`` or ``mean: 0.25``."""

    name: str
    kind: str  # "number", "category" or "target"
    facts: Mapping[str, str | int | float]
    histogram: Histogram | None = None


@dataclass(frozen=True)
class Audit:
    """All that is known of a data set of N samples.

    ``means`` are the mean images of the classes, uint8 [H, W, C]. ``counts`` are the samples of each class by split;
    the split is ``all`` where there are none.
    """

    findings: list[Finding]
    seen: list[Seen]
    num_samples: int
    inputs: str
    splits: dict[str, int] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    means: dict[str, np.ndarray] = field(default_factory=dict)
    histograms: list[Histogram] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
