"""Which samples train, which validate, which test: a function of the data and the seed alone, without a leak."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from torchwork import rng
from torchwork.data import belonging, manifest
from torchwork.data.cut import cut
from torchwork.data.fingerprint import fingerprints
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Source

PARTS = ("train", "val", "test")
Ids = np.ndarray


def split(
    source: Source,
    spec: Mapping[str, Any],
    seed: int,
    *,
    among: Ids | None = None,
    together: Sequence[str] | None = None,
    where: str = "data.split",
) -> dict[str, Ids]:
    """Return the indices (int64, ascending) of train, val and test; a part without samples is left out.

    ``spec`` holds the fractions ``train``, ``val`` and ``test``, which sum to 1, and ``by``:

    - ``random``: the counts are the fractions of all samples, rounded by largest remainder.
    - ``stratified``: the same within each class; equal remainders go to the part that is furthest behind its share.
    - ``grouped``: samples of one group, by ``group`` (a column) or ``pattern`` (on the names), stay together; counts
      and classes are as near to the fractions as `torchwork.data.cut` brings whole groups. ``test_groups`` and
      ``val_groups`` name who goes there; a val or test that is not named is cut from the rest, its fraction that of
      the rest.
    - ``time``: by the column ``time`` the earliest train, then val, then test; equal times stay together, so that a
      border lies at the change of times that is nearest to the fractions. Of equal content the latest time counts.
    - ``hash``: a sample's side follows from the seed and its content (its group, where there are groups), so that it
      stays when others are added or removed. Fractions hold roughly: of n samples a part with fraction p has p n, give
      or take the square root of n p (1 − p): 150 ± 11 of 1,000 at 0.15.
    - ``given``: the splits that come with the data, as they are. A val or test that does not come with them is cut from
      the given train, and its fraction is that of the given train; 0 does without.
    - ``manifest``: the splits of another run, by its split.csv, ``file``.
    - None: what the other keys say, else given where the data come with splits, stratified for classes, or random.

    With ``folds: k`` test is cut as said and all else into k parts, of which number ``fold``, from 1, is val.

    Args:
        source: The samples.
        spec: What is said above, as the keys of ``data.split``.
        seed: Another one cuts otherwise.
        among: The samples that may be used; the others are in no part. By default all.
        together: A key for each of ``among``: those with equal keys stay on one side; "" is equal to none. Counts are
            then as exact as that allows.
        where: The place in the config, for findings.

    Raises:
        InputError: fractions that are negative or do not sum to 1, a part that was asked for and got no sample, columns
            that are missing or empty, groups that are not there, ``given`` without splits, ``stratified`` without
            classes, a manifest of other data.

    >>> from torchwork.data.builtin import Iris
    >>> parts = split(Iris(), {"train": 0.7, "val": 0.15, "test": 0.15, "by": "stratified"}, seed=0)
    >>> {name: len(ids) for name, ids in parts.items()}
    {'train': 105, 'val': 23, 'test': 22}
    """
    shares = {part: float(spec.get(part) or 0.0) for part in PARTS}
    by = rule(source, spec)
    _check(source, spec, shares, by, where)
    ids = np.arange(len(source)) if among is None else np.asarray(among, np.int64)
    ascending = np.argsort(ids, kind="stable")
    ids, keys = ids[ascending], None if together is None else [together[place] for place in ascending]
    groups = belonging.groups(source, spec, ids, where)
    if by == "hash" and groups is None:
        keys = _contents(source, ids, keys, where)
    pool = _Pool(source, ids, seed, by, keys, groups)
    fixed = _fixed(source, spec, ids, by, groups, where)
    if fixed is not None:
        parts, asked = _with_fixed(pool, fixed, spec, where)
    elif by == "time":
        parts, asked = _by_time(source, spec, ids, keys, shares, where), shares
    else:
        asked = {"train": 1 - shares["test"], "test": shares["test"]} if spec.get("folds") else shares
        parts = pool.cut(np.arange(len(ids)), asked)
    if spec.get("folds"):
        parts, asked = _fold(pool, parts, spec, where), {**asked, "val": 1.0}
    empty = [part for part in PARTS if asked.get(part, 0) > 0 and len(parts.get(part, ())) == 0]
    if empty:
        raise InputError(_nothing_left(pool, by, empty, where))
    return {part: np.sort(ids[parts[part]]) for part in PARTS if len(parts.get(part, ()))}


def rule(source: Source, spec: Mapping[str, Any]) -> str:
    """Return how a source is split: as ``by`` says, or the other keys, or as given, stratified or random."""
    if spec.get("by"):
        return str(spec["by"])
    for key, by in (("file", "manifest"), ("time", "time"), ("group", "grouped"), ("pattern", "grouped")):
        if spec.get(key) is not None:
            return by
    return default_by(source)


def default_by(source: Source) -> str:
    """Return how a source is split where nothing is said: as given, else stratified for classes, else random."""
    return "given" if source.given is not None else "stratified" if source.schema.target == "class" else "random"


_MOVES = "samples change sides when data are added (by: hash keeps them)"
_TOLD = {
    "random": f"random: exact counts; {_MOVES}",
    "stratified": f"stratified: exact counts of every class; {_MOVES}",
    "grouped": f"grouped by {{group}}: groups stay whole; {_MOVES}",
    "time": "by {time}: the earliest train, the latest test",
    "hash": "by hash: samples keep their sides when data are added; the fractions hold roughly",
    "given": "as the data come",
    "manifest": "as in {file}",
}


def told(by: str, spec: Mapping[str, Any], given: Collection[str] = PARTS) -> str:
    """Return in a line how samples are shared out, and what that is worth; ``given`` parts come with the data.

    >>> told("time", {"time": "date"})
    'by date: the earliest train, the latest test'
    >>> told("given", {"val": 0.1, "test": 0}, ["train", "test"])
    'as the data come; cut from their train: val 0.1'
    """
    group = spec.get("group") or spec.get("pattern")
    line = _TOLD[by].format(group=group, time=spec.get("time"), file=spec.get("file"))
    missing = _missing(by, spec, given) if by == "given" else {}
    if missing:
        line += f"; cut from their train: {', '.join(f'{part} {share:g}' for part, share in missing.items())}"
    return f"{line}; val is fold {spec.get('fold') or 1} of {spec['folds']}" if spec.get("folds") else line


def _missing(by: str, spec: Mapping[str, Any], fixed: Collection[str]) -> dict[str, float]:
    """Return the fractions of those parts that are to be cut, as they are not among the fixed ones."""
    lacking = () if by == "manifest" else ("test",) if spec.get("folds") else ("val", "test")
    return {part: float(spec[part]) for part in lacking if part not in fixed and spec.get(part)}


def _check(source: Source, spec: Mapping[str, Any], shares: Mapping[str, float], by: str, where: str) -> None:
    findings = [
        Finding("negative-fraction", "error", f"{where}.{part}", f"got {share}", "expected 0 to 1")
        for part, share in shares.items()
        if not 0 <= share <= 1
    ]
    total = sum(shares.values())
    cut_whole = by not in ("given", "manifest") and not spec.get("test_groups") and not spec.get("val_groups")
    if not findings and spec.get("folds"):
        if shares["test"] == 1:
            findings.append(Finding("no-train", "error", f"{where}.test", "nothing is left to train on"))
    elif not findings and cut_whole and abs(total - 1) > 1e-6:
        said = " + ".join(f"{part} {share:g}" for part, share in shares.items())
        fix = "make them sum to 1 (where one is written, train takes the rest; write none, and they are the defaults)"
        findings.append(Finding("fractions", "error", where, f"{said} = {total:g}", fix))
    elif not findings and cut_whole and shares["train"] == 0:
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


@dataclass(frozen=True)
class _Pool:
    """The samples that can be shared out; samples are meant by their places in ``ids``."""

    source: Source
    ids: Ids
    seed: int
    by: str
    keys: list[str] | None
    groups: np.ndarray | None

    def cut(self, places: np.ndarray, shares: Mapping[str, float]) -> dict[str, np.ndarray]:
        """Cut some samples into parts of these shares."""
        asked = {part: share for part, share in shares.items() if share > 0}
        share = np.array(list(asked.values()))
        if self.by == "hash":
            found = self._by_hash(places, asked)
        else:
            order = rng.keys(self.seed, "split", self.ids[places])
            found = cut(order, share, self._strata(places), self._units(places))
        return {part: places[found == number] for number, part in enumerate(asked)}

    def _strata(self, places: np.ndarray) -> np.ndarray:
        if self.by == "random" or self.source.schema.target != "class":
            return np.zeros(len(places), np.int64)
        assert self.source.targets is not None
        classes = self.source.targets[self.ids[places]].astype(str)
        return np.unique(classes, return_inverse=True)[1].reshape(-1)

    def _units(self, places: np.ndarray) -> np.ndarray:
        keys = None if self.keys is None else [self.keys[place] for place in places]
        return belonging.units(keys, None if self.groups is None else self.groups[places], count=len(places))

    def _by_hash(self, places: np.ndarray, shares: Mapping[str, float]) -> np.ndarray:
        """Return the part of each sample: where a number in [0, 1), drawn from its key, lies; test comes first."""
        keys = self.keys if self.groups is None else self.groups.tolist()
        assert keys is not None
        what = "/".join(sorted(shares)) if "1" in shares else "parts"  # folds are drawn apart from test
        drawn = np.array([_draw(f"{self.seed} {what} {keys[place]}") for place in places])
        names = list(shares)
        ends = np.cumsum([shares[name] for name in reversed(names)])
        return len(names) - 1 - np.minimum(np.searchsorted(ends, drawn, side="right"), len(names) - 1)


def _contents(source: Source, ids: Ids, keys: list[str] | None, where: str) -> list[str]:
    """Return a fingerprint of every sample, by which its side can be told."""
    keys = fingerprints(source, ids) if keys is None else keys
    bare = [source.name(int(index)) for index, key in zip(ids, keys, strict=True) if not key]
    if bare:
        message = f"{counted(len(bare), 'sample has', 'samples have')} no content that stays: {named(bare)}"
        fix = "a data set of one's own may draw it anew: take by: random, or groups by pattern"
        raise InputError(Finding("no-content", "error", f"{where}.by", message, fix))
    return keys


def _draw(text: str) -> float:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def _fixed(
    source: Source, spec: Mapping[str, Any], ids: Ids, by: str, groups: np.ndarray | None, where: str
) -> dict[str, np.ndarray] | None:
    """Return the places of the parts that are not cut but said; None where none is."""
    if by == "manifest":
        said = manifest.parts_of(source, Path(spec["file"]), f"{where}.file", among=ids)
        return {part: np.flatnonzero(np.isin(ids, rows)) for part, rows in said.items()}
    if by == "given":
        assert source.given is not None
        found = {part: np.flatnonzero(np.isin(ids, rows)) for part, rows in source.given.items() if part in PARTS}
        if not len(found.get("train", ())):
            raise InputError(Finding("no-train", "error", where, "the data's own splits have no training samples"))
        return {part: places for part, places in found.items() if len(places)}
    wanted = {part: [str(group) for group in spec.get(f"{part}_groups") or ()] for part in ("val", "test")}
    if groups is None or not any(wanted.values()):
        return None
    known = set(groups.tolist())
    findings = []
    for part, names in wanted.items():
        lacking = [repr(name) for name in names if name not in known]
        if lacking:
            message = f"{'no group is' if len(lacking) == 1 else 'no groups are'} called {named(lacking)}"
            fix = f"there are {named(sorted(known), 20)}"
            findings.append(Finding("no-group", "error", f"{where}.{part}_groups", message, fix))
    if findings:
        raise InputError(findings)
    side = {part: np.isin(groups, names) for part, names in wanted.items() if names}
    rest = ~np.any(list(side.values()), axis=0)
    return {part: np.flatnonzero(inside) for part, inside in {"train": rest, **side}.items()}


def _with_fixed(
    pool: _Pool, fixed: dict[str, np.ndarray], spec: Mapping[str, Any], where: str
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Cut what the fixed parts lack from their train; return the parts and the fractions that were asked for."""
    missing = _missing(pool.by, spec, fixed)
    rest = 1 - sum(missing.values())
    if rest <= 0:
        message = f"{' and '.join(missing)}, cut from the given training samples, would leave none"
        raise InputError(Finding("fractions", "error", where, message, "give them less than 1 together"))
    if not missing:
        return fixed, {"train": 1.0}
    asked = {"train": rest, **missing}
    return fixed | pool.cut(fixed["train"], asked), asked


def _by_time(
    source: Source,
    spec: Mapping[str, Any],
    ids: Ids,
    keys: list[str] | None,
    shares: Mapping[str, float],
    where: str,
) -> dict[str, np.ndarray]:
    moment = belonging.times(source, spec["time"], ids, f"{where}.time")
    if keys is not None:
        unit = belonging.units(keys, count=len(ids))
        latest = np.full(int(unit.max(initial=-1)) + 1, moment.min())
        np.maximum.at(latest, unit, moment)
        moment = latest[unit]
    order = np.argsort(moment, kind="stable")
    changes = np.flatnonzero(np.diff(moment[order])) + 1
    borders, asked = [0], [part for part in PARTS if shares[part] > 0]
    # a border is at a change of times, later than the one before
    for wish in np.cumsum([shares[part] for part in asked])[:-1] * len(ids):
        possible = changes[changes > borders[-1]]
        borders.append(int(possible[np.argmin(np.abs(possible - wish))]) if len(possible) else borders[-1])
    return {part: order[begin:end] for part, begin, end in zip(asked, borders, [*borders[1:], len(ids)], strict=True)}


def _fold(pool: _Pool, parts: dict[str, np.ndarray], spec: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
    """Make val the wanted one of the folds into which everything but test is cut."""
    count, fold = int(spec["folds"]), int(spec.get("fold") or 1)
    rest = np.sort(np.concatenate([parts[part] for part in ("train", "val") if part in parts]))
    found = pool.cut(rest, {str(number): 1 / count for number in range(1, count + 1)})
    empty = [number for number, places in found.items() if len(places) == 0]
    if empty:
        whole = "groups" if pool.groups is not None else "samples"
        message = f"{counted(count, 'fold', 'folds')} of {len(np.unique(pool._units(rest)))} {whole} that stay whole"
        fix = "take fewer"
        raise InputError(Finding("empty-split", "error", f"{where}.folds", f"{message} leave some empty", fix))
    val = found[str(fold)]
    return {"train": np.setdiff1d(rest, val), "val": val, **({"test": parts["test"]} if "test" in parts else {})}


def _nothing_left(pool: _Pool, by: str, empty: Sequence[str], where: str) -> Finding:
    total = len(pool.ids)
    message = f"{counted(total, 'sample', 'samples')} split {by} leave nothing for {' and '.join(empty)}"
    fix = "give that part 0, or a larger fraction" + (", or by: random" if by == "stratified" else "")
    if by != "time":
        sizes = np.bincount(pool._units(np.arange(total)))
        if sizes.max(initial=0) > 1:
            what = "groups" if pool.groups is not None else "samples of equal content"
            message += f": {what} stay together, {len(sizes)} units in all, the largest of {int(sizes.max())}"
            if pool.keys is not None:
                fix += ", or data.clean.duplicates: ignore"
    return Finding("empty-split", "error", where, message, fix)
