"""Which samples train, which validate, which test: exact counts, a function of the seed alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from torchwork import rng
from torchwork.data.wording import counted
from torchwork.types import Finding, InputError, Source

PARTS = ("train", "val", "test")


def split(source: Source, spec: Mapping[str, Any], seed: int, where: str = "data.split") -> dict[str, np.ndarray]:
    """Return the indices (int64, ascending) of train, val and test; a part without samples is left out.

    ``spec`` holds the fractions ``train``, ``val`` and ``test``, which sum to 1, and ``by``:

    - ``random``: the counts are the fractions of all samples, rounded by largest remainder.
    - ``stratified``: the same within each class; equal remainders go to the part that is furthest behind its share.
    - ``given``: the splits that come with the data, as they are. A val or test that does not come with them is cut from
      the given train, and its fraction is that of the given train; 0 does without.
    - None: given where the data come with splits, else stratified for classes, else random.

    Raises:
        InputError: fractions that are negative or do not sum to 1, a part that was asked for and got no sample,
            ``given`` without splits, ``stratified`` without classes.

    >>> from torchwork.data.builtin import Iris
    >>> parts = split(Iris(), {"train": 0.7, "val": 0.15, "test": 0.15, "by": "stratified"}, seed=0)
    >>> {name: len(ids) for name, ids in parts.items()}
    {'train': 105, 'val': 23, 'test': 22}
    """
    shares = {part: float(spec.get(part, 0.0)) for part in PARTS}
    by = spec.get("by") or default_by(source)
    _check(source, shares, by, where)
    if by == "given":
        parts = _given(source, shares, seed, where)
    else:
        parts = _cut(source, np.arange(len(source)), shares, seed, stratified=by == "stratified")
    empty = [part for part in PARTS if shares[part] > 0 and len(parts.get(part, ())) == 0]
    if empty:
        total = len(source)
        message = f"{counted(total, 'sample', 'samples')} split {by} leave nothing for {' and '.join(empty)}"
        fix = "give that part 0, or a larger fraction" + (", or by: random" if by == "stratified" else "")
        raise InputError(Finding("empty-split", "error", where, message, fix))
    return {part: np.sort(parts[part]).astype(np.int64) for part in PARTS if len(parts.get(part, ()))}


def default_by(source: Source) -> str:
    """Return how a source is split where nothing is said: as given, else stratified for classes, else random."""
    return "given" if source.given is not None else "stratified" if source.schema.target == "class" else "random"


def _check(source: Source, shares: Mapping[str, float], by: str, where: str) -> None:
    findings = [
        Finding("negative-fraction", "error", f"{where}.{part}", f"got {share}", "expected 0 to 1")
        for part, share in shares.items()
        if not 0 <= share <= 1
    ]
    total = sum(shares.values())
    if not findings and by != "given" and abs(total - 1) > 1e-6:
        said = " + ".join(f"{part} {share:g}" for part, share in shares.items())
        fix = "make them sum to 1 (a part that is left out has its default; write 0 to do without it)"
        findings.append(Finding("fractions", "error", where, f"{said} = {total:g}", fix))
    if not findings and by != "given" and shares["train"] == 0:
        findings.append(Finding("no-train", "error", f"{where}.train", "nothing is left to train on"))
    if by == "given" and source.given is None:
        fix = "leave `by` out, or use random or stratified"
        findings.append(Finding("no-given-split", "error", f"{where}.by", "the data come without splits", fix))
    if by == "stratified" and source.schema.target != "class":
        found = {"number": "numbers", "sequence": "sequences"}.get(source.schema.target or "", "no targets")
        fix = "use by: random"
        findings.append(Finding("no-classes", "error", f"{where}.by", f"stratified needs classes, not {found}", fix))
    if findings:
        raise InputError(findings)


def _given(source: Source, shares: dict[str, float], seed: int, where: str) -> dict[str, np.ndarray]:
    assert source.given is not None
    parts = {part: np.asarray(ids, np.int64) for part, ids in source.given.items() if len(ids)}
    if "train" not in parts:
        raise InputError(Finding("no-train", "error", where, "the data's own splits have no training samples"))
    missing = {part: shares[part] for part in ("val", "test") if part not in parts and shares[part] > 0}
    rest = 1 - sum(missing.values())
    if rest <= 0:
        message = f"{' and '.join(missing)}, cut from the given training samples, would leave none"
        raise InputError(Finding("fractions", "error", where, message, "give them less than 1 together"))
    for part in PARTS:  # what stands in the data is not asked for by fraction
        shares[part] = missing.get(part, 0.0)
    if not missing:
        return parts
    stratified = source.schema.target == "class"
    return parts | _cut(source, parts["train"], {"train": rest, **missing}, seed, stratified=stratified)


def _cut(
    source: Source, indices: np.ndarray, shares: Mapping[str, float], seed: int, *, stratified: bool
) -> dict[str, np.ndarray]:
    shuffled = indices[np.argsort(rng.keys(seed, "split", indices), kind="stable")]
    if not stratified:
        groups = [shuffled]
    else:
        assert source.targets is not None
        _, code = np.unique(source.targets[shuffled].astype(str), return_inverse=True)
        order = np.argsort(code, kind="stable")
        groups = np.split(shuffled[order], np.flatnonzero(np.diff(code[order])) + 1)
    names = [part for part in PARTS if shares.get(part, 0.0) > 0]
    share = np.array([shares[part] for part in names])
    parts: dict[str, list[np.ndarray]] = {part: [] for part in names}
    behind = np.zeros(len(names))
    for group in groups:
        counts = _counts(len(group), share, behind)
        behind += share * len(group) - counts
        for part, ids in zip(names, np.split(group, np.cumsum(counts)[:-1]), strict=True):
            parts[part].append(ids)
    return {part: np.concatenate(found) for part, found in parts.items()}


def _counts(total: int, share: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Return whole counts that sum to ``total``: largest remainder, ties to the part furthest behind its share."""
    quota = np.round(share * total, 9)  # so that 0.15 · 20 is 3 and equal remainders compare equal
    counts = np.floor(quota).astype(np.int64)
    order = np.lexsort((np.arange(len(share)), -np.round(behind, 9), -np.round(quota - counts, 6)))
    counts[order[: total - int(counts.sum())]] += 1
    return counts
