"""Cross-validation: a run for each fold below one folder, then the mean and spread of their figures."""

from __future__ import annotations

import math
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torchwork import config, run, rundir
from torchwork.progress.choice import chosen
from torchwork.progress.outlook import Progress
from torchwork.training.interrupt import Interrupted
from torchwork.types import Finding, InputError


class Figure(NamedTuple):
    """One metric over the folds: the mean, the sample standard deviation (n − 1), and the value of each fold."""

    split: str
    metric: str
    mean: float
    std: float
    values: list[float]


class Folds(NamedTuple):
    """All folds of a config: their folder, their run directories in order, and the figures over them."""

    path: Path
    runs: list[Path]
    figures: list[Figure]


def train_folds(
    source: str | Path | Mapping[str, Any] | config.Config,
    folds: int | None = None,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    resume: str | None = None,
    progress: Progress | bool | None = None,
) -> Folds:
    """Train a config once for each fold: every sample that is not in test is val once, and test is always the same.

    Each fold is a run of its own, ``fold-1`` and so on below ``out``, where ``folds.json`` and ``folds.csv`` hold mean
    and spread of every metric. Called again with the same ``out``, it goes on where it stopped.

    Args:
        source: A config, as for `torchwork.train`.
        folds: How many; by default what ``data.split.folds`` says.
        overrides: Changes to the config.
        out: The folder; by default the next number in ``runs/<name>``.
        resume: ``"auto"``: where ``out`` is not given, go on with the folds of the greatest number in ``runs/<name>``.
        progress: As for `torchwork.train`.

    Raises:
        InputError: the config or the data are wrong, or ``out`` holds something else, or the folds of another config.
        RunError, Interrupted: as `torchwork.train`; the folds that are done stay.
    """
    settings = source if isinstance(source, config.Config) else config.load(source, overrides)
    progress = chosen(progress)
    run.check_resume(resume)
    if resume is not None and out is None:
        out = rundir.newest(settings.name, rundir.holds_folds)
    count = folds if folds is not None else settings.data.split.folds
    if count is None:
        fix = "give data.split.folds, as 5"
        raise InputError(Finding("missing-key", "error", "data.split.folds", "says not how many folds", fix))
    each = [of_fold(settings, fold, count) for fold in range(1, count + 1)]
    directory = _folder(Path(out) if out is not None else None, each[0])
    runs: list[Path] = []
    try:
        for fold, fold_settings in enumerate(each, 1):
            if progress is not None:
                progress.message(f"fold {fold} of {count}")
            place = directory / f"fold-{fold}"
            runs.append(run.train(fold_settings, out=place, resume="auto", progress=progress).path)
    except InputError:
        if not any(directory.glob("fold-*")):
            shutil.rmtree(directory)  # nothing was started
        raise
    except Interrupted as error:
        error.args = (f"{error}\nand with all folds by the same command and --out {shlex.quote(str(directory))}",)
        raise
    found = over(runs)
    _write(directory, each[0], runs, found)
    return Folds(directory, runs, found)


def refuse_changes(allowed: Sequence[str]) -> None:
    """Refuse what a single run may do: to go on with another config.

    Raises:
        InputError: a change is allowed.
    """
    if allowed:
        message, fix = "folds are all of one config", "remove it, or go on with one of them: torchwork resume RUN"
        raise InputError(Finding("contradiction", "error", "--allow-change", message, fix))


def of_fold(settings: config.Config, fold: int, folds: int | None = None) -> config.Config:
    """Return the config whose val is one of the folds.

    ``folds`` is by default what the config says, or 5.

    Raises:
        InputError: there is no such fold, or folds contradict the rule of the split.
    """
    count = folds if folds is not None else settings.data.split.folds or 5
    tree = settings.model_dump()
    tree["data"]["split"] |= {"folds": count, "fold": fold}
    return config.load(tree)


def over(runs: Sequence[Path]) -> list[Figure]:
    """Return mean and spread of each metric that all runs have.

    Raises:
        InputError: a run has not ended.
    """
    metrics = [run.load(path).metrics for path in runs]
    figures = []
    for split, names in metrics[0].items():
        for name in names:
            if not all(name in found.get(split, {}) for found in metrics):
                continue  # not defined in one of the folds
            values = [float(found[split][name]) for found in metrics]
            mean = sum(values) / len(values)
            spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
            figures.append(Figure(split, name, mean, spread, values))
    return figures


def _folder(out: Path | None, settings: config.Config) -> Path:
    """Return the folder of the folds: a new one, or one that holds folds of the same config."""
    if out is None or not (out / rundir.FOLDS).is_file():
        directory = rundir.new_folder(out, settings.name)
        _write(directory, settings, [], [])
        return directory
    before = rundir.read_json(out / rundir.FOLDS)
    if before.get("config") != config.dump(settings):
        message = f"{out} holds the folds of another config"
        fix = "choose another folder, or take the same config and as many folds as then"
        raise InputError(Finding("out-taken", "error", "--out", message, fix))
    return out


def _write(directory: Path, settings: config.Config, runs: Sequence[Path], figures: Sequence[Figure]) -> None:
    by_split: dict[str, dict[str, Any]] = {}
    for figure in figures:
        found = {"mean": figure.mean, "std": figure.std, "values": figure.values}
        by_split.setdefault(figure.split, {})[figure.metric] = found
    if runs:
        names = [path.name for path in runs]
        rows = [[figure.split, figure.metric, figure.mean, figure.std, *figure.values] for figure in figures]
        rundir.write_csv(directory / rundir.FOLDS_TABLE, ["split", "metric", "mean", "std", *names], rows)
    content = {"folds": settings.data.split.folds, "metrics": by_split, "config": config.dump(settings)}
    rundir.write_json(directory / rundir.FOLDS, content)
