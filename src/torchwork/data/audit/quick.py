"""What can be said of a data set at the start of a training, without decoding anything."""

from __future__ import annotations

import numpy as np

from torchwork.data.audit import classes, duplicates, pictures, texts
from torchwork.data.audit.whole import Splits, exact, near_images, samples_of
from torchwork.types import Finding, Source

# To compare so many images takes about a second; more is left to an audit.
_MOST_IMAGES = 20_000
_MOST_TEXTS = 100_000


def quick(source: Source, splits: Splits | None = None) -> list[Finding]:
    """Return the warnings that cost little: rare and missing classes, imbalance, and what is known of the content.

    The content of images counts where all of it is remembered from an audit; texts are looked at as they are. What
    training refuses by itself, the findings of severity ``error``, is left to it.

    Args:
        source: The samples.
        splits: Indices by split.

    >>> from torchwork.data.builtin import Iris
    >>> quick(Iris(), {"train": np.arange(52), "test": np.arange(97, 103)})[0].code
    'missing-class'
    """
    found = classes.findings(classes.counts(source, splits))
    samples = samples_of(source, splits)
    kind = source.schema.inputs
    if kind == "image" and len(source) <= _MOST_IMAGES:
        known = pictures.remembered_pictures(source)
        if known is not None:
            groups = exact(source, known.faults)
            seen = duplicates.exact(groups, samples) + near_images(known, groups, samples)
            found += [one.finding for one in seen]
    elif kind == "text" and len(source) <= _MOST_TEXTS:
        written = list(source.read(np.arange(len(source)), epoch=0)[0])
        groups = duplicates.same(text if text.strip() else "" for text in written)
        seen = duplicates.exact(groups, samples, "text")
        seen += duplicates.near(texts.alike(written), samples, texts.FOLDED)
        found += [one.finding for one in seen]
    return [finding for finding in found if finding.severity == "warning" and finding.code != "duplicates"]
