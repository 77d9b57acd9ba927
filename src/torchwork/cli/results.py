"""What is printed when a run has ended: the figures, the report, and how to go on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchwork import dist, rundir
from torchwork.cli import layout
from torchwork.cli.figures import print_figures, said
from torchwork.progress.events import Events

if TYPE_CHECKING:
    from torchwork.config import Config
    from torchwork.folds import Folds
    from torchwork.loaded import Run
    from torchwork.progress.outlook import Progress

_NAME = 32  # characters of a class name: the table with its numbers stays within 80


def tell_results(run: Run, progress: Progress | None) -> None:
    """Tell a run's figures the way its progress was shown: tables, the path alone, or the last event."""
    if not dist.is_first():
        return
    if isinstance(progress, Events):
        progress.end(run.path, run.metrics, _report_of(run.path))
    else:
        print_results(run.path, quiet=progress is None)


def fold_chosen(settings: Config, fold: int, folds: int | None, progress: Progress | None) -> Config:
    """Return the config whose val is one fold, and tell of how many.

    Raises:
        InputError: there is no such fold.
    """
    from torchwork.folds import of_fold

    said = folds is not None or settings.data.split.folds is not None
    chosen = of_fold(settings, fold, folds)
    if progress is not None:
        count = chosen.data.split.folds
        progress.message(f"val is fold {fold} of {count}{'' if said else ' (--folds sets how many)'}")
    return chosen


def tell_folds(folds: Folds, progress: Progress | None) -> None:
    """Tell the figures over all folds the way their progress was shown."""
    if not isinstance(progress, Events):
        print_folds(folds, quiet=progress is None)
        return
    metrics: dict[str, dict[str, Any]] = {}
    for figure in folds.figures:
        found = {name: getattr(figure, name) for name in ("mean", "std", "low", "high", "values")}
        metrics.setdefault(figure.split, {})[figure.metric] = found
    progress.end(folds.path, metrics, None)


def tell_evaluation(run: Path, metrics: Mapping[str, Mapping[str, float]], progress: Progress | None) -> None:
    """Tell the figures of the splits that were evaluated anew: as tables, or as the last event."""
    if isinstance(progress, Events):
        progress.end(run, metrics, _report_of(run))
    else:
        print_evaluation(run, metrics)


def _report_of(run: Path) -> Path | None:
    path = run / rundir.REPORT
    return path if path.is_file() else None


def print_results(run: Path, quiet: bool = False) -> None:
    """Print a run's figures on test (on val, where there is no test), and the commands that use the run."""
    if quiet:
        print(run)
        return
    metrics = rundir.read_json(run / rundir.METRICS)
    last = "test" if "test" in metrics else next(iter(metrics), None)
    if last is not None:
        _print_report(run, last)
        print_figures(run, metrics)
        _print_looks(run)
    print(f"\nreport   {run / rundir.REPORT}")
    print(f"predict  torchwork predict {run} FILES...")


def print_folds(folds: Folds, quiet: bool = False) -> None:
    """Print mean, spread and interval of each figure over the runs; those of a single class are left out."""
    if quiet:
        print(folds.path)
        return
    splits = list(dict.fromkeys(figure.split for figure in folds.figures))
    cells = {(figure.metric, figure.split): f"{said(figure.mean)} ± {said(figure.std)}" for figure in folds.figures}
    last = {figure.metric: figure for figure in folds.figures if figure.split == splits[-1]}
    spans = {n: "–" if math.isnan(f.low) else f"{said(f.low)}–{said(f.high)}" for n, f in last.items()}
    names = [name for name in dict.fromkeys(figure.metric for figure in folds.figures) if "/" not in name]
    what = "folds" if folds.runs[0].name.startswith("fold-") else "runs" if "fold" in folds.runs[0].name else "seeds"
    layout.title(f"mean ± standard deviation of {len(folds.runs)} {what}")
    rows = [[name, *(cells.get((name, split), "") for split in splits), spans.get(name, "")] for name in names]
    layout.table(["", *splits, "95% interval"], rows, right=[*splits, "95% interval"])
    print(
        f"\n95% interval: of the mean on {splits[-1]}, by t; runs that share training samples make it wider "
        "(Nadeau and Bengio, 2003)"
    )
    times = sum(len(rundir.looks(run)) for run in folds.runs)
    if times:
        print(f"\ntest was looked at {times} times{f', once a {what[:-1]}' if times == len(folds.runs) else ''}")
    print(f"\nfigures  {folds.path / rundir.FOLDS_TABLE}")


def print_evaluation(run: Path, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Print the figures of the splits that were evaluated anew."""
    for split in metrics:
        _print_report(run, split)
    print_figures(run, metrics)
    if "test" in metrics:
        _print_looks(run)
    print(f"\nreport   {run / rundir.REPORT}")


def _print_looks(run: Path) -> None:
    from torchwork.report.summary import looked

    times = len(rundir.looks(run))
    if times:
        print(f"\n{looked(times)}")


def _print_report(run: Path, split: str) -> None:
    """Print scikit-learn's table of classes, where each sample has one and they are not too many to read."""
    data = rundir.read_json(run / rundir.DATA)
    classes = data.get("classes")
    if not classes or len(classes) > 100 or data.get("task") == "sequence":
        return
    from torchwork.metrics.classification_report import classification_report
    from torchwork.report.names import label

    taken = ", each taken for the class of the nearest other one" if data.get("task") == "embedding" else ""
    layout.title(f"{split}: {data['num_samples'][split]:,} samples{taken}")
    print(classification_report(run / rundir.predictions(split), classes, lambda name: label(name, _NAME)).rstrip())
