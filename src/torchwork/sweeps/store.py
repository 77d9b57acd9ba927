"""Where the trials of a sweep stand: an Optuna study in a journal file or a database, its sampler and its pruner."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, Trial, TrialState

from torchwork import rng
from torchwork.sweeps.space import Dimension
from torchwork.types import Finding, InputError

SAMPLERS = ("tpe", "random", "grid")
_FIRST_EPOCHS = 5  # in the first fifth of the epochs none is pruned


def open_store(place: str) -> BaseStorage:
    """Open a store: a database by its URL (``sqlite:///sweep.db``), or a journal file.

    Raises:
        InputError: there is no such kind of database, its driver is missing, or it cannot be reached.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        if "://" in place:
            options = {"connect_args": {"timeout": 60}} if place.startswith("sqlite") else {}
            return RDBStorage(place, engine_kwargs=options)
        _mend(place)
        return JournalStorage(JournalFileBackend(place))
    except Exception as error:  # of SQLAlchemy, of any driver, or of the disk
        said = str(error).strip().splitlines() or [type(error).__name__]
        fix = "name a file, or the URL of a database, as sqlite:///sweep.db or postgresql://user@host/name"
        raise InputError(Finding("no-store", "error", "--store", f"cannot open {place}: {said[0]}", fix)) from error


def _mend(place: str) -> None:
    """Cut off a last line that a crash left without its end: the next one would be written onto it."""
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        return
    lock = JournalFileSymlinkLock(place)
    lock.acquire()
    try:
        with open(path, "r+b") as file:
            content = file.read()
            if content and not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


class Keyed(BaseSampler):
    """Draws the values of a trial by (seed, number of the trial): by nothing that a kill or another process changes.

    ``random`` and ``grid`` draw by that alone. ``tpe`` looks at the trials that have ended besides.
    Source: Bergstra et al.: "Algorithms for hyper-parameter optimization", 2011.
    """

    def __init__(self, kind: str, seed: int, dimensions: Sequence[Dimension]) -> None:
        self._kind, self._seed = kind, seed
        self._sizes = {one.place: len(one.grid() or ()) for one in dimensions}

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        seed = rng.seed(self._seed, "trial", trial.number)
        return TPESampler(seed=seed) if self._kind == "tpe" else RandomSampler(seed=seed)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Make ready the sampler of this trial."""
        self._own = self._of(trial)
        self._own.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: each value is drawn by itself."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing: each value is drawn by itself."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one value; on a grid it is the one of the trial's point, the last dimension counting fastest."""
        if self._kind != "grid":
            return self._own.sample_independent(study, trial, param_name, param_distribution)
        sizes = list(self._sizes.values())
        point = np.unravel_index(trial.number % math.prod(sizes), sizes)
        place = int(point[list(self._sizes).index(param_name)])
        if isinstance(param_distribution, optuna.distributions.CategoricalDistribution):
            return param_distribution.choices[place]
        assert isinstance(param_distribution, optuna.distributions.IntDistribution)
        return param_distribution.low + place


def open_study(
    place: str, name: str, sampler: BaseSampler | None = None, *, higher: bool = False, pruned_from: int | None = None
) -> optuna.Study:
    """Open a study, which is made where there is none.

    Args:
        place: The store.
        name: The study's.
        sampler: Who draws the values.
        higher: Whether a higher value is better.
        pruned_from: The first epoch after which a trial may be pruned: where its best so far is worse than the median
            of the trials before it at that epoch, five of which have ended; None: no trial is.
    """
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if pruned_from is not None:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=pruned_from)
    return optuna.create_study(
        storage=open_store(place),
        study_name=name,
        sampler=sampler,
        pruner=pruner,
        direction="maximize" if higher else "minimize",
        load_if_exists=True,
    )


def first_pruned(epochs: int) -> int:
    """Return the first epoch after which a trial may be pruned.

    >>> first_pruned(20), first_pruned(2)
    (5, 2)
    """
    return 1 + max(1, epochs // _FIRST_EPOCHS)


def suggest(trial: Trial, dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """Return the values of a trial: those that stand in the store already, and those drawn now."""
    found: dict[str, Any] = {}
    for one in dimensions:
        if one.kind == "choice":
            found[one.place] = one.values[one.labels.index(trial.suggest_categorical(one.place, one.labels))]
        elif one.kind.endswith("int"):
            found[one.place] = trial.suggest_int(one.place, *one.values, log=one.kind == "log_int")
        else:
            low, high = map(float, one.values)
            found[one.place] = trial.suggest_float(one.place, low, high, log=one.kind == "log_uniform")
    return found


def values_of(params: dict[str, Any], dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """Return the values of a trial as its config holds them, from what the store holds."""
    return {
        one.place: one.values[one.labels.index(params[one.place])] if one.kind == "choice" else params[one.place]
        for one in dimensions
        if one.place in params
    }


def importances(study: optuna.Study) -> tuple[dict[str, float], str]:
    """Return what share of the spread each key explains, and where there is nothing to say, why.

    By fANOVA over the trials that came to their end. Source: Hutter, Hoos, Leyton-Brown: "An efficient approach for
    assessing hyperparameter importance", 2014.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < 4:
        return {}, f"{len(done)} trials came to their end, and 4 are the least that say something"
    if len({trial.value for trial in done}) < 2:
        return {}, "all trials reached the same value"
    try:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator)), ""
    except (ValueError, RuntimeError) as error:
        return {}, str(error)
