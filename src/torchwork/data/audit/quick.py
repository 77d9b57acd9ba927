"""What can be said of a data set at the start of a training, at little cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from torchwork.data.audit import classes, duplicates, pictures, texts
from torchwork.data.audit.records import Seen
from torchwork.data.audit.whole import Splits, near_images, samples_of
from torchwork.data.clean import soon_decoded
from torchwork.data.fingerprint import fingerprints
from torchwork.types import Finding, Source

# To compare so many images takes about a second; more is left to an audit.
MOST_IMAGES = 20_000
_MOST_TEXTS = 100_000


def quick(source: Source, splits: Splits | None = None, contents: Mapping[int, str] | None = None) -> list[Finding]:
    """Return the warnings that cost little: rare and missing classes, imbalance, and what is known of the content.

    Equal content under two labels is told of all kinds of samples. Images that look alike are compared where their
    files are at most 20,000: all of them where they have at most 128 MiB together (decoded once, and remembered), else
    those that an audit has looked at. Texts are looked at as they are. Samples in no split have no part in it. What
    training refuses by itself, the findings of severity ``error``, is left to it.

    Args:
        source: The samples.
        splits: Indices by split.
        contents: The fingerprints of the samples, where they are known.

    >>> from torchwork.data.builtin import Iris
    >>> quick(Iris(), {"train": np.arange(52), "test": np.arange(97, 103)})[0].code
    'missing-class'
    """
    found = classes.findings(classes.counts(source, splits))
    used = np.sort(np.concatenate(list(splits.values()))) if splits else np.arange(len(source))
    samples = samples_of(source, splits)
    seen = _texts(source, used, samples) if source.schema.inputs == "text" else _others(source, used, samples, contents)
    found += [one.finding for one in seen]
    return [finding for finding in found if finding.severity == "warning" and finding.code != "duplicates"]


def _texts(source: Source, used: np.ndarray, samples: duplicates.Samples) -> list[Seen]:
    if len(used) > _MOST_TEXTS:
        return []
    written = [""] * len(source)
    for place, text in zip(used.tolist(), source.read(used, epoch=0)[0], strict=True):
        written[place] = text
    groups = duplicates.same(text if text.strip() else "" for text in written)
    alike = duplicates.near(texts.alike(written), samples, texts.FOLDED)
    return duplicates.exact(groups, samples, "text") + alike


def _others(
    source: Source, used: np.ndarray, samples: duplicates.Samples, contents: Mapping[int, str] | None
) -> list[Seen]:
    places = used.tolist()
    if contents is None:
        contents = dict(zip(places, fingerprints(source, used), strict=True))
    keys = {place: contents.get(place, "") for place in places}
    groups = duplicates.same(keys.get(place, "") for place in range(len(source)))
    seen = duplicates.exact(groups, samples)
    paths = getattr(source, "paths", None)
    if source.schema.inputs != "image" or paths is None or len(places) > MOST_IMAGES:
        return seen
    decode_them = soon_decoded(paths[place] for place in places)
    shown = pictures.of_files(paths, places, decode_them=decode_them)
    return seen + near_images(shown, groups, samples)
