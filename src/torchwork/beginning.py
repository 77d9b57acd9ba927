"""The beginning of a run: what is written before the first step."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch

from torchwork import assembly, config, durable, environment, finishing, rundir, together
from torchwork.assembly import Parts
from torchwork.inspection.samples import contact_sheet
from torchwork.metrics import baseline
from torchwork.models import summary
from torchwork.resolved import written_out


def write_beginning(parts: Parts, directory: Path, of: Path | None = None) -> None:
    """Write what is known of a run before it starts; ``of`` is the run that it trains again, whose config it has."""
    made_with = environment.describe(parts.device, parts.config.train.threads or 1)
    launch = together.launch()
    rundir.write_json(directory / rundir.ENVIRONMENT, {**made_with, **({"launch": launch} if launch else {})})
    task, loss = type(parts.task).__name__.lower(), parts.task.criterion.name
    of_train = baseline.of_train(task, loss, parts.data.train_targets(), parts.data.target.classes)
    meaning = {"task": task, "loss": loss, "train_targets": of_train, "evaluated": finishing.evaluated(parts)}
    rundir.write_json(directory / rundir.DATA, {**parts.data.facts(), **meaning})
    durable.write_file(directory / rundir.FITTED, safetensors.torch.save(parts.data.pipeline.state()))
    rundir.write_csv(directory / rundir.SPLIT, *parts.data.shared.rows(parts.data.source, parts.data.splits))
    durable.remove_leftovers(directory)
    durable.remove_file(directory / rundir.SET_ASIDE)  # of one that was cut off before it was a run
    if parts.data.cleaned.set_aside:
        rundir.write_csv(directory / rundir.SET_ASIDE, ["id", "name", "code", "reason", "split"], _aside_rows(parts))
    rundir.write_json(directory / rundir.FINDINGS, [asdict(finding) for finding in dict.fromkeys(parts.findings)])
    inputs = assembly.model_inputs(parts, assembly.first_batch(parts))
    layers = summary.summarise(parts.model, inputs)._asdict()
    rundir.write_json(directory / rundir.MODEL_SUMMARY, {"model": parts.config.model["name"], **layers})
    contact_sheet(inputs, directory / rundir.SAMPLES / "train-batch.png")
    if of is not None and (of / rundir.SET_ASIDE).is_file():  # its split follows from that run's, which knows them
        durable.write_file(directory / rundir.SET_ASIDE, (of / rundir.SET_ASIDE).read_bytes())
    # the last, as it makes the directory a run: what it finds there, resume may rely on
    durable.write_file(directory / rundir.CONFIG, config.dump(written_out(parts)) if of is None else _kept(parts, of))


def _kept(parts: Parts, of: Path) -> str:
    """Return the config that a run has which trains another one again: that one's, but for the loggers."""
    text = (of / rundir.CONFIG).read_text(encoding="utf-8")
    kept = config.load(of / rundir.CONFIG)
    return text if kept.log == parts.config.log else config.dump(kept.model_copy(update={"log": parts.config.log}))


def _aside_rows(parts: Parts) -> list[list[Any]]:
    """Return each sample that was set aside, with the split that it came with, where the data come with splits."""
    given = parts.data.source.given or {}
    part_of = {int(index): part for part, ids in given.items() for index in ids}
    return [[*entry, part_of.get(entry.index, "")] for entry in parts.data.cleaned.set_aside]
