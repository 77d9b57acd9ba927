"""A sweep from end to end: check what is searched, train the trials, write down what came of them."""

from __future__ import annotations

import contextlib
import importlib.util
import shlex
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchwork import config, dist, jobs, rundir
from torchwork.config import Config
from torchwork.metrics.direction import higher_is_better
from torchwork.progress.choice import chosen
from torchwork.progress.outlook import Progress
from torchwork.sweeps import space
from torchwork.training.interrupt import Interrupted
from torchwork.types import Finding, InputError, RunError

if TYPE_CHECKING:
    import optuna

    from torchwork.sweeps.results import Sweep
    from torchwork.sweeps.trials import Task

SAMPLERS = ("tpe", "random", "grid")
_CONFIG, _SAMPLER = "torchwork:config", "torchwork:sampler"


def sweep(
    source: str | Path | Mapping[str, Any] | Config,
    trials: int = 50,
    *,
    jobs: int = 1,
    sampler: str = "tpe",
    prune: bool = True,
    store: str | None = None,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> Sweep:
    """Train a config with other values again and again, in search of those that do best on val.

    What is searched stands in the config: ``search: {optimizer.lr: {log_uniform: [1e-4, 1e-1]}}``. Each trial is a run
    of its own, ``trial-0`` and so on below ``out``, and is judged by its best ``train.monitor`` (``val_loss``). Test is
    left unseen. Called again with the same ``out``, it goes on: trials that were cut off from their last checkpoints.

    Args:
        source: A config, as for `torchwork.train`.
        trials: How many there shall be in all, those of earlier calls and of other machines included.
        jobs: How many are trained at once, each in a process of its own with its share of the cores.
        sampler: ``tpe`` draws near what did well; ``random``; ``grid`` takes all of it in turn. Values are drawn by
            (seed, number of the trial).
        prune: Whether trials that are worse than the median of those before end early.
        store: A journal file, or the URL of a database; by default a journal file in ``out``. Several machines that
            share one share the work.
        overrides: Changes to the config.
        out: The folder; by default the next number in ``runs/<name>``.
        progress: As for `torchwork.train`; told of trials, not of steps.

    Raises:
        InputError: the config or what it searches is wrong, a store or folder holds another sweep, or Optuna is not
            installed; nothing was started.
        RunError: no trial came to its end, or a process died; what is done stays.
        Interrupted: Ctrl-C, SIGTERM or SIGUSR1, after all trials under way were saved.
    """
    settings = source if isinstance(source, Config) else config.load(source, overrides)
    progress = chosen(progress)
    say = progress.message if progress is not None else lambda text: None
    monitor = settings.train.monitor or "val_loss"
    trials = _checked(settings, monitor, trials, jobs, sampler)
    directory, is_new = _folder(Path(out) if out is not None else None, settings)
    try:
        task = _task(directory, settings, monitor, store, trials, sampler, prune)
        study = _study(task)
    except InputError:
        if is_new:
            shutil.rmtree(directory)  # nothing was started
        raise
    where = shlex.quote(str(directory))
    say(f"sweep {directory}: {trials} trials; if it is stopped, go on by the same command and --out {where}")
    try:
        _train(task, jobs, say)
    except BaseException as error:
        with contextlib.suppress(Exception):  # what ended the trials is to be told, not this
            _results(study, task)
        if isinstance(error, Interrupted):
            error.args = (f"stopped, and the trials are saved; go on by the same command and --out {where}",)
        raise
    found = _results(study, task)
    if found.best is None:
        reasons = [trial.why for trial in found.trials if trial.why]
        raise RunError(f"no trial came to its end{f': {reasons[0]}' if reasons else ''}")
    return found


def _checked(settings: Config, monitor: str, trials: int, jobs: int, sampler: str) -> int:
    """Return how many trials there will be, after everything was checked that can be without a store."""
    findings = []
    if importlib.util.find_spec("optuna") is None:
        fix = "pip install 'torchwork[sweep]'"
        findings.append(Finding("not-installed", "error", "optuna", "is not installed, and sweeps are made by it", fix))
    if dist.world() > 1:
        fix = "start torchwork sweep alone, with --jobs; several machines share a --store"
        findings.append(Finding("contradiction", "error", "sweep", "several processes train one run, not many", fix))
    for option, number in (("--trials", trials), ("--jobs", jobs)):
        if number < 1:
            findings.append(Finding("wrong-value", "error", option, f"got {number}", "expected a number above 0"))
    if sampler not in SAMPLERS:
        fix = f"expected one of {', '.join(SAMPLERS)}"
        findings.append(Finding("wrong-value", "error", "--sampler", f"got {sampler!r}", fix))
    if sampler == "grid":
        findings += _uncountable(settings, monitor)
    try:
        from torchwork.sweeps import check  # torch, after what needs none

        dimensions = check.checked(settings, monitor)
    except InputError as error:
        findings += error.findings
    if findings:
        raise InputError(findings)
    return min(trials, space.num_points(dimensions)) if sampler == "grid" else trials


def _uncountable(settings: Config, monitor: str) -> list[Finding]:
    fix = "write a choice, or take --sampler random"
    return [
        Finding("no-grid", "error", f"search.{one.place}", f"{one.kind} has no countable values for a grid", fix)
        for one in space.parse(settings.search, monitor)[0]
        if one.grid() is None
    ]


def _folder(out: Path | None, settings: Config) -> tuple[Path, bool]:
    """Return the folder of the sweep, and whether it is new: a new one, or one that holds a sweep."""
    if out is not None and (out / rundir.SWEEP).is_file():
        return out, False
    directory = rundir.new_folder(out, settings.name)
    rundir.write_json(directory / rundir.SWEEP, {"identity": uuid.uuid4().hex})
    return directory, True


def _task(
    directory: Path, settings: Config, monitor: str, place: str | None, trials: int, sampler: str, prune: bool
) -> Task:
    from torchwork.sweeps.trials import Task

    identity = rundir.read_json(directory / rundir.SWEEP)["identity"]
    place = place if place is not None else str(directory / rundir.JOURNAL)
    written = config.dump(settings)
    return Task(str(directory), identity, uuid.uuid4().hex, written, monitor, place, trials, sampler, prune)


def _study(task: Task) -> optuna.Study:
    """Open the study, and note in it what it is of.

    Raises:
        InputError: it is of another config, or was drawn by another sampler.
    """
    study = task.study()
    for key, own, what in (
        (_CONFIG, task.settings, "of another config"),
        (_SAMPLER, task.sampler, "by another sampler"),
    ):
        before = study.user_attrs.get(key)
        if before is None:
            study.set_user_attr(key, own)
        elif before != own:
            name = study.study_name
            fix = "take the same config and sampler as then, or another --out, or another name in a shared store"
            raise InputError(Finding("store-taken", "error", "--store", f"{task.place} has a sweep {name} {what}", fix))
    return study


def _train(task: Task, count: int, say: Callable[[str], None]) -> None:
    if count == 1:
        from torchwork.sweeps.trials import work

        work(asdict(task), say)
    else:
        jobs.together("torchwork.sweeps.trials:work", [{"task": asdict(task)}] * count, say)


def _results(study: optuna.Study, task: Task) -> Sweep:
    from torchwork.sweeps import results

    return results.write(study, task, higher=higher_is_better(task.monitor))
