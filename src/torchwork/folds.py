"""One config trained several times, for each fold or seed, below one folder; then mean, spread and interval."""

from __future__ import annotations

import contextlib
import math
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torchwork import config, durable, run, rundir
from torchwork import jobs as processes
from torchwork.progress.choice import chosen
from torchwork.progress.outlook import Progress
from torchwork.report import repeated
from torchwork.training.interrupt import Interrupted
from torchwork.types import Finding, InputError


class Figure(NamedTuple):
    """One metric over several runs: the mean, the sample standard deviation (n − 1), the mean's 95% interval, and each.

    The interval is that of `torchwork.report.repeated.interval`, NaN of a single run and of equal values.
    """

    split: str
    metric: str
    mean: float
    std: float
    low: float
    high: float
    values: list[float]


class Folds(NamedTuple):
    """All folds and seeds of a config: their folder, their run directories in order, and the figures over them."""

    path: Path
    runs: list[Path]
    figures: list[Figure]


def train_folds(
    source: str | Path | Mapping[str, Any] | config.Config,
    folds: int | None = None,
    *,
    seeds: int | None = None,
    jobs: int = 1,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    resume: str | None = None,
    progress: Progress | bool | None = None,
) -> Folds:
    """Train a config once for each fold, for each of some seeds, or for both.

    Over the folds, every sample that is not in test is val once, and test is always the same. The seeds are the
    config's and those that follow it; another seed is another split too, unless the data or ``data.split`` fix it.

    Each is a run of its own below ``out`` (``fold-1``, ``seed-0``, ``seed-0-fold-1``), where ``folds.json`` and
    ``folds.csv`` hold mean, spread and interval of every metric. Called again with the same ``out``, it goes on where
    it stopped.

    Args:
        source: A config, as for `torchwork.train`.
        folds: How many; by default what ``data.split.folds`` says, where there are no seeds.
        seeds: How many.
        jobs: How many runs are trained at once, each in a process of its own with its share of the cores.
        overrides: Changes to the config.
        out: The folder; by default the next number in ``runs/<name>``.
        resume: ``"auto"``: where ``out`` is not given, go on with the runs of the greatest number in ``runs/<name>``.
        progress: As for `torchwork.train`; of several jobs a line when a run begins and ends.

    Raises:
        InputError: the config or the data are wrong, or ``out`` holds something else, or the runs of another config.
        RunError, Interrupted: as `torchwork.train`; the runs that are done stay.
    """
    settings = source if isinstance(source, config.Config) else config.load(source, overrides)
    progress = chosen(progress)
    run.check_resume(resume)
    if resume is not None and out is None:
        out = rundir.newest(settings.name, rundir.holds_folds)
    each = _each(settings, folds, seeds, jobs)
    content = {"folds": next(iter(each.values())).data.split.folds, "seeds": seeds or 1}
    first = next(iter(each.values()))
    directory = _folder(Path(out) if out is not None else None, first, content)
    try:
        if jobs > 1:
            _in_processes(each, directory, jobs, progress)
        else:
            _in_turn(each, directory, progress)
    except InputError:
        if not any(directory.glob(f"*/{rundir.CONFIG}")):
            shutil.rmtree(directory)  # nothing was started
        raise
    except Interrupted as error:
        said = "" if jobs > 1 else f"{error}\nand "
        how = f"{'go on ' if jobs > 1 else ''}with all runs by the same command and --out {shlex.quote(str(directory))}"
        error.args = (f"{said}{'stopped, and all is saved; ' if jobs > 1 else ''}{how}",)
        raise
    runs = [directory / name for name in each]
    found = over(runs)
    _write(directory, first, content, runs, found)
    return Folds(directory, runs, found)


def refuse_changes(allowed: Sequence[str]) -> None:
    """Refuse what a single run may do: to go on with another config.

    Raises:
        InputError: a change is allowed.
    """
    if allowed:
        message, fix = "folds are all of one config", "remove it, or go on with one of them: torchwork resume RUN"
        raise InputError(Finding("contradiction", "error", "--allow-change", message, fix))


def _each(settings: config.Config, folds: int | None, seeds: int | None, jobs: int) -> dict[str, config.Config]:
    """Return the config of each run by its name."""
    for option, number in (("--seeds", seeds), ("--jobs", jobs)):
        if number is not None and number < 1:
            raise InputError(Finding("wrong-value", "error", option, f"got {number}", "expected a number above 0"))
    count = folds if folds is not None or seeds is not None else settings.data.split.folds
    if count is None and seeds is None:
        fix = "give data.split.folds, as 5"
        raise InputError(Finding("missing-key", "error", "data.split.folds", "says not how many folds", fix))
    if count is None and seeds == 1:
        fix = "give 2 or more, or --folds besides"
        raise InputError(Finding("wrong-value", "error", "--seeds", "one alone has no spread", fix))
    found = {}
    for seed in range(settings.seed, settings.seed + (seeds or 1)):
        own = settings.model_copy(update={"seed": seed})
        named = [f"seed-{seed}"] if seeds is not None else []
        if count is None:
            found[named[0]] = own
        else:
            found |= {"-".join([*named, f"fold-{k}"]): of_fold(own, k, count) for k in range(1, count + 1)}
    return found


def _in_turn(each: Mapping[str, config.Config], directory: Path, progress: Progress | None) -> None:
    for number, (name, settings) in enumerate(each.items(), 1):
        if progress is not None:
            spoken = name.replace("-fold-", ", fold ").replace("-", " ")
            progress.message(
                f"{spoken} of {len(each)}" if name.startswith("fold") else f"{spoken}: {number} of {len(each)}"
            )
        _one(settings, directory / name, progress)


def _in_processes(each: Mapping[str, config.Config], directory: Path, jobs: int, progress: Progress | None) -> None:
    say = progress.message if progress is not None else lambda text: None
    say(f"{len(each)} runs below {directory}, {jobs} at once")
    arguments = {"folder": str(directory), "runs": {name: config.dump(own) for name, own in each.items()}}
    processes.together("torchwork.folds:work", [arguments] * min(jobs, len(each)), say)


def work(folder: str, runs: Mapping[str, str], tell: Callable[[str], None]) -> None:
    """Train the runs that no other process is at work on, one after the other.

    Raises:
        InputError, RunError, Interrupted: as `torchwork.train`.
    """
    for name, written in runs.items():
        directory = Path(folder) / name
        with contextlib.suppress(durable.LockedError), durable.lock(Path(folder) / f".{name}.lock"):
            if rundir.is_complete(directory):
                continue
            tell(f"{name} {'goes on' if (directory / rundir.CONFIG).is_file() else 'begins'}")
            _one(config.load(written), directory, None)
            metrics = rundir.read_metrics(directory)
            loss = [f"{split} loss {figures['loss']:.4g}" for split, figures in metrics.items()]
            tell(f"{name} ends: {', '.join(loss)}")


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
    """Return mean, spread and interval of each metric that all runs have.

    Raises:
        InputError: a run has not ended.
    """
    metrics = [run.load(path).metrics for path in runs]
    figures = []
    for split, names in metrics[0].items():
        shared = repeated.overlap(runs, split)
        for name in names:
            if not all(name in found.get(split, {}) for found in metrics):
                continue  # not defined in one of the runs
            values = [float(found[split][name]) for found in metrics]
            mean = sum(values) / len(values)
            spread = math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))
            figures.append(Figure(split, name, mean, spread, *repeated.interval(values, shared), values))
    return figures


def _folder(out: Path | None, settings: config.Config, content: Mapping[str, Any]) -> Path:
    """Return the folder of the runs: a new one, or one that holds runs of the same config."""
    if out is None or not (out / rundir.FOLDS).is_file():
        directory = rundir.new_folder(out, settings.name)
        _write(directory, settings, content, [], [])
        return directory
    before = rundir.read_json(out / rundir.FOLDS)
    if before.get("config") != config.dump(settings) or before.get("seeds", 1) != content["seeds"]:
        message = f"{out} holds the {'folds' if before.get('folds') else 'seeds'} of another config"
        fix = "choose another folder, or take the same config and as many folds and seeds as then"
        raise InputError(Finding("out-taken", "error", "--out", message, fix))
    return out


def _one(settings: config.Config, directory: Path, progress: Progress | None) -> None:
    """Train a run, or go on with it where it was begun."""
    run.train(settings, out=directory, resume="auto", progress=progress or False)


def _write(
    directory: Path,
    settings: config.Config,
    content: Mapping[str, Any],
    runs: Sequence[Path],
    figures: Sequence[Figure],
) -> None:
    by_split: dict[str, dict[str, Any]] = {}
    for figure in figures:
        found = {name: getattr(figure, name) for name in ("mean", "std", "low", "high", "values")}
        by_split.setdefault(figure.split, {})[figure.metric] = found
    names = [path.name for path in runs]
    if runs:
        rows = [[*figure[:-1], *figure.values] for figure in figures]
        rundir.write_csv(directory / rundir.FOLDS_TABLE, [*Figure._fields[:-1], *names], rows)
    written = {**content, "runs": names, "metrics": by_split, "config": config.dump(settings)}
    rundir.write_json(directory / rundir.FOLDS, written)
