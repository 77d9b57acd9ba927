"""What came of a sweep: its trials as a table, the best config, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from torchwork import config, durable, rundir
from torchwork.report import study as page
from torchwork.sweeps import space, store, trials
from torchwork.sweeps.trials import Task

_STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


class TrialResult(NamedTuple):
    """One trial: how it ended (``complete``, ``pruned``, ``failed``, or ``running`` still), its best figure, its run.

    ``path`` is where its run is, on the machine that trained it.
    """

    number: int
    state: str
    value: float | None
    values: dict[str, Any]
    path: Path
    why: str


class Sweep(NamedTuple):
    """A sweep: its folder, the figure that it went by, its trials in order, and the best of them with its config."""

    path: Path
    monitor: str
    trials: list[TrialResult]
    best: TrialResult | None

    @property
    def best_config(self) -> Path:
        """The file with the best config, which `torchwork.train` takes."""
        return self.path / rundir.BEST

    @property
    def page(self) -> Path:
        """The page of the sweep."""
        return self.path / rundir.SWEEP_PAGE


def write(study: optuna.Study, task: Task, *, higher: bool) -> Sweep:
    """Write sweep.json, trials.csv, best.yaml and sweep.html from what the store holds, and return the sweep."""
    folder, dimensions = Path(task.folder), task.dimensions()
    frozen = [one for one in study.get_trials(deepcopy=False) if not one.user_attrs.get(trials.SURPLUS)]
    done = [_result(one, task) for one in frozen]
    best = min((one for one in done if one.state == "complete"), key=lambda one: _rank(one, higher), default=None)
    explained, why = store.importances(study)
    content = {
        "identity": task.identity,
        "name": study.study_name,
        "monitor": task.monitor,
        "higher_is_better": higher,
        "sampler": task.sampler,
        "pruned": task.prune,
        "wanted": task.trials,
        "epochs": task.config().train.epochs,
        "best": best.number if best else None,
        "search": [{"place": one.place, "kind": one.kind, "values": list(one.values)} for one in dimensions],
        "importances": explained,
        "no_importances": why,
        "trials": [_facts(result, one) for result, one in zip(done, frozen, strict=True)],
        "config": task.settings,
    }
    rundir.write_json(folder / rundir.SWEEP, content)
    places = [one.place for one in dimensions]
    rows = [
        [one.number, one.state, one.value, *(_cell(one.values.get(place)) for place in places), one.why] for one in done
    ]
    rundir.write_csv(folder / rundir.TRIALS, ["trial", "state", task.monitor, *places, "why"], rows)
    if best is not None:
        _write_best(folder / rundir.BEST, task, best)
    page.write(folder)
    return Sweep(folder, task.monitor, done, best)


def _rank(one: TrialResult, higher: bool) -> float:
    assert one.value is not None  # as it came to its end
    return -one.value if higher else one.value


def _result(one: FrozenTrial, task: Task) -> TrialResult:
    values = store.values_of(one.params, task.dimensions())
    path = Path(task.folder) / trials.name_of(one.number)
    value = one.value if one.state == TrialState.COMPLETE else _best_so_far(one, task)
    return TrialResult(
        one.number, _STATES.get(one.state, "running"), value, values, path, one.user_attrs.get(trials.WHY, "")
    )


def _best_so_far(one: FrozenTrial, task: Task) -> float | None:
    values = [value for value in one.intermediate_values.values() if value == value]
    return (max if trials.higher_is_better(task.monitor) else min)(values, default=None)


def _facts(result: TrialResult, one: FrozenTrial) -> dict[str, Any]:
    return {
        **result._asdict(),
        "path": result.path.name,
        "epochs": dict(sorted(one.intermediate_values.items())),
        "seconds": one.user_attrs.get(trials.SECONDS),
    }


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | str) else space.shown(value)


def _write_best(path: Path, task: Task, best: TrialResult) -> None:
    tree = task.config().model_dump() | {"search": {}}
    space.placed(tree, best.values)
    said = f"# The best of {path.parent}: {best.path.name}, {task.monitor} {best.value:.6g}. Test was left unseen.\n"
    durable.write_file(path, said + config.dump(config.load(tree)))
