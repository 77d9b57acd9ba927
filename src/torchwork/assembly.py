"""From a config to the objects of a run. Nothing is written here, and nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from torchwork import catalog
from torchwork.config import Config
from torchwork.data import split
from torchwork.data.augment import build as augment
from torchwork.data.loader import Loader, check_batch_size
from torchwork.data.source import open_source
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.models import build as models
from torchwork.models import init, start
from torchwork.optim import OPTIMIZERS, options, schedule
from torchwork.optim import build as optimizers
from torchwork.optim import check as optimizer_checks
from torchwork.tasks import contracts
from torchwork.training import device as devices
from torchwork.training.loop import TrainOptions
from torchwork.training.state import State
from torchwork.types import Batch, Finding, InputError, Schema, Source

DTYPES = {"fp32": torch.float32, "fp64": torch.float64}


@dataclass
class Data:
    """The data of a run: a source, which of its samples each split has, and the way from them to batches."""

    source: Source
    splits: dict[str, np.ndarray]
    target: Target
    pipeline: Pipeline
    augments: list[Any]
    loaders: dict[str, Loader]
    input_shape: tuple[int, ...]
    split_by: str

    def close(self) -> None:
        """End the loaders' worker processes."""
        for loader in self.loaders.values():
            loader.close()

    def facts(self) -> dict[str, Any]:
        """Return what prediction and the report need to know about the data, as JSON can hold it."""
        schema, target = self.source.schema, self.target
        raw = self.source.targets
        counted = target.classes is not None and raw is not None
        counts = {name: target.counts(raw[ids]) for name, ids in self.splits.items()} if counted else {}  # type: ignore[index]
        return {
            "inputs": schema.inputs,
            "target": target.kind,
            "classes": target.classes,
            "target_names": target.target_names,
            "numbers": schema.numbers,
            "categories": schema.categories,
            "levels": self.pipeline.levels,
            "encoding": target.state(),
            "input_shape": self.input_shape,
            "num_samples": {name: len(ids) for name, ids in self.splits.items()},
            "class_counts": counts,
        }


@dataclass
class Parts:
    """Everything that a run is made of, built and ready."""

    config: Config
    device: torch.device
    data: Data
    task: Any
    state: State
    options: TrainOptions
    findings: list[Finding]

    @property
    def model(self) -> nn.Module:
        """The model, on the run's device."""
        return self.state.model


class _Collected:
    def __init__(self) -> None:
        self.findings: list[Finding] = []

    @contextmanager
    def stage(self) -> Iterator[None]:
        """Note the mistakes of one part and go on with the next, so that they are all reported at once."""
        try:
            yield
        except InputError as error:
            self.findings += error.findings

    def stop_if_any(self) -> None:
        if self.findings:
            raise InputError(list(dict.fromkeys(self.findings)))


def assemble(config: Config, *, pretrained: bool = True) -> Parts:
    """Build everything that a config describes and try it on one batch.

    ``pretrained=False`` leaves the file of ``model.weights`` unread, where the weights come from a checkpoint.

    Raises:
        InputError: with every mistake that could be found.
    """
    collected = _Collected()
    device = torch.device("cpu")
    with collected.stage():
        device = devices.choose(config.device)
    with collected.stage():
        _check_train(config)
    with collected.stage():
        contracts.check_loss(config.loss)
    with collected.stage():
        augment_steps(config)
    data = None
    with collected.stage():
        data = open_data(config, device)
    if data is None:
        with collected.stage():
            check_optimizer_options(config)
        collected.stop_if_any()
        raise AssertionError("unreachable: no data and no finding")
    task = state = None
    said: list[Finding] = []
    with collected.stage():
        task = build_task(config, data.target)
    with collected.stage():
        state, said = build_state(config, data, device, pretrained=pretrained)
    if state is None:  # perhaps for the model's sake, so that nobody has looked at the optimizer
        with collected.stage():
            check_optimizer_options(config)
    collected.stop_if_any()
    assert task is not None
    assert state is not None
    task.criterion.to(device, DTYPES[config.train.precision])
    parts = Parts(config, device, data, task, state, train_options(config, data), said)
    try_batch(parts)
    return parts


def with_threads(config: Config) -> Config:
    """Return the config with the number of threads that the fixed rule gives, where it names none."""
    if config.train.threads is not None:
        return config
    train = config.train.model_copy(update={"threads": devices.default_threads()})
    return config.model_copy(update={"train": train})


def pipeline_from(config: Config, facts: Mapping[str, Any]) -> Pipeline:
    """Return a run's transform, as yet without what it learnt, from the facts about its data."""
    schema = Schema(
        facts["inputs"], facts["target"], numbers=tuple(facts["numbers"]), categories=tuple(facts["categories"])
    )
    pipeline = Pipeline(config.data.transform, schema, where="data.transform")
    pipeline.dtype = DTYPES[config.train.precision]
    return pipeline


def evaluation_loader(parts: Parts, split: str) -> Loader:
    """Return a loader for a split as it is evaluated: in order, nothing dropped, nothing augmented."""
    data = parts.data
    return Loader(
        data.source,
        data.splits[split],
        pipeline=data.pipeline,
        target=data.target,
        batch_size=parts.config.data.batch_size,
        num_workers=parts.config.data.num_workers,
        seed=parts.config.seed,
        device=parts.device,
    )


def augment_steps(config: Config) -> list[Any]:
    """Build the augmentations of a config."""
    return augment.build(config.data.augment, "data.augment")


def _check_train(config: Config) -> None:
    train, findings = config.train, []
    if train.monitor is not None and not train.monitor.startswith(("val_", "train_")):
        message = f"got {train.monitor!r}"
        fix = "name a column of history.csv: val_loss, val_accuracy, train_loss, ..."
        findings.append(Finding("monitor", "error", "train.monitor", message, fix))
    if findings:
        raise InputError(findings)


def check_optimizer_options(config: Config) -> None:
    """Check an optimizer's options where there is no model to build it on."""
    findings = []
    for spec in config.optimizer if isinstance(config.optimizer, list) else [config.optimizer]:
        given = {key: value for key, value in spec.items() if key not in ("name", "groups", "match")}
        component = catalog.load(spec["name"], OPTIMIZERS, "optimizer", "optimizer.name")
        findings += options.check(component, given, "optimizer", supplied=("params",))
    if findings:
        raise InputError(findings)


def open_data(config: Config, device: torch.device) -> Data:
    """Open the source, split it, fit what learns from the training split, and make a loader for each split."""
    spec = config.data
    source = open_source(spec.source, where="data.source")
    splits = split.split(source, spec.split.model_dump(), config.seed)
    if source.targets is None:
        message = "gives no targets"
        raise InputError(Finding("no-targets", "error", "data.source", message, "training needs a target column"))
    check_batch_size(spec.batch_size, len(splits["train"]))
    target = Target.fit(source.schema, source.targets, splits, source.name, spec.target_transform)
    pipeline = Pipeline(spec.transform, source.schema, where="data.transform")
    pipeline.dtype = DTYPES[config.train.precision]
    pipeline.fit(source, splits["train"])
    augments = augment_steps(config)
    loaders = {}
    for name, ids in splits.items():
        training = name == "train"
        loaders[name] = Loader(
            source,
            ids,
            pipeline=pipeline,
            target=target,
            augments=augments if training else (),
            batch_size=spec.batch_size,
            shuffle=spec.shuffle and training,
            drop_last=spec.drop_last and training,
            num_workers=spec.num_workers,
            seed=config.seed,
            device=device,
        )
    first = next(iter(loaders["train"].batches(0)))
    by = spec.split.by or split.default_by(source)
    return Data(source, splits, target, pipeline, augments, loaders, shape_of(first), by)


def shape_of(batch: Batch) -> tuple[int, ...]:
    """Return the shape of one sample of a batch."""
    inputs = batch.inputs
    if isinstance(inputs, dict):
        inputs = next(iter(inputs.values()))
    return tuple(inputs.shape[1:])


def build_task(config: Config, target: Target) -> Any:
    """Return the task that config and targets decide."""
    return contracts.choose(
        config.task, config.loss, target=target.kind, classes=target.classes, target_names=target.target_names
    )


def num_outputs(target: Target) -> int:
    """Return how many numbers the model has to give for a sample: one a class, or one a target column."""
    return len(target.classes) if target.classes is not None else max(1, len(target.target_names))


def build_model(
    config: Config, input_shape: tuple[int, ...], outputs: int, device: torch.device, *, pretrained: bool = True
) -> tuple[nn.Module, list[Finding]]:
    """Build and initialise the model, on its device and in its precision; say what there is to say about it.

    ``pretrained=False`` leaves the file of ``model.weights`` unread, where the weights come from a checkpoint.
    """
    built = models.assemble(
        dict(config.model),
        input_shape=input_shape,
        num_outputs=outputs,
        seed=config.seed,
        where="model",
        pretrained=pretrained,
    )
    init.initialise(built.model, config.init, config.seed)
    return built.model.to(device, DTYPES[config.train.precision]), built.findings


def build_state(config: Config, data: Data, device: torch.device, *, pretrained: bool) -> tuple[State, list[Finding]]:
    """Build model, optimizer and schedule, before the first update."""
    outputs = num_outputs(data.target)
    model, findings = build_model(config, data.input_shape, outputs, device, pretrained=pretrained)
    optimizer = optimizers.build(config.optimizer, model, where="optimizer")
    findings = [*findings, *optimizer_checks.check(config.optimizer, model), *start.weight_findings(model)]
    steps = -(-len(data.loaders["train"]) // config.train.accumulate)
    rates = schedule.build(
        config.schedule, optimizer, epochs=config.train.epochs, steps_per_epoch=steps, where="schedule"
    )
    return State(model, optimizer, rates), findings


def train_options(config: Config, data: Data) -> TrainOptions:
    """Return how long and how to train; refuse to watch a validation split that is not there."""
    train = config.train
    has_val = "val" in data.splits
    findings = []
    if not has_val:
        if train.patience is not None:
            fix = "give data.split.val a share, or remove it"
            findings.append(Finding("no-val", "error", "train.patience", "needs a val split, and there is none", fix))
        if train.monitor is not None and train.monitor.startswith("val_"):
            fix = "give data.split.val a share"
            findings.append(Finding("no-val", "error", "train.monitor", "needs a val split, and there is none", fix))
    if findings:
        raise InputError(findings)
    return TrainOptions(
        train.epochs, config.seed, train.accumulate, train.clip_norm, train.patience, train.monitor or "val_loss"
    )


def try_batch(parts: Parts) -> torch.Tensor:
    """Run the model on the first batch, in evaluation mode and without a trace; check its output and its loss.

    Raises:
        InputError: the model fails on the data's shape, its output does not fit the targets, or it is not finite.
    """
    batch = next(iter(parts.data.loaders["train"].batches(0)))
    model = parts.model
    model.eval()
    name = parts.config.model["name"]
    try:
        with torch.no_grad():
            output = model(batch.inputs)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        message = f"{name} fails on inputs of shape {_shapes(batch.inputs)}: {str(error).splitlines()[0]}"
        fix = "adapt the model's options or data.transform to each other"
        raise InputError(Finding("model-input", "error", "model", message, fix)) from error
    finally:
        model.train()
    if not isinstance(output, torch.Tensor):
        message = f"{name} gives a {type(output).__name__}"
        raise InputError(Finding("output-type", "error", "model", message, "its forward must return a tensor"))
    parts.task.check_output(output, batch)
    if not bool(torch.isfinite(output).all()):
        message = f"{name} gives NaN or infinite outputs before any training"
        fix = "look at the inputs (Normalize helps) and at init"
        raise InputError(Finding("output-not-finite", "error", "model", message, fix))
    return output


def _shapes(inputs: torch.Tensor | Mapping[str, torch.Tensor]) -> str:
    if isinstance(inputs, Mapping):
        return ", ".join(f"{key} {list(value.shape)}" for key, value in inputs.items())
    return str(list(inputs.shape))
