"""The splits of a run: cut by its config, without a leak, and provable by the contents of the samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from torchwork import rundir
from torchwork.config import Config
from torchwork.config.sections import SplitConfig
from torchwork.data import belonging, leaks, manifest, split
from torchwork.data.fingerprint import fingerprints
from torchwork.data.official import Official
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Severity, Source


@dataclass(frozen=True)
class Shared:
    """Indices by split, the fingerprint of each sample that may be used, the rule, and what there is to say.

    ``groups``: the group of each sample, where groups stay whole.
    """

    splits: dict[str, np.ndarray]
    contents: dict[int, str]
    by: str
    findings: list[Finding]
    groups: dict[int, str] | None = None

    def rows(self, source: Source, splits: dict[str, np.ndarray]) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """Return header and rows of split.csv."""
        header = manifest.HEADER if self.groups is None else [*manifest.HEADER, rundir.GROUP]
        return header, manifest.rows(source, splits, self.contents, self.groups)


def share_out(config: Config, source: Source, kept: np.ndarray | None = None) -> Shared:
    """Split a source by a config. Equal content goes to one side, unless ``data.clean.duplicates`` is ignore.

    Args:
        config: A whole one.
        source: The samples.
        kept: Those that may be used; by default all.

    Raises:
        InputError: the split is impossible, a given one has equal content on two sides (a warning where it is that of
            a published data set, to which others compare themselves, or of rows of a table, where equal rows are
            natural), or a manifest is of other contents.
    """
    spec = config.data.split.model_dump()
    ids = np.arange(len(source)) if kept is None else np.asarray(kept, np.int64)
    contents = fingerprints(source, ids)
    keys = leaks.keys_of(ids, contents)
    ignored = config.data.clean.duplicates == "ignore"
    by = split.rule(source, spec)
    findings = []
    if by == "manifest":
        findings += manifest.compared(source, Path(config.data.split.file or ""), keys, "data.split.file")
        _stop(findings)
    splits = split.split(source, spec, config.seed, among=ids, together=None if ignored else contents)
    if not ignored:
        findings += leaks.across(source, splits, keys, _severity(source, by))
    if not ignored and source.schema.inputs == "table" and by not in ("given", "manifest"):
        findings += leaks.repeated(contents)
    if by not in ("given", "manifest") and not (config.data.split.folds or spec["test_groups"] or spec["val_groups"]):
        findings += leaks.uneven(splits, {part: spec[part] for part in split.PARTS}, by)
    _stop(findings)
    return Shared(splits, keys, by, findings, _groups(source, spec, ids, by))


def _groups(source: Source, spec: dict[str, Any], ids: np.ndarray, by: str) -> dict[int, str] | None:
    """Return the group of each sample where the split kept groups whole, or that of another run, which it follows."""
    if by == "manifest":
        path = Path(spec["file"])
        then = rundir.read_groups(path)
        if then is None:
            return None
        found = manifest.matched(source, path, "data.split.file")
        return {place: then[int(row["id"])] for row, place in found if place >= 0}
    groups = belonging.groups(source, spec, ids, "data.split") if by in ("grouped", "hash") else None
    return None if groups is None else dict(zip(ids.tolist(), groups.tolist(), strict=True))


def _severity(source: Source, by: str) -> Severity:
    published = by == "given" and isinstance(source, Official)
    return "warning" if published or source.schema.inputs == "table" else "error"


def _stop(findings: list[Finding]) -> None:
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise InputError(errors)


def as_begun(config: Config, directory: Path) -> Config:
    """Return the config of a run that goes on: its split is the one that it wrote down when it began."""
    said = SplitConfig(by="manifest", file=str(directory / rundir.SPLIT))
    clean = config.data.clean.model_copy(update={"duplicates": "ignore", "outliers": "ignore"})
    return config.model_copy(update={"data": config.data.model_copy(update={"split": said, "clean": clean})})


def check_same(source: Source, directory: Path, *, numbered: bool = False) -> np.ndarray:
    """Refuse data that are not those that a run began with, as far as names and contents have not told it already.

    Args:
        source: The samples, which have been compared with the run's manifest.
        directory: The run.
        numbered: Whether each sample must have its number from then, by which all that is random is drawn.

    Returns:
        The number from then of each sample, int64 [N]; -1 for those in no split.

    Raises:
        InputError: samples have other numbers; or there are more or fewer, and they have no contents.
    """
    found = manifest.matched(source, directory / rundir.SPLIT, "data.source")
    before = rundir.read_json(directory / rundir.DATA).get("source_samples", len(source))
    shifted = [row["name"] for row, place in found if int(row["id"]) != place]
    message = ""
    if before != len(source) and not any(row.get("content") for row, _ in found):
        message = f"{before} samples then, {len(source)} now, and no contents by which to know them"
    elif numbered and shifted:
        message = (
            f"{counted(len(shifted), 'sample has', 'samples have')} another number, as others were added or removed "
            f"before them: {named(shifted)}; what is random goes by the number, so the result would be another"
        )
    if message:
        message = f"the data are not those of {directory}: {message}"
        raise InputError(Finding("data-changed", "error", "data.source", message, "restore them, or start a new run"))
    then = np.full(len(source), -1, np.int64)
    then[[place for _, place in found]] = [int(row["id"]) for row, _ in found]
    return then
