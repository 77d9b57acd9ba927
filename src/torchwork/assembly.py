"""From a config to the objects of a run. Nothing is written here, and nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from torchwork import catalog, choices, dist, distribution
from torchwork.allocator import keep_freed_memory
from torchwork.building import build_model, check_model_options
from torchwork.checks import setup
from torchwork.config import Config
from torchwork.data.audit.quick import quick
from torchwork.data.augment import build as augment
from torchwork.logs import opened
from torchwork.metrics import METRICS, custom
from torchwork.models import init, start, weights
from torchwork.optim import OPTIMIZERS, options, schedule
from torchwork.optim import build as optimizers
from torchwork.optim import check as optimizer_checks
from torchwork.run_data import Data, augment_steps, open_data
from torchwork.tasks import contracts, members
from torchwork.tasks.probe import probe
from torchwork.training import averaging, precision
from torchwork.training import device as devices
from torchwork.training.evaluate import OneBatch, evaluate
from torchwork.training.largest_batch import largest, steps_fit
from torchwork.training.loop import TrainOptions
from torchwork.training.ranks import batch_on
from torchwork.training.state import State
from torchwork.types import Batch, Finding, InputError


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

    The caller uses ``device.using_threads``: where the config names no threads, the rule sets them here. Where it
    leaves the batch size open, steps of larger and larger batches are taken first, with a model that is thrown away.

    ``pretrained=False`` leaves the file of ``model.weights`` unread, where the weights come from a checkpoint.

    Raises:
        InputError: with every mistake that could be found.
    """
    if config.data.batch_size == "auto":
        config, why = _with_batch_size(config, pretrained)
        parts = assemble(config, pretrained=pretrained)
        parts.findings.insert(0, why)
        return parts
    collected = _Collected()
    device = torch.device("cpu")
    with collected.stage():
        device = devices.choose(config.device)
        precision.check(config.train.precision, device)
    with collected.stage():
        _check_train(config)
    with collected.stage():
        distribution.check(config)
    with collected.stage():
        contracts.check_loss(config.loss)
    collected.findings += opened.check(config.log)
    with collected.stage():
        augment_steps(config)
    data = task = state = None
    said: list[Finding] = []
    with collected.stage(), dist.first_on_host():
        data, task = open_data(config, device)
    keep_freed_memory()  # behind what reading the data took for a while, which the system is to have back
    if data is None:
        for index, spec in enumerate(config.metrics):
            collected.findings += catalog.check_name(spec["name"], METRICS, "metric", f"metrics[{index}]")
        with collected.stage():
            check_model_options(config)
    else:
        with collected.stage():
            _check_metrics(config, data, task)
        config = choices.with_threads(config, data)
        home = distribution.home(config, device)
        task.criterion.to(home, precision.dtype(config.train.precision))
        with collected.stage():
            state, said = build_state(config, data, task, home, pretrained=pretrained)
    if state is None:  # perhaps for the model's sake, so that nobody has looked at the optimizer
        with collected.stage():
            check_optimizer_options(config)
    collected.stop_if_any()
    assert data is not None
    assert task is not None
    assert state is not None
    config, chosen = choices.with_memory_format(config, state.model, home)
    built_in = config.train.memory_format
    config, more = choices.with_precision(config, data, task, state, device)
    if config.train.memory_format == "channels_last" != built_in:  # optimizers keep sums in the format of their weights
        state, said = build_state(config, data, task, home, pretrained=pretrained)
    config, compiled = choices.with_compile(config, data, task, state, device)
    told = [*data.told(), *chosen, *more, *compiled, *said, *_averaged(config, data, state)]
    told += augment.unfit(data.augments, data.source.schema.inputs)
    parts = Parts(config, device, data, task, state, train_options(config, data), told)
    try_batch(parts)
    _check_monitor(parts)
    _check_setup(parts)
    return parts


def _with_batch_size(config: Config, pretrained: bool) -> tuple[Config, Finding]:
    """Return the config with the largest batch size that fits, and why it is that one."""
    if dist.world() > 1:
        message = "several processes cannot agree on what fits into the memory of each"
        raise InputError(Finding("contradiction", "error", "data.batch_size", message, "give a number"))

    def sized(size: int, **more: Any) -> Config:
        return config.model_copy(update={"data": config.data.model_copy(update={"batch_size": size, **more})})

    parts = assemble(sized(2, drop_last=True), pretrained=pretrained)  # 1 is too few for batch norm
    train = parts.data.loaders["train"]
    number, options = len(train.indices) // config.train.accumulate, parts.options

    def fits(size: int) -> bool:
        train.batch_size = size
        return steps_fit(parts.state, parts.task, train, seed=options.seed, clip_norm=options.clip_norm)

    try:
        with devices.keeping_generators(parts.device):
            found = largest(fits, max(1, number), parts.device)
    finally:
        parts.data.close()
    if not found.size:
        raise InputError(Finding("no-memory", "error", "data.batch_size", found.why, "take a smaller model or samples"))
    message = f"auto chose {found.size}: {found.why}"
    return sized(found.size), Finding("batch-size-auto", "info", "data.batch_size", message)


def _check_setup(parts: Parts) -> None:
    """Add what there is to say about the whole; refuse what would fail in the middle of an epoch."""
    data, pairs = parts.config.data, parts.config.data.pairs
    ragged = parts.data.loaders["train"].num_samples % data.batch_size
    found = setup.findings(
        parts.model,
        accumulate=parts.options.accumulate,
        smallest_batch=ragged if ragged and not data.drop_last else data.batch_size,
        processes=dist.world(),
        sync_batchnorm=parts.config.distributed.sync_batchnorm,
        mined=pairs is not None and pairs.mining != "none",
        num_val=len(parts.data.splits.get("val", ())),
    )
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        raise InputError(errors)
    parts.findings += [*found, *quick(parts.data.source, parts.data.splits, parts.data.shared.contents)]


def _check_metrics(config: Config, data: Data, task: Any) -> None:
    """Try the metrics that the config adds on what the task gives, as they are computed at the end only."""
    meaning = {"task": type(task).__name__.lower(), "loss": task.criterion.name}
    names = {"classes": data.target.classes, "target_names": data.target.target_names}
    if config.metrics:
        custom.load(config.metrics, meaning | names)


def _averaged(config: Config, data: Data, state: State) -> list[Finding]:
    """Average the weights where the config asks for it; say what there is to say about its decay."""
    if config.train.ema is None:
        return []
    state.averaged = averaging.AveragedWeights(state.model, config.train.ema)
    steps = -(-len(data.loaders["train"]) // config.train.accumulate)
    return averaging.findings(config.train.ema, config.train.epochs * steps)


def _check_train(config: Config) -> None:
    train, findings = config.train, []
    if train.monitor not in (None, "train_loss") and not str(train.monitor).startswith("val_"):
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


def build_state(
    config: Config, data: Data, task: Any, device: torch.device, *, pretrained: bool
) -> tuple[State, list[Finding]]:
    """Build model, optimizer and schedule, before the first update; say what there is to say about them."""
    model, findings = build_model(config, data.facts(), task.num_outputs, device, pretrained=pretrained)
    _check_saveable(model, config.model["name"])
    optimizer = optimizers.build(distribution.adapted(config), model, where="optimizer")
    findings = [
        *findings,
        *_optimizer_findings(config, model),
        *start.weight_findings(model, meant=config.init),
    ]
    findings += _pretrained_findings(config, model)
    steps = -(-len(data.loaders["train"]) // config.train.accumulate)
    rates = schedule.build(
        config.schedule, optimizer, epochs=config.train.epochs, steps_per_epoch=steps, where="schedule"
    )
    if rates.needs_metric and "val" not in data.splits and config.train.monitor != "train_loss":
        message = "ReduceLROnPlateau needs a val split to judge by, and there is none"
        fix = "give data.split.val a share, or take train.monitor: train_loss"
        raise InputError(Finding("no-val", "error", "schedule", message, fix))
    return State(model, optimizer, rates, scaler=precision.scaler(config.train.precision, device)), findings


def _optimizer_findings(config: Config, model: nn.Module) -> list[Finding]:
    """Return what there is to say about the optimizer; refuse one that cannot work in the run's precision."""
    found = optimizer_checks.check(config.optimizer, model, scaler=config.train.precision == "fp16")
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        raise InputError(errors)
    return found


def _check_saveable(model: nn.Module, name: str) -> None:
    others = [key for key, value in model.state_dict().items() if not isinstance(value, torch.Tensor)]
    if others:
        message = f"the state_dict of {name} holds what is no tensor: {', '.join(others[:5])}"
        fix = "a checkpoint keeps tensors only: register buffers, or train it with torchwork.fit"
        raise InputError(Finding("unsaveable", "error", "model", message, fix))


def _pretrained_findings(config: Config, model: nn.Module) -> list[Finding]:
    """Return what may not be meant where weights are loaded: statistics of other data, start values over them."""
    if not isinstance(config.model.get("weights"), str):
        return []
    found = []
    if any(spec["name"] == "Normalize" and spec.get("mean") is None for spec in config.data.transform):
        found.append(weights.measured_statistics())
    overwritten = [assignment.parameter for assignment in init.plan(model, config.init)]
    if overwritten:
        message = f"init draws {', '.join(overwritten[:5])}{', ...' if len(overwritten) > 5 else ''} anew"
        fix = "fine for a new head; else remove these from init"
        found.append(Finding("init-over-weights", "warning", "init", f"{message} after model.weights was loaded", fix))
    return found


def train_options(config: Config, data: Data) -> TrainOptions:
    """Return how long and how to train; refuse to watch a validation split that is not there."""
    train = config.train
    has_val = "val" in data.splits
    findings = []
    if not has_val:
        if train.patience is not None and train.monitor != "train_loss":
            fix = "give data.split.val a share, or remove it"
            findings.append(Finding("no-val", "error", "train.patience", "needs a val split, and there is none", fix))
        if train.monitor is not None and train.monitor.startswith("val_"):
            fix = "give data.split.val a share"
            findings.append(Finding("no-val", "error", "train.monitor", "needs a val split, and there is none", fix))
    if findings:
        raise InputError(findings)
    return TrainOptions(
        epochs=train.epochs,
        seed=config.seed,
        accumulate=train.accumulate,
        clip_norm=train.clip_norm,
        patience=train.patience,
        monitor=train.monitor or "val_loss",
        nonfinite=train.nonfinite,
    )


def _check_monitor(parts: Parts) -> None:
    """Refuse to watch a metric that the task does not compute, which one batch tells."""
    monitor = parts.config.train.monitor
    if monitor in (None, "train_loss", "val_loss"):
        return
    first = first_batch(parts, "val")
    evaluation = evaluate(parts.model, parts.task, OneBatch(first))
    known = ["train_loss", "val_loss", *(f"val_{name}" for name in parts.task.metrics(evaluation))]
    if monitor not in known:
        message = f"there is no column {monitor!r} in history.csv"
        raise InputError(Finding("monitor", "error", "train.monitor", message, f"known: {', '.join(known)}"))


def try_batch(parts: Parts) -> torch.Tensor:
    """Run the model on the first batch, in evaluation mode and without a trace; check and return its output.

    Raises:
        InputError: the model fails on the data's shape, its output does not fit the targets, or it is not finite.
    """
    batch = first_batch(parts)
    inputs = model_inputs(parts, batch)
    name, low = parts.config.model["name"], ""
    try:
        with precision.computing_as_built(parts.model) as lowered:  # log-probabilities in bf16 add up to 0.99
            found = probe(parts.model, inputs)
        output = found.output
        if lowered:
            low = f" in {parts.config.train.precision}"
            output = probe(parts.model, inputs).output
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        message = f"{name} fails{low} on inputs of shape {_shapes(inputs)}: {str(error).splitlines()[0]}"
        fix = "take train.precision: fp32" if low else "adapt the model's options or data.transform to each other"
        raise InputError(Finding("model-input", "error", "model", message, fix)) from error
    if not isinstance(found.output, torch.Tensor):
        message = f"{name} gives a {type(found.output).__name__}"
        raise InputError(Finding("output-type", "error", "model", message, "its forward must return a tensor"))
    parts.task.check_output(found.output, batch, found, parts.data.targets)
    if not bool(torch.isfinite(output).all()):
        message = f"{name} gives NaN or infinite outputs{low} before any training"
        fix = "look at the inputs (Normalize helps) and at init"
        raise InputError(Finding("output-not-finite", "error", "model", message, fix))
    return output


def first_batch(parts: Parts, split: str = "train") -> Batch:
    """Return the first batch of a split where the model is, before it is shared out over several processes."""
    batch = next(iter(parts.data.loaders[split].batches(0)))
    return batch_on(batch, distribution.home(parts.config, parts.device))


def model_inputs(parts: Parts, batch: Batch) -> Any:
    """Return what the model is called with: a batch's inputs, pairs and triplets with all members along one axis."""
    return members.flat(batch.inputs) if parts.data.companions else batch.inputs


def _shapes(inputs: torch.Tensor | Mapping[str, torch.Tensor]) -> str:
    if isinstance(inputs, Mapping):
        return ", ".join(f"{key} {list(value.shape)}" for key, value in inputs.items())
    return str(list(inputs.shape))
