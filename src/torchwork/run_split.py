"""The splits of a run: cut by its config, without a leak, and provable by the contents of the samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from torchwork import rundir
from torchwork.config import Config
from torchwork.config.sections import SplitConfig
from torchwork.data import leaks, manifest, split
from torchwork.data.fingerprint import fingerprints
from torchwork.types import Finding, InputError, Source


@dataclass(frozen=True)
class Shared:
    """Indices by split, the fingerprint of each sample that may be used, the rule, and what there is to say."""

    splits: dict[str, np.ndarray]
    contents: dict[int, str]
    by: str
    findings: list[Finding]


def share_out(config: Config, source: Source, kept: np.ndarray | None = None) -> Shared:
    """Split a source by a config. Equal content goes to one side, unless ``data.clean.duplicates`` is ignore.

    Args:
        config: A whole one.
        source: The samples.
        kept: Those that may be used; by default all.

    Raises:
        InputError: the split is impossible, a given one has equal content on two sides (of rows of a table, where equal
            rows are natural, that is a warning), or a manifest is of other contents.
    """
    spec = config.data.split.model_dump()
    ids = np.arange(len(source)) if kept is None else np.asarray(kept, np.int64)
    contents = fingerprints(source, ids)
    ignored = config.data.clean.duplicates == "ignore"
    by = split.rule(source, spec)
    splits = split.split(source, spec, config.seed, among=ids, together=None if ignored else contents)
    keys = leaks.keys_of(ids, contents)
    findings = []
    if by == "manifest":
        path = Path(config.data.split.file or "")
        findings += manifest.changed(path, keys, "data.source")
    if not ignored:
        findings += leaks.across(source, splits, keys, "warning" if source.schema.inputs == "table" else "error")
    if not ignored and source.schema.inputs == "table" and by not in ("given", "manifest"):
        findings += leaks.repeated(contents)
    if by not in ("given", "manifest") and not (config.data.split.folds or spec["test_groups"] or spec["val_groups"]):
        findings += leaks.uneven(splits, {part: spec[part] for part in split.PARTS}, by)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise InputError(errors)
    return Shared(splits, keys, by, findings)


def as_begun(config: Config, directory: Path) -> Config:
    """Return the config of a run that goes on: its split is the one that it wrote down when it began."""
    said = SplitConfig(by="manifest", file=str(directory / rundir.SPLIT))
    clean = config.data.clean.model_copy(update={"duplicates": "ignore", "outliers": "ignore"})
    return config.model_copy(update={"data": config.data.model_copy(update={"split": said, "clean": clean})})


def check_same(source: Source, directory: Path) -> None:
    """Refuse to go on with more or fewer samples than a run began with, or with other targets.

    Raises:
        InputError: says how many there are, and names the samples whose target is another.
    """
    before = rundir.read_json(directory / rundir.DATA).get("source_samples", len(source))
    findings = []
    if before != len(source):
        message = f"the data are not those of {directory}: {before} samples then, {len(source)} now"
        findings.append(Finding("data-changed", "error", "data.source", message, "restore them, or start a new run"))
    findings += manifest.other_targets(source, directory / rundir.SPLIT, "data.source")
    if findings:
        raise InputError(findings)
