"""A sweep on the command line: its best trials as a short table, and what to do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchwork.cli import layout
from torchwork.progress.choice import chosen
from torchwork.progress.events import Events

if TYPE_CHECKING:
    from torchwork.progress.outlook import Progress
    from torchwork.sweeps.results import Sweep

_MOST = 5


def run_sweep(
    config: Path, overrides: Sequence[str], options: Mapping[str, Any], progress: Progress | bool | None
) -> None:
    """Make a sweep, and tell what came of it the way its progress is shown.

    Raises:
        InputError, RunError, Interrupted: as `torchwork.sweep`.
    """
    from torchwork.config import load

    settings = load(config, overrides)
    from torchwork.sweeps.sweeping import sweep

    shown = chosen(progress)
    found = sweep(settings, **options, progress=shown or False)
    if isinstance(shown, Events):
        best = found.best
        metrics = {} if best is None else {"val": {found.monitor.removeprefix("val_"): best.value}}
        shown.end(found.path, metrics, found.page)
    elif shown is None:
        print(found.path)
    else:
        _print(found)


def _print(found: Sweep) -> None:
    from torchwork.sweeps import space

    counts = {state: sum(one.state == state for one in found.trials) for state in ("pruned", "failed", "running")}
    said = "".join(f", {count} {state}" for state, count in counts.items() if count)
    layout.title(f"the best of {len(found.trials)} trials{said}")
    ended = [one for one in found.trials if one.state == "complete"]
    assert found.best is not None
    ended.sort(key=lambda one: abs((one.value or 0.0) - (found.best.value or 0.0)))  # type: ignore[union-attr]
    keys = list(found.best.values)
    rows = [
        [str(one.number), f"{one.value:.4g}", *(space.shown(one.values[key])[:40] for key in keys)]
        for one in ended[:_MOST]
    ]
    layout.table(["trial", found.monitor, *keys], rows, right=["trial", found.monitor])
    print("\nTest was left unseen.")
    print(f"page     {found.page}")
    print(f"train    torchwork train {found.best_config}")
