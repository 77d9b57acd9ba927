"""What a config would do, found out by building it and taking a few steps; nothing is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from torchwork import assembly
from torchwork.assembly import Parts
from torchwork.config import Config
from torchwork.data import split
from torchwork.models import start, summary
from torchwork.training import device as devices
from torchwork.training import step_time
from torchwork.training.evaluate import OneBatch, evaluate
from torchwork.training.loop import updates, windows
from torchwork.training.step_time import StepTime
from torchwork.types import Finding


@dataclass(frozen=True)
class Plan:
    """The facts of a run before it starts. Shapes have the batch first; times are seconds.

    ``step_time`` says where the time of a step goes, ``faster`` what would make it less.
    ``start`` has a row for each layer with parameters: ``mean`` and ``std`` of its weights, ``activation_std`` and
    ``gradient_std`` for one batch.
    """

    splits: dict[str, int]
    split: str
    class_counts: dict[str, dict[str, int]]
    input_shape: tuple[int, ...]
    batch_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    transform: list[str]
    augment: list[str]
    layers: list[dict[str, Any]]
    start: list[dict[str, Any]]
    parameters: int
    trainable: int
    steps_per_epoch: int
    steps: int
    device: str
    threads: int
    step_time: StepTime
    faster: list[str]
    estimated_seconds: float
    findings: list[Finding]
    task: str
    loss: str
    optimizer: str
    schedule: str


def check(config: Config) -> Plan:
    """Build everything that a config describes, push batches through, and say what a run of it would be.

    The time is estimated from a few steps, after one that is not counted, and one batch of evaluation.

    Raises:
        InputError: with every mistake that could be found.
    """
    with devices.using_threads(config.train.threads or devices.default_threads()):
        parts = assembly.assemble(config)
        try:
            with devices.keeping_generators(parts.device):
                return _describe(parts)
        finally:
            parts.data.close()


def _describe(parts: Parts) -> Plan:
    config, train = parts.config, parts.data.loaders["train"]
    batch = assembly.first_batch(parts)
    output = assembly.try_batch(parts)
    layers = summary.layer_table(parts.model, assembly.model_inputs(parts, batch))
    started = start.measure(parts.model, lambda model: parts.task.loss(model, batch), meant=config.init)
    steps = -(-len(train) // parts.options.accumulate)
    found = _step_time(parts)
    per_evaluation = _seconds_of_evaluation(parts) if "val" in parts.data.loaders else 0.0
    facts = parts.data.facts()
    optimizers = config.optimizer if isinstance(config.optimizer, list) else [config.optimizer]
    return Plan(
        splits=facts["num_samples"],
        split=split.told(
            parts.data.shared.by, config.data.split.model_dump(), list(parts.data.source.given or split.PARTS)
        ),
        class_counts=facts["class_counts"],
        input_shape=parts.data.input_shape,
        batch_shape=(len(batch.target), *parts.data.input_shape),
        output_shape=tuple(output.shape),
        transform=parts.data.pipeline.describe(),
        augment=[_told(spec) for spec in config.data.augment],
        layers=layers,
        start=started.rows,
        parameters=sum(p.numel() for p in parts.model.parameters()),
        trainable=sum(p.numel() for p in parts.model.parameters() if p.requires_grad),
        steps_per_epoch=steps,
        steps=steps * config.train.epochs,
        device=str(parts.device),
        threads=config.train.threads or 1,
        step_time=found,
        faster=step_time.advice(
            found,
            precision=config.train.precision,
            accumulate=config.train.accumulate,
            reads_files=not train.resident,
        ),
        estimated_seconds=config.train.epochs * (steps * found.whole + per_evaluation),
        findings=list(dict.fromkeys([*parts.findings, *started.findings])),
        task=type(parts.task).__name__.lower(),
        loss=parts.task.criterion.name,
        optimizer=", ".join(map(_told, optimizers)),
        schedule="none" if config.schedule is None else _told(config.schedule),
    )


def _told(spec: dict[str, Any]) -> str:
    """Return a component as a call of what the user wrote: ``Adam(lr=0.001)``."""
    options = ", ".join(f"{name}={value!r}" for name, value in spec.items() if name != "name")
    return f"{spec['name']}({options})" if options else str(spec["name"])


def _step_time(parts: Parts) -> StepTime:
    options, loader = parts.options, parts.data.loaders["train"]
    parts.model.train()
    grouped = windows(chain.from_iterable(loader.batches(epoch) for epoch in count()), options.accumulate)
    how: dict[str, Any] = {"seed": options.seed, "clip_norm": options.clip_norm}
    return step_time.measure(
        parts.state, grouped, lambda given: updates(parts.state, given, parts.task, **how), parts.device
    )


def _seconds_of_evaluation(parts: Parts) -> float:
    batch = assembly.first_batch(parts, "val")
    started = time.perf_counter()
    evaluate(parts.model, parts.task, OneBatch(batch))
    return (time.perf_counter() - started) * len(parts.data.loaders["val"])
