"""The work of a sweep: take the next trial, train it, tell the store what came of it; until there is none left."""

from __future__ import annotations

import contextlib
import errno
import math
import shutil
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from torchwork import config, durable, run, rundir
from torchwork.config import Config
from torchwork.metrics.direction import higher_is_better
from torchwork.sweeps import space, store
from torchwork.sweeps.space import Dimension
from torchwork.training.interrupt import GIVEN_UP, Interrupted
from torchwork.types import InputError, RunError

FOLDER, TOKEN, CALL, SECONDS, WHY, SURPLUS, TAKEN_UP = (
    "torchwork:folder",
    "torchwork:token",
    "torchwork:call",
    "torchwork:seconds",
    "torchwork:why",
    "torchwork:surplus",
    "torchwork:taken-up",
)
_MOST_DEATHS = 3  # of a trial's process without an epoch in between
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@dataclass(frozen=True)
class Task:
    """What a process of a sweep needs to know.

    ``folder`` holds the runs of the trials and has a number of its own, ``identity``; ``call`` is that of the command.
    """

    folder: str
    identity: str
    call: str
    settings: str
    monitor: str
    place: str
    trials: int
    sampler: str
    prune: bool

    def config(self) -> Config:
        """Return the config that is searched."""
        return config.load(self.settings)

    def study(self) -> optuna.Study:
        """Open the study."""
        settings = self.config()
        return store.open_study(
            self.place,
            settings.name,
            store.Keyed(self.sampler, settings.seed, self.dimensions()),
            higher=higher_is_better(self.monitor),
            pruned_from=store.first_pruned(settings.train.epochs) if self.prune else None,
        )

    def dimensions(self) -> list[Dimension]:
        """Return what is searched."""
        return space.parse(self.config().search, self.monitor)[0]


class StoreError(RunError):
    """The store cannot be written: the trial stays as it is, to be gone on with."""


def name_of(number: int) -> str:
    """Return the name of a trial's directory.

    >>> name_of(3)
    'trial-3'
    """
    return f"trial-{number}"


def settings_of(settings: Config, values: dict[str, Any]) -> Config:
    """Return the config of a trial, which leaves test unseen.

    Raises:
        InputError: it is none.
    """
    tree = settings.model_dump() | {"search": {}}
    tree["train"]["evaluate_test"] = False
    findings = space.placed(tree, values)
    if findings:
        raise InputError(findings)
    return config.load(tree)


def work(task: dict[str, Any], tell: Callable[[str], None]) -> None:
    """Take and train trials until as many as wanted are taken, those first whose processes were killed.

    Raises:
        Interrupted: asked to stop; the trial is saved, and is gone on with by the next call.
        RunError: the store or the disk takes no more.
    """
    given = Task(**task)
    study = given.study()
    while True:
        with ExitStack() as held:
            frozen = _next(study, given, held)
            if frozen is None:
                return
            _one(study, frozen, given, tell)


def _next(study: optuna.Study, task: Task, held: ExitStack) -> FrozenTrial | None:
    """Return the next trial to train, with its lock held: one that was left running here, or a new one."""
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        ours = frozen.user_attrs.get(FOLDER) == task.identity and frozen.user_attrs.get(CALL) != task.call
        if ours and (taken := _taken(study, frozen, task, held)) is not None:
            return taken
    while len(study.get_trials(deepcopy=False)) < task.trials:
        token = uuid.uuid4().hex
        # running from the start, and with whose it is: a kill at any moment leaves a trial that is gone on with
        attributes = {FOLDER: task.identity, TOKEN: token, CALL: task.call}
        study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs=attributes))
        added = next(one for one in study.get_trials(deepcopy=False) if one.user_attrs.get(TOKEN) == token)
        if added.number >= task.trials:  # another process took the last one at the same moment
            Trial(study, added._trial_id).set_user_attr(SURPLUS, True)
            study.tell(added.number, state=TrialState.FAIL)
            return None
        with contextlib.suppress(durable.LockedError):
            held.enter_context(durable.lock(_lock(task, added.number)))
            return added
    return None


def _lock(task: Task, number: int) -> Path:
    return Path(task.folder) / f".{name_of(number)}.lock"


def _taken(study: optuna.Study, frozen: FrozenTrial, task: Task, held: ExitStack) -> FrozenTrial | None:
    """Return a trial that was left running, if nobody is at work on it; one that dies again and again has failed."""
    try:
        held.enter_context(durable.lock(_lock(task, frozen.number)))
    except durable.LockedError:
        return None
    now = study.get_trials(deepcopy=False)[frozen.number]
    if now.state != TrialState.RUNNING or now.user_attrs.get(CALL) == task.call:
        held.close()
        return None
    trial = Trial(study, now._trial_id)
    trial.set_user_attr(CALL, task.call)
    seen = [*now.user_attrs.get(TAKEN_UP, []), len(now.intermediate_values)]
    trial.set_user_attr(TAKEN_UP, seen)
    if len(seen) > _MOST_DEATHS and len(set(seen[-_MOST_DEATHS - 1 :])) == 1:
        trial.set_user_attr(WHY, f"its process ended {_MOST_DEATHS} times without one more epoch")
        study.tell(now.number, state=TrialState.FAIL)
        held.close()
        return None
    return now


def _one(study: optuna.Study, frozen: FrozenTrial, task: Task, tell: Callable[[str], None]) -> None:
    """Train a trial, or go on with it, and tell the store how it ended."""
    trial = Trial(study, frozen._trial_id)
    name, directory = name_of(frozen.number), Path(task.folder) / name_of(frozen.number)
    values = store.suggest(trial, task.dimensions())
    tell(f"{name}  {space.told(values)}{' (goes on)' if frozen.user_attrs.get(TAKEN_UP) else ''}")
    try:
        judge = _judge(trial, set(frozen.intermediate_values), task)
        _trained(directory, task.config(), values, judge)
    except StoreError:
        raise
    except Interrupted as error:
        if error.signal != GIVEN_UP:
            raise
        _end(study, trial, directory, TrialState.PRUNED, None)
        tell(f"{name}  pruned after epoch {_last_epoch(directory)}: {_figure(study, frozen.number, task)}")
    except Exception as error:
        if _is_locked(error):
            tell(f"{name}  is left: another process is still at work on it")
            return
        _raise_if_of_the_disk(error)
        why = "; ".join(map(str, error.findings)) if isinstance(error, InputError) else str(error)
        why = why or type(error).__name__
        why = why if isinstance(error, InputError | RunError) else f"{type(error).__name__}: {why}"
        _end(study, trial, directory, TrialState.FAIL, why)
        tell(f"{name}  failed: {why}")
    else:
        _ended(study, trial, directory, task, tell)


def _trained(directory: Path, settings: Config, values: dict[str, Any], judge: Callable[..., bool]) -> None:
    if (directory / rundir.CONFIG).is_file():
        run.resume(directory, progress=False, judge=judge, report=False)
        return
    if directory.exists():  # it was cut off before it was a run: nothing of it can be used
        shutil.rmtree(directory)
    run.train(settings_of(settings, values), out=directory, progress=False, judge=judge, report=False)


def _judge(trial: Trial, reported: set[int], task: Task) -> Callable[[dict[str, float]], bool]:
    """Return who tells the store each epoch's figure, and says whether the trial is worth going on with."""
    epochs = task.config().train.epochs

    def judge(row: dict[str, float]) -> bool:
        epoch = int(row["epoch"])
        try:
            if epoch not in reported and task.monitor in row:
                trial.report(row[task.monitor], epoch)
                reported.add(epoch)
            return not task.prune or epoch >= epochs or not trial.should_prune()
        except Exception as error:
            raise StoreError(f"the store cannot be written: {type(error).__name__}: {error}") from error

    return judge


def _ended(study: optuna.Study, trial: Trial, directory: Path, task: Task, tell: Callable[[str], None]) -> None:
    """Tell the best figure of a trial that came to its end: that of the epoch whose weights were kept."""
    name = name_of(trial.number)
    figures = {int(row["epoch"]): row.get(task.monitor, math.nan) for row in rundir.read_history(directory)}
    figures = {epoch: value for epoch, value in figures.items() if math.isfinite(value)}
    if not figures:
        _end(study, trial, directory, TrialState.FAIL, f"{task.monitor} has no value in any epoch")
        tell(f"{name}  failed: {task.monitor} has no value in any epoch")
        return
    epoch = (max if higher_is_better(task.monitor) else min)(figures, key=lambda epoch: figures[epoch])
    _end(study, trial, directory, TrialState.COMPLETE, None, figures[epoch])
    best = " (the best so far)" if study.best_trial.number == trial.number else ""
    tell(f"{name}  {task.monitor} {figures[epoch]:.4g} at epoch {epoch}{best}")


def _end(
    study: optuna.Study, trial: Trial, directory: Path, state: TrialState, why: str | None, value: float | None = None
) -> None:
    """Tell the store how a trial ended; its state comes last, as nothing is added to one that has ended."""
    seconds = sum(row.get("seconds", 0.0) for row in rundir.read_history(directory))
    trial.set_user_attr(SECONDS, seconds)
    if why is not None:
        trial.set_user_attr(WHY, why)
    study.tell(trial.number, value, state=state)


def _last_epoch(directory: Path) -> int:
    rows = rundir.read_history(directory)
    return int(rows[-1]["epoch"]) if rows else 0


def _figure(study: optuna.Study, number: int, task: Task) -> str:
    value = study.get_trials(deepcopy=False)[number].value
    return task.monitor if value is None else f"{task.monitor} {value:.4g}"


def _is_locked(error: Exception) -> bool:
    return isinstance(error, InputError) and any(found.code == "run-locked" for found in error.findings)


def _raise_if_of_the_disk(error: Exception) -> None:
    """Raise again what every other trial would end with as well: the trial is gone on with when there is room."""
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno in _DISK:
        raise RunError(str(error)) from error
