"""One of several processes that train one model: its part of every step, and what all of them agree on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from torchwork import dist
from torchwork.data.moving import moved
from torchwork.optim.direct import Stepper
from torchwork.training.gradient import seed_random_layers
from torchwork.training.interrupt import ASKING, StopRequest
from torchwork.types import Batch, Task

if TYPE_CHECKING:
    from torchwork.training.exchange import Exchange


class Agreement:
    """A wish to stop that all processes grant after the same step, whichever of them was asked; call it to know.

    Calling it asks the others, unless the last step has done so already. ``saves`` says whether one of them wished to
    save after the last step, by its own clock.
    """

    number = len(ASKING) + 1  # of wishes
    signal: int | None = None
    saves: bool = False

    def __init__(self, request: StopRequest, is_time_to_save: Callable[[], bool] = lambda: False) -> None:
        self._request, self._is_time_to_save = request, is_time_to_save
        self._fresh = False

    def wish(self) -> list[float]:
        """Return this process's own wishes as numbers to be summed."""
        return [*(float(self._request.signal == number) for number in ASKING), float(self._is_time_to_save())]

    def hear(self, wishes: Sequence[float]) -> None:
        """Take note of the sums of all wishes."""
        *stops, saves = wishes
        self._fresh, self.saves = True, saves > 0
        if self.signal is None:
            self.signal = next((int(number) for number, asked in zip(ASKING, stops, strict=True) if asked), None)

    def __call__(self) -> bool:
        if not self._fresh:
            self.hear(dist.sums(self.wish()))
        self._fresh = False
        return self.signal is not None


class Training(Protocol):
    """What is stepped."""

    @property
    def stepper(self) -> Stepper: ...
    @property
    def scaler(self) -> GradScaler | None: ...


class Ranks:
    """What a step needs of the other processes.

    Args:
        net: What the batches go through: the model, made ready so that its backward pass averages the gradients over
            the processes (DistributedDataParallel) or adds them up (``fully_shard``).
        apart: A context in which a backward pass keeps its gradients to itself, for all batches of a window but the
            last.
        sharded: Whether each process holds a part of the model only, and the gradients are added up.
        exchange: What adds up the gradients after the backward pass, where that does not do it.
    """

    def __init__(
        self,
        net: nn.Module,
        apart: Callable[[], AbstractContextManager[Any]] = nullcontext,
        *,
        sharded: bool = False,
        exchange: Exchange | None = None,
    ) -> None:
        self.net = net
        self.agreement = Agreement(StopRequest())
        self.sharded = sharded
        self._apart, self._exchange = apart, exchange
        self._times = dist.world() if not sharded and exchange is None else 1
        self._following: list[float] | None = None  # this process's part of the next window's totals, to be told
        self._told: list[float] | None = None  # what all processes told of it

    def announcing(self, task: Task, windows: Iterable[list[Batch]]) -> Iterator[list[Batch]]:
        """Yield windows, each when the next one is there: its totals are told with the loss of the one before."""
        iterator, self._told = iter(windows), None
        window = next(iterator, None)
        while window is not None:
            following = next(iterator, None)
            self._following = None if following is None else _counted(task, following)
            yield window
            window = following

    def totals(self, task: Task, window: Sequence[Batch]) -> tuple[float, int]:
        """Return the weight and the number of samples of a window over all processes."""
        told, self._told = self._told, None
        total, count = dist.sums(_counted(task, window)) if told is None else told
        return total, int(count)

    def gradient(self, state: Training, task: Task, window: Sequence[Batch], total: float, layer_seed: int) -> Tensor:
        """Seed dropout, forget the gradients there were, and back-propagate as `backward`."""
        seed_random_layers(layer_seed, window[0].target.device)
        state.stepper.clear_gradients()
        return self.backward(task, window, total, state.scaler)

    def backward(self, task: Task, window: Sequence[Batch], total: float, scaler: GradScaler | None = None) -> Tensor:
        """Back-propagate this process's share of a window and return the loss of the whole, float64.

        Each batch gives its sum over the ``total`` weight; times the world, where the gradients are averaged over it. A
        batch without ids, of which other processes have the samples, takes part with weight 0.
        """
        shares, last = [], len(window) - 1
        for place, batch in enumerate(window):
            counts = len(batch.ids) > 0
            with nullcontext() if place == last else self._apart(), standing_in(not counts):
                share = task.loss(self.net, batch, total)
                if not counts:
                    share = share * 0
                shares.append(share.detach())
                if place == last and self._exchange is None:  # on its way while the backward pass goes on
                    heard = dist.summing(self._telling(shares))
                whole = share * self._times
                (whole if scaler is None else scaler.scale(whole)).backward()
        return self._hear(heard() if self._exchange is None else self._exchange(self._telling(shares)))

    def _telling(self, shares: list[Tensor]) -> list[float]:
        """Return what this process tells: its share of the loss, its part of the next window's totals, its wishes."""
        following, self._following = self._following, None
        return [float(torch.stack(shares).double().sum()), *(following or ()), *self.agreement.wish()]

    def _hear(self, sums: list[float]) -> Tensor:
        """Take note of what all processes told, and return the loss."""
        loss, *totals = sums[: -Agreement.number]
        self._told = totals or self._told
        self.agreement.hear(sums[-Agreement.number :])
        return torch.tensor(loss, dtype=torch.float64)

    def all_agree(self, good: bool) -> bool:
        """Tell whether something is so on all processes, where each looks at its own part of the model."""
        return not dist.sums([0.0 if good else 1.0])[0] if self.sharded else good

    def window_of_all(self, window: Sequence[Batch]) -> list[Batch]:
        """Return the batches of all processes on the first, in the order of one alone; this one's own elsewhere."""
        device, own = window[0].target.device, [batch for batch in window if len(batch.ids)]
        there = [batch_on(batch, torch.device("cpu")) if len(batch.ids) else None for batch in window]
        found = dist.to_first(there)
        if found is None:
            return own
        return [batch_on(part, device) for batch in zip(*found, strict=True) for part in batch if part is not None]

    def share_weights(self, model: nn.Module) -> None:
        """Give all processes the first one's weights and buffers."""
        for tensor in model.state_dict().values():
            torch.distributed.broadcast(tensor, 0)

    def share_buffers(self, model: nn.Module) -> None:
        """Give all processes the first one's buffers: the running statistics of batch norm, which are its own."""
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)


def _counted(task: Task, window: Sequence[Batch]) -> list[float]:
    """Return the weight and the number of the samples of a window that count on this process."""
    counted = [batch for batch in window if len(batch.ids)]
    return [math.fsum(map(task.weight, counted)), float(sum(len(batch.ids) for batch in counted))]


def batch_on(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device."""
    return Batch(moved(batch.inputs, device), moved(batch.target, device), batch.ids)


# Whether the batch that goes through the model is one of which no sample counts; batch norm over all processes asks.
_standing_in = False
# Whether this process goes through the model without the others.
_by_itself = False


class standing_in:  # noqa: N801 - a context, as torch.no_grad
    """Say that no sample of a batch counts, while inside."""

    def __init__(self, only: bool) -> None:
        self._only = only

    def __enter__(self) -> None:
        global _standing_in
        self._before, _standing_in = _standing_in, self._only

    def __exit__(self, *error: object) -> None:
        global _standing_in
        _standing_in = self._before


def stands_in() -> bool:
    """Whether the batch that goes through the model now is one of which no sample counts."""
    return _standing_in


class by_itself:  # noqa: N801 - a context, as torch.no_grad
    """Go through the model on this process alone, while inside: batch norm does not wait for the others."""

    def __enter__(self) -> None:
        global _by_itself
        self._before, _by_itself = _by_itself, True

    def __exit__(self, *error: object) -> None:
        global _by_itself
        _by_itself = self._before


def goes_alone() -> bool:
    """Whether this process goes through the model without the others."""
    return _by_itself
