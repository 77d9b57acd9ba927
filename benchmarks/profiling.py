"""Where the time of a config's steps goes: ``make profile CONFIG=examples/digits.yaml``.

Writes a trace that Perfetto (ui.perfetto.dev) and Chrome open, and prints the ten largest costs, each without what it
calls.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

from torchwork import assembly, config
from torchwork.training import device as devices
from torchwork.training.loop import updates, windows
from torchwork.types import Batch

WARM_UP = 5  # steps in which memory is allocated and kernels are chosen


def profiled(source: Any, trace: Path, steps: int = 50) -> Any:
    """Train a config for some steps, none of which is written anywhere but the trace; return torch's profile of them.

    Args:
        source: A config: a path, or a dict.
        trace: The file that is written.
        steps: How many, after five that warm up.
    """
    settings = config.load(source)
    with devices.using_threads(settings.train.threads or devices.default_threads()):
        parts = assembly.assemble(settings)
        try:
            parts.model.train()
            options = parts.options
            made = updates(
                parts.state,
                windows(_read(parts), options.accumulate),
                parts.task,
                seed=options.seed,
                clip_norm=options.clip_norm,
            )
            list(islice(made, WARM_UP))
            activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (parts.device.type == "cuda")
            with profile(activities=activities, acc_events=True) as found:
                for _ in range(steps):
                    with record_function("a whole step"):
                        next(made)
        finally:
            parts.data.close()
    found.export_chrome_trace(str(trace))
    return found


def _read(parts: Any) -> Iterator[Batch]:
    """Yield the batches of epoch after epoch, each read under a name of its own."""
    loader = parts.data.loaders["train"]
    batches = chain.from_iterable(loader.batches(epoch) for epoch in range(1_000_000))
    while True:
        with record_function("a batch is read"):
            batch = next(batches)
        yield batch


def main() -> None:
    """Profile from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiling", description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--trace", type=Path, default=Path("trace.json"))
    given = parser.parse_args()
    found = profiled(given.config, given.trace, given.steps)
    print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=10, max_name_column_width=60))
    print(f"{given.steps} steps; the trace: {given.trace}")


if __name__ == "__main__":
    main()
