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
