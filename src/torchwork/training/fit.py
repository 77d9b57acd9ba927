"""Train a module of your own on data of your own: the loop alone, without config, files or a run directory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.utils.data import Dataset, TensorDataset

from torchwork.data.collated import CollatedLoader
from torchwork.losses.criterion import Criterion
from torchwork.losses.criterion import build as build_loss
from torchwork.optim import build as optimizers
from torchwork.optim import schedule as schedules
from torchwork.optim.several import members as several
from torchwork.tasks import contracts, members
from torchwork.tasks.probe import probe
from torchwork.training import device as devices
from torchwork.training import precision as formats
from torchwork.training.averaging import AveragedWeights
from torchwork.training.evaluate import OneBatch, evaluate
from torchwork.training.loop import Batches, TrainOptions, run_epochs
from torchwork.training.state import State
from torchwork.types import Batch, Finding, InputError, Watcher

Data = Dataset[Any] | tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Fit:
    """What came of it: one row of ``history`` an epoch, and the epoch whose weights the model has.

    ``best_epoch`` is None where there was no ``val`` to judge by: the model then has the last weights.
    """

    history: list[dict[str, float]]
    best_epoch: int | None


def fit(
    model: nn.Module,
    train: Data,
    val: Data | None = None,
    *,
    loss: Callable[..., Tensor] | str | dict[str, Any],
    optimizer: Optimizer | str | dict[str, Any] | list[dict[str, Any]],
    schedule: str | dict[str, Any] | None = None,
    epochs: int = 10,
    batch_size: int = 64,
    shuffle: bool = True,
    drop_last: bool = False,
    num_workers: int = 0,
    seed: int = 0,
    accumulate: int = 1,
    clip_norm: float | None = None,
    patience: int | None = None,
    monitor: str = "val_loss",
    precision: Literal["bf16", "fp16"] | None = None,
    ema: float | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    watchers: Sequence[Watcher] = (),
) -> Fit:
    """Train a module in place, where its parameters are, with the loop that every run uses.

    The order of the samples, what the data set draws and what dropout draws are functions of ``seed``; torch's global
    generators are left as they were. With ``val`` the model ends with the weights of its best epoch, with ``ema`` with
    averaged ones.

    Args:
        model: Any module; called with the batch's inputs.
        train: A map-style data set of pairs (input, target), or a pair of tensors.
        val: The same, to judge by after each epoch.
        loss: A loss of torch.nn as an object, a name or a component, or a function of (output, target) that returns the
            mean over the rows.
        optimizer: An optimizer of the model's parameters, or a name or component to build one; a list of components
            shares the parameters out by their ``match``.
        schedule: A schedule's name or component.
        epochs, batch_size, shuffle, drop_last, num_workers: As in a config.
        seed: Decides every random number.
        accumulate: Batches to one update.
        clip_norm: The greatest norm of all gradients together.
        patience: Stop after so many epochs without gain in ``monitor``; needs ``val``.
        monitor: The entry of an epoch's row that decides which is best.
        precision: Compute the forward and backward pass under autocast in this format; None: as the module is.
        ema: Judge and keep an exponential moving average of the weights with this decay, above 0 and below 1.
        on_epoch: Called with each row: epoch, step, lr, train_loss, train metrics (as seen while training), val_loss,
            val metrics, seconds, and of those the seconds waited for data.
        watchers: Called with every step.

    Raises:
        InputError: data, loss, optimizer and model do not fit together.
        RunError: the loss became NaN or infinite.

    >>> torch.manual_seed(0)  # doctest: +ELLIPSIS
    <torch._C.Generator object at ...>
    >>> x = torch.randn(256, 2)
    >>> y = (x[:, 0] > x[:, 1]).long()
    >>> model = nn.Linear(2, 2)
    >>> result = fit(model, (x, y), (x, y), loss=nn.CrossEntropyLoss(), optimizer="Adam", epochs=2)
    >>> [sorted(row) for row in result.history][0]
    ['epoch', 'lr', 'seconds', 'step', 'train_accuracy', 'train_loss', 'val_accuracy', 'val_loss', 'waited']
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    options = TrainOptions(epochs, seed, accumulate, clip_norm, patience, monitor)
    _check_options(options, batch_size, num_workers, has_val=val is not None)
    _check_precision(precision, ema, device)
    common: dict[str, Any] = {"batch_size": batch_size, "num_workers": num_workers, "seed": seed, "device": device}
    train_loader = CollatedLoader(train, shuffle=shuffle, drop_last=drop_last, **common)
    val_loader = CollatedLoader(val, where="val", **common) if val is not None else None
    try:
        task = _task(model, train_loader, loss, train, val)
        with formats.computing_in(model, precision or "fp32"):
            state = _state(model, optimizer, schedule, epochs, -(-len(train_loader) // accumulate))
            state.scaler = _scaler(precision, device, state)
            state.averaged = AveragedWeights(model, ema) if ema is not None else None
            _check_judged(state, task, val_loader, options)
            batches = train_loader if _targets(train) is not None else _Checked(train_loader, task, "train")
            judged = val_loader if _targets(val) is not None else val_loader and _Checked(val_loader, task, "val")
            return _run(state, task, batches, judged, options, on_epoch, watchers, device)
    finally:
        train_loader.close()
        if val_loader is not None:
            val_loader.close()


def _check_options(options: TrainOptions, batch_size: int, num_workers: int, *, has_val: bool) -> None:
    least = {"epochs": 1, "batch_size": 1, "num_workers": 0, "accumulate": 1, "patience": 1}
    given = {**vars(options), "batch_size": batch_size, "num_workers": num_workers}
    findings = [
        Finding("too-small", "error", name, f"got {given[name]}", f"expected {at_least} or more")
        for name, at_least in least.items()
        if given[name] is not None and given[name] < at_least
    ]
    if options.clip_norm is not None and not options.clip_norm > 0:
        findings.append(Finding("too-small", "error", "clip_norm", f"got {options.clip_norm}", "expected more than 0"))
    if options.patience is not None and not has_val and options.monitor != "train_loss":
        fix = "give val, leave it out, or take monitor='train_loss'"
        findings.append(Finding("no-val", "error", "patience", "needs val to judge by", fix))
    if findings:
        raise InputError(findings)


def _check_precision(precision: str | None, ema: float | None, device: torch.device) -> None:
    findings = []
    if precision is not None and precision not in formats.LOWER:
        fix = f"expected {' or '.join(formats.LOWER)}; None computes as the module is"
        findings.append(Finding("no-precision", "error", "precision", f"got {precision!r}", fix))
    elif precision is not None:
        formats.check(precision, device, "precision")
    if ema is not None and not 0 < ema < 1:
        findings.append(Finding("out-of-range", "error", "ema", f"got {ema}", "expected above 0 and below 1"))
    if findings:
        raise InputError(findings)


def _scaler(precision: str | None, device: torch.device, state: State) -> GradScaler | None:
    if precision == "fp16" and any(isinstance(one, torch.optim.LBFGS) for one in several(state.optimizer)):
        message = "LBFGS cannot work with a gradient scaler: it compares losses and gradients of several evaluations"
        raise InputError(Finding("lbfgs-scaler", "error", "precision", message, "take bf16, or another optimizer"))
    return formats.scaler(precision or "fp32", device)


def _check_judged(state: State, task: Any, val: CollatedLoader | None, options: TrainOptions) -> None:
    """Refuse to watch what no epoch's row will hold, which one batch tells."""
    monitor = options.monitor
    known = ["train_loss"]
    if val is not None:
        known.append("val_loss")
    if val is not None and monitor not in known:
        evaluation = evaluate(state.model, task, OneBatch(next(iter(val.batches(0)))))
        known += [f"val_{name}" for name in task.metrics(evaluation)]
    if monitor in known:
        return
    if val is not None or monitor != "val_loss":
        message = f"there is no {monitor!r} in an epoch's row"
        raise InputError(Finding("monitor", "error", "monitor", message, f"known: {', '.join(known)}"))
    if state.schedule is not None and state.schedule.needs_metric:
        fix = "give val, or take monitor='train_loss'"
        raise InputError(Finding("no-val", "error", "schedule", "ReduceLROnPlateau needs val to judge by", fix))


def _task(model: nn.Module, loader: CollatedLoader, loss: Any, train: Data, val: Data | None) -> Any:
    spec = {"name": loss} if isinstance(loss, str) else loss
    criterion = build_loss(spec) if isinstance(spec, dict) else Criterion(spec)
    batch = next(iter(loader.batches(0)))
    compared = contracts.num_members(criterion)
    if compared > 1:
        members.check(batch.inputs, compared, criterion.name)
    found = probe(model, members.flat(batch.inputs) if compared > 1 else batch.inputs)
    if not isinstance(found.output, Tensor):
        message = f"gives a {type(found.output).__name__}"
        raise InputError(Finding("output-type", "error", "model", message, "its forward must return a tensor"))
    task = contracts.of_module(criterion, found.output, batch.target)
    findings: list[Finding] = []
    for where, data in (("train", train), ("val", val)):
        targets = _targets(data)
        findings += _mistakes(
            task.check_targets, batch.target if targets is None and where == "train" else targets, where
        )
    findings += _mistakes(task.check_output, found.output, batch, found)
    if findings:
        raise InputError(findings)
    return task


def _targets(data: Data | None) -> Tensor | None:
    """Return all targets of data that are tensors."""
    if type(data) is TensorDataset and len(data.tensors) == 2:
        return data.tensors[1]
    return data[1] if isinstance(data, tuple) else None


def _mistakes(check: Callable[..., None], subject: Tensor | None, *rest: Any) -> list[Finding]:
    try:
        if subject is not None:
            check(subject, *rest)
    except InputError as error:
        return error.findings
    return []


class _Checked:
    """Batches of a data set whose targets are seen only as they are read: each is checked in the first epoch."""

    def __init__(self, loader: CollatedLoader, task: Any, where: str) -> None:
        self._loader, self._task, self._where = loader, task, where

    def __len__(self) -> int:
        return len(self._loader)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the loader's batches."""
        for batch in self._loader.batches(epoch, start):
            if epoch == 0:
                self._task.check_targets(batch.target, self._where)
            yield batch


def _state(model: nn.Module, optimizer: Any, schedule: Any, epochs: int, steps: int) -> State:
    if isinstance(optimizer, str | dict | list):
        optimizer = optimizers.build({"name": optimizer} if isinstance(optimizer, str) else optimizer, model)
    left_out = optimizers.ungrouped(optimizer, model)
    if left_out:
        some = ", ".join(left_out[:5]) + (f" and {len(left_out) - 5} more" if len(left_out) > 5 else "")
        message = f"the optimizer has no group with {some}: these parameters will not be trained"
        warnings.warn(message, UserWarning, stacklevel=4)
    spec = {"name": schedule} if isinstance(schedule, str) else schedule
    return State(model, optimizer, schedules.build(spec, optimizer, epochs=epochs, steps_per_epoch=steps))


def _run(
    state: State,
    task: Any,
    train: Batches,
    val: Batches | None,
    options: TrainOptions,
    on_epoch: Callable[[dict[str, float]], None],
    watchers: Sequence[Watcher],
    device: torch.device,
) -> Fit:
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}

    def note(row: dict[str, float]) -> None:
        history.append(row)
        on_epoch(row)

    def keep(is_best: bool) -> None:
        if is_best:
            best.update({name: tensor.detach().clone() for name, tensor in state.judged.state_dict().items()})

    with devices.keeping_generators(device):
        run_epochs(state, task, train, val, options, save=keep, on_epoch=note, watchers=watchers)
    if best or state.averaged is not None:
        state.model.load_state_dict(best or state.judged.state_dict())
    return Fit(history, state.progress.best_epoch)
