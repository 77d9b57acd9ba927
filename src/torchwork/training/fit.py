"""Train a module of your own on data of your own: the loop alone, without config, files or a run directory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from torchwork.data.collated import CollatedLoader
from torchwork.losses.criterion import Criterion
from torchwork.losses.criterion import build as build_loss
from torchwork.optim import build as optimizers
from torchwork.optim import schedule as schedules
from torchwork.tasks import contracts
from torchwork.training import device as devices
from torchwork.training.loop import TrainOptions, run_epochs
from torchwork.training.state import State
from torchwork.types import Finding, InputError, Watcher

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
    optimizer: Optimizer | str | dict[str, Any],
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
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    watchers: Sequence[Watcher] = (),
) -> Fit:
    """Train a module in place, where its parameters are, with the loop that every run uses.

    The order of the samples, what the data set draws and what dropout draws are functions of ``seed``; torch's global
    generators are left as they were. With ``val`` the model ends with the weights of its best epoch.

    Args:
        model: Any module; called with the batch's inputs.
        train: A map-style data set of pairs (input, target), or a pair of tensors.
        val: The same, to judge by after each epoch.
        loss: A loss of torch.nn as an object, a name or a component, or a function of (output, target) that returns the
            mean over the rows.
        optimizer: An optimizer of the model's parameters, or a name or component to build one.
        schedule: A schedule's name or component.
        epochs, batch_size, shuffle, drop_last, num_workers: As in a config.
        seed: Decides every random number.
        accumulate: Batches to one update.
        clip_norm: The greatest norm of all gradients together.
        patience: Stop after so many epochs without gain in ``monitor``; needs ``val``.
        monitor: The entry of an epoch's row that decides which is best.
        on_epoch: Called with each row: epoch, step, lr, train_loss, val_loss, val metrics, seconds.
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
    ['epoch', 'lr', 'seconds', 'step', 'train_loss', 'val_accuracy', 'val_loss']
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    options = TrainOptions(epochs, seed, accumulate, clip_norm, patience, monitor)
    if patience is not None and val is None:
        raise InputError(Finding("no-val", "error", "patience", "needs val to judge by", "give val, or leave it out"))
    common: dict[str, Any] = {"batch_size": batch_size, "num_workers": num_workers, "seed": seed, "device": device}
    train_loader = CollatedLoader(train, shuffle=shuffle, drop_last=drop_last, **common)
    val_loader = CollatedLoader(val, where="val", **common) if val is not None else None
    try:
        task = _task(model, train_loader, loss)
        state = _state(model, optimizer, schedule, epochs, -(-len(train_loader) // accumulate))
        return _run(state, task, train_loader, val_loader, options, on_epoch, watchers, device)
    finally:
        train_loader.close()
        if val_loader is not None:
            val_loader.close()


def _task(model: nn.Module, loader: CollatedLoader, loss: Any) -> Any:
    spec = {"name": loss} if isinstance(loss, str) else loss
    criterion = build_loss(spec) if isinstance(spec, dict) else Criterion(spec)
    batch = next(iter(loader.batches(0)))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            output = model(batch.inputs)
    finally:
        model.train(was_training)
    task = contracts.of_module(criterion, output)
    task.check_output(output, batch)
    return task


def _state(model: nn.Module, optimizer: Any, schedule: Any, epochs: int, steps: int) -> State:
    if isinstance(optimizer, str | dict):
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
    train: CollatedLoader,
    val: CollatedLoader | None,
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
            best.update({name: tensor.detach().clone() for name, tensor in state.model.state_dict().items()})

    with devices.keeping_generators(device):
        run_epochs(state, task, train, val, options, save=keep, on_epoch=note, watchers=watchers)
    if best:
        state.model.load_state_dict(best)
    return Fit(history, state.progress.best_epoch)
