"""The commands: what they take, and where their work is done. Each imports what it needs when it runs."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from torchwork import dist
from torchwork.caches import of_libraries
from torchwork.cli.reporting import COME_BACK, FAILED, SIGTERM_EXIT, WRONG_INPUT, reporting
from torchwork.types import Finding, InputError

app = typer.Typer(
    name="torchwork",
    help="From a data set and one short config to a trained, evaluated and reproducible PyTorch model.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML, TOML or JSON file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="SECTION.KEY=VALUE", help="Changes to the config, as train.epochs=20."),
]
RunDirectory = Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run, as runs/digits/1.")]
Watch = Annotated[
    bool, typer.Option("--watch", help="Show the run in the browser, at an address that is printed; end it there.")
]
AllowChange = Annotated[
    list[str] | None,
    typer.Option("--allow-change", metavar="KEY", help="Go on with another optimizer.lr, say; may be repeated."),
]
Nproc = Annotated[
    int | None, typer.Option("--nproc", min=1, metavar="N", help="Train with N processes of this machine, by torchrun.")
]
MaxRestarts = Annotated[
    int, typer.Option("--max-restarts", min=0, metavar="N", help="With --nproc: go on after N failures of a process.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no tables.")]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", metavar="N", help="How many to train at once, each with its share of the cores.")
]
Json = Annotated[bool, typer.Option("--json", help="Print events as JSON, one a line; errors so on standard error.")]


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 the run failed, 2 wrong input, 130 Ctrl-C, 143 SIGTERM, 75 SIGUSR1."""
    with _ending_on_signals(), of_libraries():
        app(arguments, prog_name="torchwork")
    raise AssertionError("typer exits by itself")


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Exit on SIGTERM and SIGUSR1 by the usual way out, which closes files and ends workers.

    Training has handlers of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(exits[number])

    exits: dict[int, int] = {signal.SIGTERM: SIGTERM_EXIT, signal.SIGUSR1: COME_BACK}
    before = {number: signal.signal(number, end) for number in exits}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_processes(count: int | None, max_restarts: int, alone: str | None = None) -> bool:
    """Run this command in several processes where that was asked for and has not happened yet; say whether it did.

    ``alone`` names an option with which it is done by one process.
    """
    if alone is not None and (count is not None or dist.world() > 1):
        with reporting():
            message = "several processes train one run, and this trains one after the other"
            raise InputError(Finding("contradiction", "error", alone, message, "add --fold K, a command for each fold"))
    if count is None or dist.launched():
        return False
    with reporting():
        from torchwork.cli.launching import launch

        launch(sys.argv[1:], count, max_restarts)
    return True


@app.command()
def train(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The run directory; else runs/<name>/<number>.")
    ] = None,
    fold: Annotated[
        int | None,
        typer.Option("--fold", metavar="K", help="Take this fold for val, of --folds, else data.split.folds, else 5."),
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", metavar="N", help="Train on all N folds, a run each; give mean and spread.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="auto", help="Go on with the run in DIR, else the last of runs/<name>."),
    ] = None,
    allow_change: AllowChange = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", help="Train with N seeds (each of the folds), a run each.")
    ] = None,
    jobs: Jobs = 1,
    nproc: Nproc = None,
    max_restarts: MaxRestarts = 0,
    watch: Watch = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train, evaluate and report what a config describes."""
    several = "--folds" if folds is not None and fold is None else "--seeds" if seeds is not None else None
    if _in_processes(nproc, max_restarts, alone=several):
        return
    given = {"data.split.fold": fold, "data.split.folds": folds}
    options = {place: f"--{place.rpartition('.')[2]}" for place, value in given.items() if value is not None}
    from torchwork.cli.progress import showing

    with reporting(config, overrides or (), options, as_json=as_json), showing(quiet, as_json) as shown:
        from torchwork.config import load

        settings = load(config, overrides or ())
        from torchwork import folds as cross
        from torchwork import run
        from torchwork.cli.results import fold_chosen, tell_folds, tell_results
        from torchwork.cli.watching import watched
        from torchwork.progress.choice import chosen

        progress = chosen(shown)
        if (folds is not None and fold is None) or seeds is not None:
            cross.refuse_changes(allow_change or ())
            settings, folds = (settings, folds) if fold is None else (cross.of_fold(settings, fold, folds), None)
            train_all = partial(cross.train_folds, settings, folds, seeds=seeds, jobs=jobs, out=out, resume=resume)
            with watched(progress, watch) as told:
                tell_folds(train_all(progress=told or False), progress)
            return
        if fold is not None:
            settings = fold_chosen(settings, fold, folds, progress)
        with watched(progress, watch) as told:
            trained = run.train(
                settings, out=out, resume=resume, allow_changes=allow_change or (), progress=told or False
            )
        tell_results(trained, progress)


@app.command()
def summary(
    path: Annotated[Path, typer.Argument(metavar="CONFIG_OR_RUN", help="A config, or the directory of a run.")],
    overrides: Overrides = None,
    net: Annotated[bool, typer.Option("--net", help="Print the model as print(net) does, too.")] = False,
) -> None:
    """Print a model's layers, their parameters and multiply-adds."""
    with reporting(None if path.is_dir() else path, overrides or ()):
        from torchwork.cli.summary import summarise

        summarise(path, overrides or (), net=net)


@app.command()
def check(config: ConfigFile, overrides: Overrides = None) -> None:
    """Check a config, try a few steps, print the plan."""
    with reporting(config, overrides or ()):
        from torchwork.config import load

        settings = load(config, overrides or ())
        from torchwork import plan
        from torchwork.cli.plan import print_plan

        print_plan(plan.check(settings))


@app.command()
def preview(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write it; pictures: else preview.png.")
    ] = None,
) -> None:
    """Show a training batch, before and after augmentation."""
    with reporting(config, overrides or ()):
        from torchwork.config import load

        settings = load(config, overrides or ())
        from torchwork import preview as batch

        print("\n".join(batch.write(settings, out)))


@app.command()
def pack(config: ConfigFile, overrides: Overrides = None, quiet: Quiet = False) -> None:
    """Decode a config's images into the cache ahead of time."""
    with reporting(config, overrides or ()):
        from torchwork.config import load

        settings = load(config, overrides or ())
        from torchwork import packing
        from torchwork.cli.counting import counting

        with counting("packed", quiet) as count:
            done = packing.pack(settings, count)
        if not quiet:
            print(f"{done.images:,} images, {done.nbytes / 1e6:,.1f} MB, below {done.folder}")


@app.command()
def inspect(
    path: Annotated[
        Path, typer.Argument(metavar="PATH_OR_CONFIG", help="Data, as for init, or a config that names them.")
    ],
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write the page.")] = Path(
        "inspect.html"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Look at every sample: damage, copies, leaks, odd ones."""
    with reporting():
        from torchwork.cli import inspection

        if inspection.inspect(path, overrides or (), out, as_json):
            raise typer.Exit(WRONG_INPUT)


@app.command()
def resume(
    run: RunDirectory,
    overrides: Overrides = None,
    allow_change: AllowChange = None,
    nproc: Nproc = None,
    max_restarts: MaxRestarts = 0,
    watch: Watch = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Go on with a run that was stopped, or for more epochs."""
    if _in_processes(nproc, max_restarts):
        return
    from torchwork.cli.progress import showing

    with reporting(as_json=as_json), showing(quiet, as_json) as shown:
        from torchwork import rundir

        rundir.existing(run)
        from torchwork import run as runs
        from torchwork.cli.results import tell_results
        from torchwork.cli.watching import watched
        from torchwork.progress.choice import chosen

        progress = chosen(shown)
        with watched(progress, watch) as told:
            done = runs.resume(run, overrides=overrides or (), allow_changes=allow_change or (), progress=told or False)
        tell_results(done, progress)


@app.command()
def reproduce(
    run: RunDirectory,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The new run; else RUN-reproduced/<number>.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a run again: bit-equal (exit code 0) or not (1)."""
    from torchwork.cli.progress import showing

    with reporting(as_json=as_json), showing(quiet, as_json) as shown:
        from torchwork import rundir

        rundir.existing(run)
        from torchwork.cli.reproduced import train_again

        if not train_again(run, out, shown):
            raise typer.Exit(FAILED)


@app.command("watch")
def watch_run(
    run: RunDirectory,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0 takes a free one.")] = 0,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Show a run in the browser while it goes on; end it there."""
    with reporting():
        from torchwork.watch.serving import serve

        serve(run, port, open_page=open_page)


@app.command()
def evaluate(
    run: RunDirectory,
    split: Annotated[
        list[str] | None, typer.Option("--split", "-s", metavar="NAME", help="train, val or test; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a run's model on its own data again."""
    from torchwork.cli.progress import showing

    with reporting(as_json=as_json), showing(as_json=as_json) as shown:
        from torchwork import rundir

        rundir.existing(run)
        from torchwork import run as runs
        from torchwork.cli.results import tell_evaluation
        from torchwork.progress.choice import chosen

        progress = chosen(shown)
        tell_evaluation(run, runs.evaluate(run, split or None, progress=progress), progress)


@app.command()
def replay(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="What a run left, as runs/digits/1/faults/00000123.")
    ],
) -> None:
    """Go through a batch again whose loss or gradient was NaN."""
    with reporting():
        from torchwork.replay import replay as replayed

        print(replayed(bundle))


@app.command()
def predict(
    run: RunDirectory,
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Images or folders of them, CSV files, .npz.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write them.")] = Path(
        "predictions.csv"
    ),
    explain: Annotated[
        bool, typer.Option("--explain", help="Say and draw what carries each prediction, beside the file.")
    ] = False,
) -> None:
    """Predict new samples with a run's model."""
    with reporting():
        from torchwork.cli.predictions import predict_files

        predict_files(run, files, out, explain=explain)


@app.command()
def report(
    run: RunDirectory,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write it; else RUN/report.html.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write a run's report anew."""
    with reporting():
        from torchwork import rundir

        rundir.existing(run)
        from torchwork.cli.pages import write_report

        write_report(run, out, show)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="The directories of two runs or more.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write the page.")] = Path(
        "compare.html"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare runs: what they reached, what differs, what is real."""
    with reporting():
        from torchwork.cli.comparing import compare_runs

        compare_runs(runs, out, as_json)


@app.command("list")
def list_components(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="sources, transforms, models, losses, optimizers, ...")],
) -> None:
    """List the components of a kind, with their options."""
    with reporting():
        from torchwork.cli.listing import print_kind

        print_kind(kind)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="LOSS", help="A loss, as CrossEntropyLoss.")],
) -> None:
    """Print what a loss asks for and what it gives."""
    with reporting():
        from torchwork.cli.explain import print_contract

        print_contract(name)


@app.command()
def schema() -> None:
    """Print the JSON schema of a config, for an editor."""
    with reporting():
        from torchwork.cli.options import print_schema

        print_schema()


@app.command("init")
def init_config(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder, a CSV file, an .npz or IDX files.")],
) -> None:
    """Look at data and print a config that trains on them."""
    with reporting():
        from torchwork.cli.starter import print_config

        print_config(path)
