"""Where the first number that is not finite came from: found by going through a window once more, with hooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from torchwork.training.buffers import keeping_buffers
from torchwork.training.forward import computing_eagerly
from torchwork.training.gradient import backward, seed_random_layers
from torchwork.training.ranks import by_itself
from torchwork.types import Batch, Task

What = Literal["loss", "gradient", "weights"]
Answer = Literal["stop", "skip", "rollback"]  # what is done about it
Kind = Literal["weight", "output", "loss", "output gradient", "weight gradient", "nothing", "unknown"]


@dataclass(frozen=True)
class Fault:
    """A window that gave a loss or a gradient that is not finite, or weights that are not.

    The model has the weights that the window met; ``layer_seed`` is what its random layers drew from, ``total`` the
    window's weight in the loss. Of several processes the first has the batches of all in it. ``shared`` says that each
    process holds a part of the model only, so that none can go through the window by itself.
    """

    index: int
    epoch: int
    what: What
    loss: float
    window: list[Batch]
    total: float
    layer_seed: int
    model: nn.Module
    task: Task
    shared: bool = False

    @property
    def ids(self) -> list[int]:
        """The window's samples; of pairs and triplets the anchors."""
        return [int(i) for batch in self.window for i in batch.ids]


@dataclass(frozen=True)
class Origin:
    """The first that was not finite.

    ``weight``: a parameter ``name``, before the window. ``output``: what the module ``name`` of type ``module`` gave.
    ``loss``: the loss of finite outputs. ``output gradient``, ``weight gradient``: what came back to a module's output
    or to a parameter. ``nothing``: the window is finite. ``unknown``: it was not gone through again. ``ids`` are the
    samples in whose rows it was seen, where it has a row for each, and ``inputs`` those whose inputs or targets are not
    finite themselves.
    """

    kind: Kind
    name: str = ""
    module: str = ""
    ids: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    loss: float | None = None


class _FoundError(Exception):
    def __init__(self, origin: Origin) -> None:
        self.origin = origin


def origin_of(fault: Fault) -> Origin:
    """Return the first that was not finite; of a model that is shared out only which samples were not."""
    if fault.shared:
        return Origin("unknown", inputs=_of_inputs(fault.window))
    return origin(fault.model, fault.task, fault.window, fault.total, fault.layer_seed)


def origin(model: nn.Module, task: Task, window: list[Batch], total: float, layer_seed: int) -> Origin:
    """Go through a window as training does, and return the first that is not finite.

    The model keeps its weights and buffers, and has no gradients afterwards.

    >>> import numpy as np
    >>> from torchwork.losses.criterion import Criterion
    >>> from torchwork.tasks.regression import Regression
    >>> model = nn.Sequential(nn.Linear(1, 1), nn.Tanh())
    >>> batch = Batch(torch.tensor([[1.0], [torch.inf]]), torch.zeros(2, 1), np.array([3, 8]))
    >>> found = origin(model, Regression(Criterion(nn.MSELoss()), ("y",)), [batch], 2.0, 0)
    >>> found.kind, found.name, found.module, found.ids, found.inputs
    ('output', '0', 'Linear', (8,), (8,))
    """
    inputs = _of_inputs(window)
    found = _of_weights(model) or _replayed(model, task, window, total, layer_seed)
    return Origin(found.kind, found.name, found.module, found.ids, inputs, found.loss)


def _of_inputs(window: list[Batch]) -> tuple[int, ...]:
    return tuple(i for batch in window for i in _rows(_columns(batch), batch))


def _of_weights(model: nn.Module) -> Origin | None:
    for name, parameter in model.named_parameters():
        if not _finite(parameter.detach()):
            return Origin("weight", name)
    return None


def _replayed(model: nn.Module, task: Task, window: list[Batch], total: float, layer_seed: int) -> Origin:
    noting = _Noting(task)
    with (
        by_itself(),
        computing_eagerly(model),
        keeping_buffers(model),
        _without_gradients(model),
        _hooks(model, noting),
    ):
        seed_random_layers(layer_seed, window[0].target.device)
        try:
            loss = float(backward(noting, model, window, total))
        except _FoundError as found:
            return found.origin
        for name, parameter in model.named_parameters():  # finite parts may add up to what is not
            if parameter.grad is not None and not _finite(parameter.grad):
                return Origin("weight gradient", name, loss=loss)
        return Origin("nothing", loss=loss)


class _Noting:
    """A task that notes which batch is gone through, and whether its loss is finite."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.batch: Batch

    def weight(self, batch: Batch) -> float:
        return self._task.weight(batch)

    def loss(self, model: nn.Module, batch: Batch, weight: float | None = None) -> Tensor:
        self.batch = batch
        loss = self._task.loss(model, batch, weight)
        if not _finite(loss.detach()):
            raise _FoundError(Origin("loss", loss=loss.item()))
        return loss


@contextmanager
def _without_gradients(model: nn.Module) -> Iterator[None]:
    """Begin and end with no gradients."""
    model.zero_grad()
    try:
        yield
    finally:
        model.zero_grad()


@contextmanager
def _hooks(model: nn.Module, noting: _Noting) -> Iterator[None]:
    """Raise _FoundError at the first output, or gradient, that is not finite."""
    handles: list[RemovableHandle] = []

    def watch_output(name: str, kind: str, tensor: Tensor) -> None:
        if not _finite(tensor.detach()):
            raise _FoundError(Origin("output", name, kind, _rows([tensor.detach()], noting.batch)))
        if tensor.requires_grad:
            batch = noting.batch

            def watch_gradient(gradient: Tensor) -> None:
                if not _finite(gradient):
                    raise _FoundError(Origin("output gradient", name, kind, _rows([gradient], batch)))

            tensor.register_hook(watch_gradient)

    for path, module in model.named_modules():

        def after(module: nn.Module, _: Any, output: Any, name: str = path, kind: str = type(module).__name__) -> None:
            for tensor in _tensors(output):
                watch_output(name, kind, tensor)

        handles.append(module.register_forward_hook(after))
    for path, parameter in model.named_parameters():

        def watch_weight(gradient: Tensor, name: str = path) -> None:
            if not _finite(gradient):
                raise _FoundError(Origin("weight gradient", name))

        if parameter.requires_grad:
            handles.append(parameter.register_hook(watch_weight))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _finite(tensor: Tensor) -> bool:
    tensor = tensor.coalesce().values() if tensor.is_sparse else tensor
    return not (tensor.is_floating_point() or tensor.is_complex()) or bool(torch.isfinite(tensor).all())


def _columns(batch: Batch) -> list[Tensor]:
    return [*_tensors(batch.inputs), batch.target]


def _rows(tensors: list[Tensor], batch: Batch) -> tuple[int, ...]:
    """Return the samples in whose rows one of the tensors is not finite; () where there is no row for each."""
    rows = len(batch.ids)
    wrong = torch.zeros(rows, dtype=torch.bool)
    for tensor in tensors:
        if tensor.is_sparse or not tensor.is_floating_point() or not tensor.ndim or tensor.shape[0] % rows:
            continue
        wrong |= ~torch.isfinite(tensor.detach()).reshape(rows, -1).all(1).cpu()
    return tuple(int(i) for i in batch.ids[wrong.numpy()])
