"""The beginning of a run: what is written before the first step."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch

from torchwork import assembly, config, durable, environment, rundir
from torchwork.assembly import Parts
from torchwork.inspection.samples import contact_sheet
from torchwork.metrics import baseline
from torchwork.models import summary
from torchwork.resolved import written_out


def write_beginning(parts: Parts, directory: Path) -> None:
    """Write what is known of a run before it starts."""
    rundir.write_json(
        directory / rundir.ENVIRONMENT, environment.describe(parts.device, parts.config.train.threads or 1)
    )
    task, loss = type(parts.task).__name__.lower(), parts.task.criterion.name
    of_train = baseline.of_train(task, loss, parts.data.train_targets(), parts.data.target.classes)
    meaning = {"task": task, "loss": loss, "train_targets": of_train}
    rundir.write_json(directory / rundir.DATA, {**parts.data.facts(), **meaning})
    durable.write_file(directory / rundir.FITTED, safetensors.torch.save(parts.data.pipeline.state()))
    rundir.write_csv(directory / rundir.SPLIT, *parts.data.shared.rows(parts.data.source, parts.data.splits))
    durable.remove_leftovers(directory)
    durable.remove_file(directory / rundir.SET_ASIDE)  # of one that was cut off before it was a run
    if parts.data.cleaned.set_aside:
        rundir.write_csv(directory / rundir.SET_ASIDE, ["id", "name", "code", "reason", "split"], _aside_rows(parts))
    rundir.write_json(directory / rundir.FINDINGS, [asdict(finding) for finding in dict.fromkeys(parts.findings)])
    first = next(iter(parts.data.loaders["train"].batches(0)))
    inputs = assembly.model_inputs(parts, first)
    layers = summary.summarise(parts.model, inputs)._asdict()
    rundir.write_json(directory / rundir.MODEL_SUMMARY, {"model": parts.config.model["name"], **layers})
    contact_sheet(inputs, directory / rundir.SAMPLES / "train-batch.png")
    # the last, as it makes the directory a run: what it finds there, resume may rely on
    durable.write_file(directory / rundir.CONFIG, config.dump(written_out(parts)))


def _aside_rows(parts: Parts) -> list[list[Any]]:
    """Return each sample that was set aside, with the split that it came with, where the data come with splits."""
    given = parts.data.source.given or {}
    part_of = {int(index): part for part, ids in given.items() for index in ids}
    return [[*entry, part_of.get(entry.index, "")] for entry in parts.data.cleaned.set_aside]
