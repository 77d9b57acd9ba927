"""What a run took: time, waiting, samples a second, parameters and files. What was not measured is not there."""

from __future__ import annotations

import numpy as np

from torchwork import rundir
from torchwork.report.data_facts import section
from torchwork.report.facts import Facts
from torchwork.report.figures import duration, figure, nbytes, number


def seconds(facts: Facts) -> float | None:
    """Return how long the epochs on record took together, with the evaluation on val after each; None if unknown."""
    return _sum(facts, "seconds")


def waited(facts: Facts) -> float | None:
    """Return the share of the epochs' time that was spent waiting for data, None where that is unknown."""
    whole, waiting = seconds(facts), _sum(facts, "waited")
    return waiting / whole if whole and waiting is not None else None


def rows(facts: Facts) -> list[tuple[str, str]]:
    """Return what is known of a run's cost as names and values."""
    found = []
    whole, epochs = seconds(facts), len(facts.history.get("epoch", ()))
    if whole:
        after = ", with val after each" if "val_loss" in facts.history else ""
        found.append(("training", f"{duration(whole)} for {epochs} {'epoch' if epochs == 1 else 'epochs'}{after}"))
        found.append(("an epoch", duration(whole / epochs)))
        sizes = section(facts.data, "num_samples")
        seen = sum(number(sizes.get(split)) or 0 for split in (("train", "val") if after else ("train",)))
        if seen:
            found.append(("samples a second", f"{figure(round(seen * epochs / whole))} in training{after}"))
    share = waited(facts)
    if share is not None:
        found.append(("waiting for data", f"{share:.1%} of the training time"))
    for split, times in facts.times.items():
        took, samples = number(times.get("seconds")), number(times.get("samples"))
        if took and samples:
            found.append((f"evaluation on {split}", f"{duration(took)} for {figure(int(samples))} samples"))
    for key, name in (("parameters", "parameters"), ("trainable", "of these trained")):
        if number(facts.model.get(key)) is not None:
            found.append((name, figure(facts.model[key])))
    found += _sizes(facts)
    if facts.environment.get("device"):
        accelerator = facts.environment.get("accelerator") or facts.environment.get("processor")
        found.append(("computed on", f"{facts.environment['device']}{f' ({accelerator})' if accelerator else ''}"))
    if facts.environment.get("threads"):
        found.append(("threads", figure(facts.environment["threads"])))
    return found


def _sum(facts: Facts, column: str) -> float | None:
    values = facts.history.get(column, np.empty(0))
    return float(values.sum()) if len(values) and np.isfinite(values).all() else None


def _sizes(facts: Facts) -> list[tuple[str, str]]:
    weights = facts.directory / rundir.MODEL
    return [("file of the weights", nbytes(weights.stat().st_size))] if weights.is_file() else []
