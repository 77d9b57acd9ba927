"""The audit of a data set: every sample is read once, and everything that can be said of it is collected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from torchwork.data.audit import classes, duplicates, image_findings, means, perceptual, texts
from torchwork.data.audit.histograms import by_class, of_numbers
from torchwork.data.audit.pictures import Pictures, pictures
from torchwork.data.audit.records import Audit, Column, Groups, Histogram, Seen
from torchwork.data.fingerprint import fingerprints
from torchwork.data.missing import NO_TARGET
from torchwork.data.split import PARTS
from torchwork.data.wording import counted, named
from torchwork.types import Finding, Source

Splits = Mapping[str, np.ndarray]
Progress = Callable[[str, int, int], None]

_ORDER = {"error": 0, "warning": 1, "info": 2}
_ALIKE = "that look the same (a copy of another size or quality, or mirrored)"
_SMALL = 32  # pixels of the shorter side, below which images hold too little to be called alike by their outlines


def audit(source: Source, splits: Splits | None = None, progress: Progress | None = None) -> Audit:
    """Read every sample of a source once and return what is to be said of the data.

    What is found out about files is remembered, so that another audit reads those only that have changed.

    Args:
        source: The samples. Its faults are told, not raised.
        splits: Indices by split, disjoint; where left out, those that the data come with.
        progress: Told what is being done, how many samples are done, and of how many.

    >>> from torchwork.data.builtin import Iris
    >>> found = audit(Iris())
    >>> found.counts["all"]
    {'setosa': 50, 'versicolor': 50, 'virginica': 50}
    """
    splits = source.given if splits is None else splits
    splits = None if splits is None else {part: splits[part] for part in PARTS if part in splits}
    counts = classes.counts(source, splits)
    seen = [Seen(finding) for finding in classes.findings(counts)]
    looked = _LOOKS[source.schema.inputs](source, samples_of(source, splits), progress)
    seen = sorted([*seen, *looked.seen], key=lambda one: _ORDER[one.finding.severity])
    return Audit(
        findings=[one.finding for one in seen],
        seen=seen,
        num_samples=len(source),
        inputs=source.schema.inputs,
        splits={part: len(ids) for part, ids in (splits or {}).items()},
        counts=counts,
        means=looked.means,
        histograms=[*looked.histograms, *of_numbers(source)],
        columns=looked.columns,
    )


def samples_of(source: Source, splits: Splits | None) -> duplicates.Samples:
    """Return the names, classes and splits of a source's samples."""
    labels = None
    if source.targets is not None and source.schema.target == "class":
        labels = np.array(source.targets.tolist(), object)
    parts = None
    if splits:
        parts = np.full(len(source), None, object)
        for part, ids in splits.items():
            parts[ids] = part
    return duplicates.Samples(source.name, labels, parts, given=source.given is not None)


class _Looked:
    """What one kind of samples shows."""

    def __init__(
        self,
        seen: list[Seen],
        means: dict[str, np.ndarray] | None = None,
        histograms: list[Histogram] | None = None,
        columns: list[Column] | None = None,
    ) -> None:
        self.seen = seen
        self.means = means or {}
        self.histograms = histograms or []
        self.columns = columns or []


def _images(source: Source, samples: duplicates.Samples, progress: Progress | None) -> _Looked:
    total = len(source)
    found = pictures(source, _stage(progress, "decoding", total))
    seen = faults(source, found.faults)
    seen += image_findings.findings(found, source.name, getattr(source, "paths", None))
    groups = exact(source, found.faults)
    seen += duplicates.exact(groups, samples) + near_images(found, groups, samples, progress)
    return _Looked(seen, means.means(source, found, samples.labels))


def near_images(
    found: Pictures, groups: Groups, samples: duplicates.Samples, progress: Progress | None = None
) -> list[Seen]:
    """Return what is to be said of images that look the same, of each group of equal content the first."""
    repeated = {place for group in groups for place in group[1:]}
    alone = np.array([place for place in found.readable.tolist() if place not in repeated], np.int64)
    stage = None if progress is None else partial(progress, "comparing")
    pairs = perceptual.near_pairs(found.grey(alone), found.sizes[alone].min(1) < _SMALL, stage)
    linked = list(zip(alone[pairs.first].tolist(), alone[pairs.second].tolist(), strict=True))
    tied = [(group[0], place) for group in groups for place in group[1:]]
    of_content = {place: number for number, group in enumerate(groups) for place in group}
    joined = duplicates.connected([*linked, *tied])
    # a group of equal content alone is told already
    alike = tuple(group for group in joined if len({of_content.get(place, -1 - place) for place in group}) > 1)
    return duplicates.near(alike, samples, _ALIKE)


def _texts(source: Source, samples: duplicates.Samples, progress: Progress | None) -> _Looked:
    written = list(source.read(np.arange(len(source)), epoch=0)[0])
    seen = faults(source, {}) + texts.findings(written, source.name)
    groups = duplicates.same(text if text.strip() else "" for text in written)
    seen += duplicates.exact(groups, samples, "text") + duplicates.near(texts.alike(written), samples, texts.FOLDED)
    lengths = np.array([len(text) for text in written], np.float64)
    return _Looked(seen, histograms=by_class(lengths, samples.labels, "length", "characters"))


def _sounds(source: Source, samples: duplicates.Samples, progress: Progress | None) -> _Looked:
    from torchwork.data.audit import sounds

    found = sounds.sounds(source, _stage(progress, "decoding", len(source)))
    seen = faults(source, found.faults) + sounds.findings(found, source.name)
    seen += duplicates.exact(exact(source, found.faults), samples)
    heard = found.seconds > 0
    labels = None if samples.labels is None else samples.labels[heard]
    return _Looked(seen, histograms=by_class(found.seconds[heard], labels, "length", "seconds"))


def _tables(source: Source, samples: duplicates.Samples, progress: Progress | None) -> _Looked:
    from torchwork.data.audit import tables

    seen = [one for one in faults(source, {}) if one.finding.code == NO_TARGET]  # cells are told by column
    for one in [*tables.findings(source), *duplicates.exact(exact(source), samples)]:
        finding = one.finding
        if finding.code in ("missing-cells", "infinite-cells"):
            finding = replace(finding, severity="error", where="data.clean.missing")
        elif finding.code == "duplicates-across-splits":  # equal rows are natural in a table
            finding = replace(finding, severity="warning")
        if finding.code != "duplicates":  # told as rows that are there more than once
            seen.append(one._replace(finding=finding))
    return _Looked(seen, columns=tables.columns(source))


def _arrays(source: Source, samples: duplicates.Samples, progress: Progress | None) -> _Looked:
    return _Looked(faults(source, {}) + duplicates.exact(exact(source), samples))


_LOOKS = {"image": _images, "text": _texts, "audio": _sounds, "table": _tables, "array": _arrays}


def _stage(progress: Progress | None, what: str, total: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda done: progress(what, done, total)


def exact(source: Source, without: Collection[int] = ()) -> Groups:
    """Return the groups of samples of equal content, ``without`` those that cannot be read."""
    keys = fingerprints(source, np.arange(len(source)))
    return duplicates.same("" if place in without else key for place, key in enumerate(keys))


def faults(source: Source, found: Mapping[int, tuple[str, str]]) -> list[Seen]:
    """Return the samples that cannot be used as they are, by kind: those that the source tells, and others found."""
    every = {fault.index: (fault.code, fault.reason) for fault in source.faults} | dict(found)
    kinds: dict[str, list[int]] = {}
    for place in sorted(every):
        kinds.setdefault(every[place][0], []).append(place)
    seen = []
    for code, places in kinds.items():
        said = named(f"{source.name(place)} ({every[place][1]})" for place in places)
        message = f"{counted(len(places), 'sample', 'samples')} cannot be used ({code}): {said}"
        where = "data.clean.unreadable"
        fix = f"mend or remove them, or set them aside by {where}: drop"
        notes = {place: every[place][1] for place in places}
        seen.append(Seen(Finding(code, "error", where, message, fix), tuple((place,) for place in places), notes))
    return seen
