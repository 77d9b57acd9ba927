"""What is to be said of texts: those that are alike but for case and spaces, and how long they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from torchwork.data.audit.duplicates import same
from torchwork.data.audit.records import Groups, Seen
from torchwork.data.audit.spread import far
from torchwork.data.wording import counted, named
from torchwork.types import Finding

FOLDED = "that differ in case and spaces only"  # how those of ``alike`` are the same
_LONG = 10  # times the median length


def alike(texts: Sequence[str]) -> Groups:
    """Return the groups of texts that are equal but for upper and lower case and for spaces, and not wholly equal.

    >>> alike(["Hello  you", "hello you", "you", "you"])
    ((0, 1),)
    """
    groups = same(" ".join(text.split()).casefold() for text in texts)
    return tuple(group for group in groups if len({texts[place] for place in group}) > 1)


def findings(texts: Sequence[str], name: Callable[[int], str]) -> list[Seen]:
    """Return what is to be said of texts one by one: those far longer than the others."""
    lengths = np.array([len(text) for text in texts], np.int64)
    filled = np.flatnonzero(lengths)
    long = (
        filled[far(lengths[filled], _LONG) & (lengths[filled] > np.median(lengths[filled]))] if len(filled) else filled
    )
    if not len(long):
        return []
    notes = {place: f"{lengths[place]} characters" for place in long.tolist()}
    said = named(f"{name(place)} ({note})" for place, note in notes.items())
    median = np.median(lengths[filled])
    text = f"{counted(len(long), 'text is', 'texts are')} far longer than the others (median {median:.0f}): {said}"
    fix = "look whether several texts have run together, as where a quotation mark is missing"
    return [Seen(Finding("outlying-length", "info", "data.source", text, fix), tuple((i,) for i in notes), notes)]
