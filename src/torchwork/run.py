"""A run from end to end: train a config into a run directory, go on with one, load one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchwork import assembly, beginning, config, course, finishing, run_split, rundir
from torchwork.assembly import Parts
from torchwork.loaded import Run, load
from torchwork.progress.choice import chosen
from torchwork.progress.outlook import Progress
from torchwork.report import html
from torchwork.runlog import RunLog
from torchwork.training import checkpoint
from torchwork.training import device as devices
from torchwork.types import Finding, InputError


def train(
    source: str | Path | Mapping[str, Any] | config.Config,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> Run:
    """Train what a config describes: from the data to a run directory with model, numbers and report.

    Args:
        source: A config: the path of a YAML, TOML or JSON file, a dict, or a loaded one.
        overrides: Changes as on the command line: ``["train.epochs=2"]``.
        out: The run directory; by default the next number in ``runs/<name>``.
        progress: True shows bars (in a notebook, on a terminal) or a line an epoch; False nothing; None bars in a
            notebook and nothing in a script. Or who is told of every step and epoch.

    Raises:
        InputError: the config or the data are wrong; nothing was started.
        RunError: training could not go on; what was written stays.
        Interrupted: Ctrl-C, SIGTERM or SIGUSR1, after the current step was finished and saved.
    """
    settings = source if isinstance(source, config.Config) else config.load(source, overrides)
    progress = chosen(progress)
    with devices.using_threads(settings.train.threads or devices.default_threads()):
        parts = assembly.assemble(settings)
        try:
            directory = rundir.create(Path(out) if out is not None else None, settings.name)
            with rundir.locked(directory):
                beginning.write_beginning(parts, directory)
                log = RunLog(directory, progress)
                log.note(f"transform: {' → '.join(parts.data.pipeline.describe()) or 'none'}")
                for finding in parts.findings:
                    log.finding(finding)
                course.run_through(parts, log, "train")
        finally:
            parts.data.close()
    return Run(directory)


def resume(path: str | Path, *, progress: Progress | bool | None = None) -> Run:
    """Go on with a run from its last checkpoint, to the same result as if it had never stopped.

    A run that is already complete is returned as it is.

    Raises:
        InputError: no run, its data are no longer what they were, or another process is at work there.
        RunError, Interrupted: as `train`.
    """
    directory = rundir.existing(path)
    progress = chosen(progress)
    if rundir.is_complete(directory):
        if not (directory / rundir.REPORT).is_file():
            html.write(directory)
        if progress is not None:
            progress.message(f"{directory} is complete: nothing is left to do")
        return Run(directory)
    with rundir.locked(directory):
        _go_on(directory, RunLog(directory, progress))
    return Run(directory)


def _go_on(directory: Path, log: RunLog) -> None:
    settings = config.load(directory / rundir.CONFIG)
    with devices.using_threads(settings.train.threads or 1):
        place = checkpoint.latest(directory / rundir.CHECKPOINTS)
        parts = assembly.assemble(run_split.as_begun(settings, directory), pretrained=place is None)
        try:
            run_split.check_same(parts.data.source, directory, numbered=True)
            _tell_added(parts, log)
            if place is not None:
                for finding in checkpoint.load(place, parts.state):
                    log.finding(finding)
            for lost, wrong in checkpoint.damaged(directory / rundir.CHECKPOINTS):
                log.tell(f"warning: {lost} is damaged and cannot be used: {wrong}")
            log.tell(f"resumed from {place or 'the beginning'}")
            course.run_through(parts, log, "resume")
        finally:
            parts.data.close()


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
            _tell_added(parts, RunLog(run.path, progress))
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


def _tell_added(parts: Parts, log: RunLog) -> None:
    for finding in parts.data.shared.findings:
        if finding.code == "added-samples":
            log.finding(finding)
