"""The commands that search for settings: what they take, and where their work is done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torchwork.cli.app import ConfigFile, Jobs, Json, Overrides, Quiet, app
from torchwork.cli.reporting import reporting


@app.command()
def sweep(
    config: ConfigFile,
    overrides: Overrides = None,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="How many trials there shall be in all.")] = 50,
    jobs: Jobs = 1,
    sampler: Annotated[
        str, typer.Option("--sampler", metavar="NAME", help="How values are drawn: tpe, random or grid.")
    ] = "tpe",
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="End trials early that are worse than the median before them.")
    ] = True,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="FILE_OR_URL", help="A journal file or database; else DIR/journal.log."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The sweep's folder; else runs/<name>/<number>.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Search a config's search: for what does best on val."""
    from torchwork.cli.progress import showing

    with reporting(config, overrides or (), as_json=as_json), showing(quiet, as_json) as shown:
        from torchwork.cli.sweeping import run_sweep

        options = {"trials": trials, "jobs": jobs, "sampler": sampler, "prune": prune, "store": store, "out": out}
        run_sweep(config, overrides or (), options, shown)


@app.command("lr-find")
def lr_find(
    config: ConfigFile,
    overrides: Overrides = None,
    low: Annotated[float, typer.Option("--low", metavar="RATE", help="The first learning rate.")] = 1e-7,
    high: Annotated[float, typer.Option("--high", metavar="RATE", help="The last learning rate.")] = 10.0,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="How many updates to take.")] = 100,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where to draw it: a .svg or .png file.")
    ] = Path("lr-range.svg"),
) -> None:
    """Try growing learning rates for some steps; suggest one."""
    with reporting(config, overrides or ()):
        from torchwork.config import load

        settings = load(config, overrides or ())
        from torchwork import lr_range

        lr_range.check_place(out)
        found = lr_range.find_lr(settings, low=low, high=high, steps=steps)
        lr_range.draw(found, out)
        ended = (
            ""
            if len(found.rates) == steps
            else f"; ended at {found.rates[-1] if found.rates else low:.2g}, as the loss ran away"
        )
        print(f"tried    {len(found.rates)} rates from {low:g} to {high:g}{ended}")
        print(
            f"suggests {'nothing' if found.suggestion is None else f'optimizer.lr={found.suggestion:.2g}'}: {found.why}"
        )
        print(f"plot     {out}")
