"""What becomes of samples that cannot be used as they are: an error that names them, or they are set aside.

Nothing is mended and nothing is replaced by something else. The source stays whole and its indices stay what they are;
a sample that is set aside is in no split.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from torchwork.data import files as images
from torchwork.data import missing
from torchwork.data.fingerprint import fingerprints
from torchwork.data.sound import files as sounds
from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, InputError, Source

# Images and sounds are decoded to the end before training where their files have no more bytes than this together: some
# seconds, once. Of more, those whose header does not show their damage are an error when they are read; where damaged
# ones are to be set aside, all are decoded in any case.
DECODED = 128 * 2**20

# Of equal samples in given splits the first of these keeps its own: what is evaluated is not shrunk.
_FIRST = ("test", "val", "train")


class SetAside(NamedTuple):
    """A sample that is in no split, and why."""

    index: int  # type: ignore[assignment]
    name: str
    code: str
    reason: str


@dataclass(frozen=True)
class Cleaned:
    """The samples that may be used (int64, ascending), those that are set aside, and what there is to say."""

    kept: np.ndarray
    set_aside: list[SetAside]
    findings: list[Finding]

    def without(self, source: Source, faults: Sequence[Fault], findings: Sequence[Finding]) -> Cleaned:
        """Return what is left where further samples are set aside, and what there is to say then."""
        aside = sorted([*self.set_aside, *_listed(source, faults)])
        kept = np.setdiff1d(self.kept, [fault.index for fault in faults])
        return Cleaned(kept, aside, [*self.findings, *findings])


def clean(
    source: Source, spec: Mapping[str, Any], where: str = "data.clean", *, filled: Collection[str] = ()
) -> Cleaned:
    """Decide what becomes of samples that are damaged, incomplete or repeated.

    Args:
        source: The samples, with their faults.
        spec: The keys of ``data.clean``. ``unreadable``: error or drop; with drop, files are all decoded here, so that
            nothing is found in the middle of an epoch. ``missing``: drop for rows of a table, see
            ``missing.judge``. ``duplicates``: error, keep_first (of equal content the first stays: that of a given
            test, then val, then train, then by index), ignore, or None, which leaves it to the split.
        where: The place of ``spec`` in the config.
        filled: The columns of a table whose missing cells the transform fills in.

    Raises:
        InputError: samples that a policy of error forbids, all kinds of them at once; or no sample is left.

    >>> from torchwork.data.builtin import Iris
    >>> cleaned = clean(Iris(), {"unreadable": "error", "duplicates": "keep_first"})
    >>> len(cleaned.kept), cleaned.set_aside[0].reason
    (149, 'the same content as row 102')
    """
    everything = np.arange(len(source))
    aside, findings = _FAULTS.get(source.schema.inputs, _unreadable)(source, spec, where, filled)
    kept = np.setdiff1d(everything, [fault.index for fault in aside])
    # where faults are an error, those of the others are told with them
    sound = np.setdiff1d(kept, [fault.index for fault in source.faults]) if _errors(findings) else kept
    repeated, said = _DUPLICATES[spec.get("duplicates")](source, sound, f"{where}.duplicates")
    kept = np.setdiff1d(kept, [fault.index for fault in repeated])
    aside, findings = [*aside, *repeated], [*findings, *said]
    if not _errors(findings) and not len(kept):
        message = f"none of {counted(len(source), 'sample', 'samples')} is left"
        findings.append(Finding("no-samples", "error", where, message, _reasons(aside)))
    if _errors(findings):
        raise InputError(_errors(findings))
    if aside:
        findings.append(_told(source, aside, where))
    return Cleaned(kept, _listed(source, sorted(aside)), findings)


def _listed(source: Source, faults: Sequence[Fault]) -> list[SetAside]:
    return [SetAside(fault.index, source.name(fault.index), fault.code, fault.reason) for fault in faults]


def _errors(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


Judged = tuple[list[Fault], list[Finding]]


def _unreadable(source: Source, spec: Mapping[str, Any], where: str, filled: Collection[str]) -> Judged:
    """Judge samples of files: those that cannot be read are set aside, or an error."""
    drop = spec.get("unreadable") == "drop"
    found = list(source.faults)
    paths = getattr(source, "paths", None)
    if paths is not None and source.schema.inputs in _DAMAGE:
        rest = np.setdiff1d(np.arange(len(source)), [fault.index for fault in found]).tolist()
        if drop or soon_decoded(paths[index] for index in rest):
            found = sorted([*found, *_DAMAGE[source.schema.inputs](source, rest)])
    if not found or drop:
        return found, []
    several = {"image": "images", "audio": "sounds", "text": "texts"}.get(source.schema.inputs, "samples")
    wrong = named(f"{source.name(fault.index)} ({fault.reason})" for fault in found)
    message = f"{len(found)} of {len(source)} {several} cannot be read: {wrong}"
    fix = f"mend or remove them, or set them aside: torchwork train CONFIG {where}.unreadable=drop"
    return [], [Finding(f"unreadable-{several}", "error", f"{where}.unreadable", message, fix)]


def _of_table(source: Source, spec: Mapping[str, Any], where: str, filled: Collection[str]) -> Judged:
    return missing.judge(source, spec, where, filled)


# By kind of samples; all others are files, or have no faults.
_FAULTS: dict[str, Callable[[Source, Mapping[str, Any], str, Collection[str]], Judged]] = {"table": _of_table}

# What decodes files to the end, by kind of samples.
_DAMAGE: dict[str, Callable[[Source, Sequence[int]], list[Fault]]] = {
    "image": images.damage,
    "audio": sounds.damage,
}


def soon_decoded(paths: Iterable[Path]) -> bool:
    """Tell whether files have so few bytes together that all are decoded before training: 128 MiB at most."""
    return sum(map(_bytes, paths)) <= DECODED


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # it is gone meanwhile
        return 0


def _equal(source: Source, kept: np.ndarray) -> list[list[int]]:
    """Return the groups of samples with equal content, each with the one that stays first, in the order of those."""
    rank = np.full(len(source), len(_FIRST))
    for part, ids in (source.given or {}).items():
        rank[ids] = _FIRST.index(part) if part in _FIRST else len(_FIRST)
    groups = defaultdict(list)
    for index, content in zip(kept.tolist(), fingerprints(source, kept), strict=True):
        if content:
            groups[content].append(index)
    several = [sorted(group, key=lambda index: (rank[index], index)) for group in groups.values() if len(group) > 1]
    return sorted(several)


def _two_labels(source: Source, groups: Sequence[Sequence[int]], where: str) -> list[Finding]:
    """Say where the same content has two classes."""
    if source.targets is None or source.schema.target != "class":
        return []
    of = source.targets
    said = []
    for first, *others in groups:
        other = next((index for index in others if of[index] != of[first]), None)
        if other is not None:
            said.append(f"{source.name(first)} ({of[first]}) and {source.name(other)} ({of[other]})")
    if not said:
        return []
    message = f"{counted(len(said), 'content has', 'contents have')} two classes: {named(said)}"
    fix = "one of them is wrong: look at them"
    return [Finding("two-labels", "warning", where, message, fix)]


def _keep_first(source: Source, kept: np.ndarray, where: str) -> Judged:
    groups = _equal(source, kept)
    aside = [
        Fault(index, "duplicate", f"the same content as {source.name(first)}")
        for first, *others in groups
        for index in others
    ]
    return aside, _two_labels(source, groups, where)


def _refuse_duplicates(source: Source, kept: np.ndarray, where: str) -> Judged:
    groups = _equal(source, kept)
    if not groups:
        return [], []
    shown = named(" = ".join(map(source.name, group[:3])) + (" = ..." if len(group) > 3 else "") for group in groups)
    repeated = sum(map(len, groups)) - len(groups)
    message = f"{counted(repeated, 'sample repeats', 'samples repeat')} the content of another: {shown}"
    fix = f"set the later ones aside: torchwork train CONFIG {where}=keep_first"
    return [], [Finding("duplicates", "error", where, message, fix), *_two_labels(source, groups, where)]


def _as_they_are(source: Source, kept: np.ndarray, where: str) -> Judged:
    return [], []


_DUPLICATES: dict[str | None, Callable[[Source, np.ndarray, str], Judged]] = {
    "error": _refuse_duplicates,
    "keep_first": _keep_first,
    "ignore": _as_they_are,
    None: _as_they_are,  # the split keeps them on one side
}


def _told(source: Source, aside: Sequence[Fault], where: str) -> Finding:
    """Say how many samples are set aside and why, and what each split that came with the data has lost."""
    gone = {fault.index for fault in aside}
    parts = [
        f"{sum(index in gone for index in ids.tolist())} of {part}'s {len(ids)}"
        for part, ids in (source.given or {}).items()
    ]
    lost = f"; of the given splits: {', '.join(parts)}" if parts else ""
    total = counted(len(source), "sample", "samples")
    message = f"{len(aside)} of {total} are set aside ({_reasons(aside)}){lost}; set-aside.csv says which and why"
    return Finding("set-aside", "warning", where, message)


def _reasons(aside: Sequence[Fault]) -> str:
    return ", ".join(f"{count} {code}" for code, count in Counter(fault.code for fault in aside).most_common())
