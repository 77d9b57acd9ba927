"""A run from end to end: train a config into a run directory, go on with one, load one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchwork import assembly, beginning, config, course, dist, finishing, resuming, run_split, rundir, together
from torchwork.course import Judge
from torchwork.loaded import Run, load
from torchwork.progress.choice import chosen
from torchwork.progress.outlook import Progress
from torchwork.runlog import RunLog
from torchwork.training import device as devices
from torchwork.types import Finding, InputError


def train(
    source: str | Path | Mapping[str, Any] | config.Config,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    resume: str | None = None,
    allow_changes: Sequence[str] = (),
    progress: Progress | bool | None = None,
    judge: Judge | None = None,
    report: bool = True,
) -> Run:
    """Train what a config describes: from the data to a run directory with model, numbers and report.

    Args:
        source: A config: the path of a YAML, TOML or JSON file, a dict, or a loaded one.
        overrides: Changes as on the command line: ``["train.epochs=2"]``.
        out: The run directory; by default the next number in ``runs/<name>``.
        resume: ``"auto"`` goes on where ``out``, or by default the run of the greatest number in ``runs/<name>``, was
            begun before, leaves it as it is where it is complete, and begins it where there is none: the same call
            over and over comes to the end of one run.
        allow_changes: Of a run that goes on, the keys of the config that may be others than it began with.
        progress: True shows bars (in a notebook, on a terminal) or a line an epoch; False nothing; None bars in a
            notebook and nothing in a script. Or who is told of every step and epoch.
        judge: Gets each epoch's row of history and says whether to go on; a run that it gives up is saved like any
            that was stopped.
        report: Whether the report is drawn at the end; ``torchwork report`` draws it later.

    Raises:
        InputError: the config or the data are wrong, or make another run of one that goes on; nothing was started.
        RunError: training could not go on; what was written stays.
        Interrupted: Ctrl-C, SIGTERM, SIGUSR1 or the judge's word, after the current step was finished and saved.
    """
    settings = source if isinstance(source, config.Config) else config.load(source, overrides)
    progress = chosen(progress) if dist.is_first() else None
    check_resume(resume, allow_changes)
    with together.joined(settings.distributed.timeout_minutes):
        place = together.begun(settings.name, Path(out) if out is not None else None, auto=resume is not None)
        if place is None or not place.goes_on:
            begun = _begin(settings, place.path if place is not None else None, progress, judge, report=report)
            if begun is not None:
                return together.opened(begun)
            if resume is None:
                raise InputError(rundir.taken(Path(out or "")))
        assert place is not None  # another process made a run of it
        resuming.go_on(place.path, progress, settings, allow_changes, judge=judge, report=report)
        return together.opened(place.path)


def check_resume(resume: str | None, allow_changes: Sequence[str] = ()) -> None:
    """Refuse another word than auto, and changes of a run that begins."""
    findings = []
    if resume not in (None, "auto"):
        fix = "expected auto; to go on with a certain run: torchwork resume RUN"
        findings.append(Finding("wrong-value", "error", "--resume", f"got {resume!r}", fix))
    if allow_changes and resume is None:
        fix = "add --resume auto, or remove it"
        findings.append(Finding("contradiction", "error", "--allow-change", "a run that begins has no changes", fix))
    if findings:
        raise InputError(findings)


def _begin(
    settings: config.Config, out: Path | None, progress: Progress | None, judge: Judge | None, *, report: bool
) -> Path | None:
    """Train in a new directory, or in one where no run has come about yet; None where one has, in the meantime."""
    with devices.using_threads(settings.train.threads or devices.default_threads()):
        parts = together.agreed(lambda: assembly.assemble(settings))
        try:
            with together.directory_of(lambda: _place(out, settings.name)) as directory:
                if dist.from_first((directory / rundir.CONFIG).is_file()):
                    return None
                if dist.is_first():
                    beginning.write_beginning(parts, directory)
                log = RunLog(directory, progress)
                log.note(f"transform: {' → '.join(parts.data.pipeline.describe()) or 'none'}")
                for finding in parts.findings:
                    log.finding(finding)
                together.spread(parts)
                course.run_through(parts, log, "train", judge, report=report)
        finally:
            parts.data.close()
    return directory


def _place(out: Path | None, name: str) -> Path:
    """Make a new run directory; where another process made a run of ``out`` in the meantime, return that."""
    try:
        return rundir.create(out, name)
    except InputError:
        if out is None or not (out / rundir.CONFIG).is_file():
            raise
        return out


def resume(
    path: str | Path,
    *,
    overrides: Sequence[str] = (),
    allow_changes: Sequence[str] = (),
    progress: Progress | bool | None = None,
    judge: Judge | None = None,
    report: bool = True,
) -> Run:
    """Go on with a run from its last checkpoint, to the same result as if it had never stopped.

    A run that is already complete is returned as it is, unless the changes give it more epochs.

    Args:
        path: The run directory.
        overrides: Changes to the run's config, as ``["train.epochs=20"]``, which it keeps from here on.
        allow_changes: Keys, or sections, that may be changed although they make another run of it:
            ``["optimizer.lr"]``.
        progress: As for `train`.
        judge: As for `train`.
        report: As for `train`.

    Raises:
        InputError: no run, its data are no longer what they were, another process is at work there, or the changes
            make another run of it and are not allowed.
        RunError, Interrupted: as `train`.
    """
    with together.joined():
        with together.directory_of(lambda: rundir.existing(path), locks=False) as directory:
            pass
        given = None
        if overrides:
            with together.readable(directory) as here:
                given = config.load(here / rundir.CONFIG, overrides)
        shown = chosen(progress) if dist.is_first() else None
        resuming.go_on(directory, shown, given, allow_changes, judge=judge, report=report)
        return together.opened(directory)


def evaluate(
    path: str | Path, splits: Sequence[str] | None = None, *, progress: Progress | bool | None = None
) -> dict[str, dict[str, float]]:
    """Evaluate a run's model on its own data again; write predictions, metrics and report anew.

    Samples that were added to the data since are in no split.

    Args:
        path: The run directory.
        splits: Which splits; by default val and test where they are.
        progress: Told of samples that were added.

    Returns:
        ``{split: {metric: number}}``.

    Raises:
        InputError: no run, no such split, or data that changed since.
    """
    run = load(path)
    progress = chosen(progress)
    model = run.model
    with devices.using_threads(run.config.train.threads or 1):
        unlogged = run.config.model_copy(update={"log": []})
        parts = assembly.assemble(run_split.as_begun(unlogged, run.path), pretrained=False)
        try:
            then = run_split.check_same(parts.data.source, run.path, numbered=bool(parts.data.companions))
            resuming.tell_added(parts, RunLog(run.path, progress))
            wanted = list(splits) if splits else [name for name in ("val", "test") if name in parts.data.splits]
            missing = [name for name in wanted if name not in parts.data.splits]
            if missing:
                message = f"there is no split {missing[0]!r}"
                fix = f"this run has {', '.join(parts.data.splits)}"
                raise InputError(Finding("no-split", "error", "split", message, fix))
            parts.model.load_state_dict(model.state_dict())
            with rundir.locked(run.path):
                return finishing.evaluate_splits(parts, run.path, wanted, "evaluate", then)
        finally:
            parts.data.close()
