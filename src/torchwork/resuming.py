"""Going on with a run: from its last checkpoint, by its own config or by one that differs in what may differ."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchwork import (
    assembly,
    changes,
    config,
    course,
    dist,
    durable,
    environment,
    resolved,
    run_split,
    rundir,
    together,
)
from torchwork.assembly import Parts
from torchwork.changes import Change
from torchwork.config import Config
from torchwork.data import split
from torchwork.optim.schedule import follows_length
from torchwork.progress.outlook import Progress as Shown
from torchwork.report import html
from torchwork.runlog import RunLog
from torchwork.training import checkpoint
from torchwork.training import device as devices
from torchwork.training.loop import is_over
from torchwork.training.state import Progress
from torchwork.types import Finding, InputError


def go_on(
    directory: Path,
    progress: Shown | None = None,
    given: Config | None = None,
    allowed: Sequence[str] = (),
    *,
    judge: course.Judge | None = None,
    report: bool = True,
) -> None:
    """Go on with a run to its end; one that is complete stays as it is, but where ``given`` wants more epochs of it.

    Args:
        directory: The run.
        progress: Told of what happens.
        given: The config to go on with; by default the run's own.
        allowed: Keys of the config, or sections, that may be others than the run began with.
        judge: Who says after each epoch whether to go on.
        report: Whether the report is drawn at the end.

    Raises:
        InputError: the config makes another run of it, the data are no longer what they were, or another process is at
            work there.
        RunError, Interrupted: as `torchwork.train`.
    """
    log = RunLog(directory, progress)
    with together.readable(directory) as here:
        if dist.from_first(rundir.is_complete(here) and not _differing(here, given)[2]):
            _complete(log, [], report=report)
            return
    with together.directory_of(lambda: directory), together.readable(directory) as here:
        kept, wanted, found = _differing(here, given)
        changes.check(found, allowed)
        place = checkpoint.latest(here / rundir.CHECKPOINTS)
        at = checkpoint.progress_of(place) if place is not None else Progress()
        _check_place(here, place, at, wanted, found)
        if dist.from_first(rundir.is_complete(here) and is_over(at, wanted.train.epochs, wanted.train.patience)):
            _complete(log, found, report=report)
            return
        settings = changes.closed(given, kept, changes.CHOICES) if given is not None else kept
        assembled = together.with_threads(settings, here)
        with devices.using_threads(assembled.train.threads or devices.default_threads()):
            parts = together.agreed(
                lambda: assembly.assemble(run_split.as_begun(assembled, here), pretrained=place is None)
            )
            try:
                _make_ready(_Standing(kept, settings, at, place, here), parts, log, allowed)
                course.run_through(parts, log, "resume", judge, report=report)
            finally:
                parts.data.close()


def _differing(directory: Path, given: Config | None) -> tuple[Config, Config, list[Change]]:
    """Return the run's config, the one to go on with, and what differs between them."""
    kept = config.load(directory / rundir.CONFIG)
    if given is None:
        return kept, kept, []
    wanted = changes.closed(given, kept)
    return kept, wanted, changes.between(kept, wanted)


@dataclass(frozen=True)
class _Standing:
    """Where a run stands: its config, the one to go on with, the last checkpoint, and where it can be read."""

    kept: Config
    settings: Config
    at: Progress
    place: Path | None
    here: Path


def _complete(log: RunLog, found: Sequence[Change], *, report: bool) -> None:
    if report and not (log.directory / rundir.REPORT).is_file() and dist.is_first():
        html.write(log.directory)
    if log.progress is not None:
        said = f"{log.directory} is complete: nothing is left to do"
        idle = f"; these have no effect on it any more: {', '.join(map(str, found))}" if found else ""
        log.progress.message(said + idle)


def _check_place(directory: Path, place: Path | None, at: Progress, wanted: Config, found: Sequence[Change]) -> None:
    """Refuse what cannot be changed where the run stands."""
    findings = []
    if place is None and rundir.is_complete(directory) and any(change.key == "train.epochs" for change in found):
        message = "the run is complete, and there is no checkpoint any more to go on from"
        findings.append(Finding("no-checkpoint", "error", "train.epochs", message, "start a new run"))
    begun = at.epoch + bool(at.position)
    if wanted.train.epochs < begun:
        message = f"got {wanted.train.epochs}, and {at.epoch} epochs are over"
        message += f" and epoch {begun} has begun" if at.position else ""
        findings.append(Finding("wrong-value", "error", "train.epochs", message, f"expected {begun} or more"))
    run = shlex.quote(str(directory))
    fix = f"first let the epoch end: torchwork resume {run} train.epochs={begun}; then change it"
    message = f"cannot be changed in the middle of epoch {begun}: it says which samples are still to come"
    findings += [Finding("mid-epoch", "error", c.key, message, fix) for c in found if c.reorders and at.position]
    if findings:
        raise InputError(findings)


def _make_ready(standing: _Standing, parts: Parts, log: RunLog, allowed: Sequence[str]) -> None:
    directory, kept, place = log.directory, standing.kept, standing.place
    run_split.check_same(parts.data.source, standing.here, numbered=True)
    decided = _decided(standing.settings, parts) if standing.settings is not kept else kept
    found = changes.between(kept, decided)
    changes.check(found, allowed)
    _check_moved(parts, found, allowed)
    tell_added(parts, log)
    recorded = dist.from_first(_recorded(directory) if dist.is_first() else [])
    together.spread(parts)
    stretched = _stretched(kept, parts)
    entry = _entry(standing.at, found, stretched)
    monitor = parts.options.monitor
    others = any(not each["harmless"] for each in [*recorded, *([entry] if found else [])])
    if place is not None:
        for finding in checkpoint.load(place, parts.state, rates_of=monitor if others else None):
            log.finding(finding)
    progress = parts.state.progress
    if progress.epoch and not progress.position:
        progress.done = is_over(progress, parts.options.epochs, parts.options.patience)
    if dist.is_first():
        for lost, wrong in checkpoint.damaged(directory / rundir.CHECKPOINTS):
            log.tell(f"warning: {lost} is damaged and cannot be used: {wrong}")
        log.tell(f"resumed from {place or 'the beginning'}")
        _note_environment(parts, log)
        if found:
            _change(log, [*recorded, entry], found, decided)
    if stretched:
        _tell_stretched(log, kept.train.epochs, decided.train.epochs)


def _decided(settings: Config, parts: Parts) -> Config:
    """Return a config with all that it left open as it comes out; its split is the one that it asks for."""
    found = resolved.written_out(parts)
    spec = settings.data.split
    by = spec.model_copy(update={"by": split.rule(parts.data.source, spec.model_dump())})
    data = found.data.model_copy(update={"split": by, "clean": settings.data.clean})
    # another number of processes takes other threads, for as long as there are so many
    train = found.train.model_copy(update={"threads": settings.train.threads or found.train.threads})
    return found.model_copy(update={"data": data, "train": train})


def _check_moved(parts: Parts, found: Sequence[Change], allowed: Sequence[str]) -> None:
    """Refuse data in another place that have no contents by which to know them."""
    contents = parts.data.shared.contents
    if all(contents.get(int(index)) for ids in parts.data.splits.values() for index in ids):
        return
    message = "the data lie elsewhere, and their samples have no fingerprints that tell whether they are the same"
    findings = [
        Finding("changed-config", "error", change.key, message, f"allow it: --allow-change {change.key}")
        for change in found
        if change.moves_data and not changes.within(change.key, allowed)
    ]
    if findings:
        raise InputError(findings)


def _stretched(kept: Config, parts: Parts) -> bool:
    """Tell whether another number of epochs gives the schedule other rates."""
    steps = -(-len(parts.data.loaders["train"]) // parts.options.accumulate)
    return follows_length(parts.config.schedule, kept.train.epochs, parts.options.epochs, steps)


def _entry(at: Progress, found: Sequence[Change], stretched: bool) -> dict[str, Any]:
    """Return what is written down of changes; harmless ones give what a run has that began with them."""
    return {
        **environment.moment(),
        "step": at.index,
        "epoch": at.epoch,
        "changes": [{"key": c.key, "old": changes.said(c.old), "new": changes.said(c.new)} for c in found],
        "harmless": all(change.harmless or change.moves_data for change in found) and not stretched,
    }


def _recorded(directory: Path) -> list[dict[str, Any]]:
    """Return the changes that were made before; not one whose writing was cut off before the config had it."""
    recorded = rundir.read_changes(directory)
    if recorded and recorded[-1].get("instead_of") == _digest(directory / rundir.CONFIG):
        return recorded[:-1]
    return recorded


def _change(log: RunLog, record: list[dict[str, Any]], found: Sequence[Change], decided: Config) -> None:
    """Write down what changes and when, then the config, so that a crash in between leaves the one or the other."""
    directory, entry = log.directory, record[-1]
    entry["instead_of"] = _digest(directory / rundir.CONFIG)
    if rundir.is_complete(directory):
        entry["metrics"] = rundir.read_metrics(directory)
    rundir.write_json(directory / rundir.CHANGES, record)
    durable.remove_file(directory / rundir.METRICS)  # it would tell that the run is complete
    durable.write_file(directory / rundir.CONFIG, config.dump(decided))
    for change in found:
        log.tell(f"changed after step {entry['step']}: {change}")


def _tell_stretched(log: RunLog, old: int, new: int) -> None:
    message = (
        f"the schedule follows the length of the run: from here on its rates are those of a run of {new} epochs, "
        f"and those before were of one of {old}; no run from the start gives the same result"
    )
    log.finding(Finding("schedule-stretched", "warning", "train.epochs", message))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _note_environment(parts: Parts, log: RunLog) -> None:
    """Write down where and with what the run goes on, and say what is not as it was when it began."""
    path = log.directory / rundir.ENVIRONMENT
    began: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        read = rundir.read_json(path)
        began = read if isinstance(read, dict) else {}
    now = environment.describe(parts.device, parts.config.train.threads or 1)
    differing = environment.differences(began, now)
    resumed = {**environment.moment(), "step": parts.state.progress.index}
    resumed |= {"differs": {key: [then, here] for key, then, here in differing}} if differing else {}
    rundir.write_json(path, {**(began or now), "resumed": [*began.get("resumed", []), resumed]})
    for key, then, here in differing if began else ():
        log.tell(f"note: {key} was {then} when the run began and is {here} now")


def tell_added(parts: Parts, log: RunLog) -> None:
    """Say which samples were added to the data since the run began."""
    for finding in parts.data.shared.findings:
        if finding.code == "added-samples":
            log.finding(finding)
