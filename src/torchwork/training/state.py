"""All that a run carries from one update to the next, and so all that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from torchwork.optim.direct import Stepper
from torchwork.optim.several import Optimizers
from torchwork.training.averaging import AveragedWeights

if TYPE_CHECKING:
    from torchwork.training.ranks import Ranks


class Schedule(Protocol):
    """What changes learning rates: told after every update and after every epoch's evaluation."""

    @property
    def needs_metric(self) -> bool: ...
    def after_update(self) -> None: ...
    def after_epoch(self, metric: float | None) -> None: ...
    def catch_up(self, updates: int, metrics: Sequence[float | None]) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass
class Progress:
    """Where a run stands, in plain numbers.

    ``index`` counts windows consumed (updates, windows that no sample counted in, and those ``skipped`` as a loss or
    gradient was not finite, whose indices are listed); ``epoch`` counts epochs completed; ``position`` counts the
    batches consumed of the running epoch. ``loss_sum`` and ``loss_weight`` add up
    the running epoch's training loss, ``sums`` what its training metrics are made of, ``seconds`` its time, and
    ``waited`` that part of it in which training waited for data; ``overflows`` counts those of its updates that were
    left out as gradients overflowed fp16. ``monitored`` is the value by which the last whole epoch was judged, ``best``
    the best such value so far, reached at ``best_epoch``, and ``epochs_without_gain`` counts from there. ``done`` says
    that training is over, by its last epoch or by patience. ``history`` holds the row of each epoch completed. Batches
    of training, and of evaluation, are gone through in so many ``micro_batches`` each: in 1 until memory ran out.
    """

    index: int = 0
    epoch: int = 0
    position: int = 0
    loss_sum: float = 0.0
    loss_weight: float = 0.0
    sums: list[float] = field(default_factory=list)
    seconds: float = 0.0
    waited: float = 0.0
    overflows: int = 0
    monitored: float | None = None
    best: float | None = None
    best_epoch: int | None = None
    epochs_without_gain: int = 0
    done: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    micro_batches: int = 1
    evaluation_micro_batches: int = 1


@dataclass(frozen=True)
class Gathered:
    """Model and optimizer as one process would have them, of update ``index``, where several hold parts of them."""

    index: int
    model: dict[str, Tensor]
    optimizer: tuple[dict[str, Tensor], dict[str, Any]]


@dataclass
class State:
    """A model on its way, with its optimizer, its schedule and the progress made.

    ``ranks`` is there where other processes train it too.
    ``settle`` brings the progress up to date where the loop holds sums back; called before the progress is kept.
    ``gather`` brings together what each of several processes holds a part of, which all of them call before the state
    is kept; the first has it in ``gathered`` then.
    ``forget`` drops what was noted of the window at hand, which is gone through again or not at all.
    ``scaler`` is there in fp16, ``averaged`` where the weights are averaged.
    """

    model: nn.Module
    optimizer: Optimizer | Optimizers
    schedule: Schedule | None = None
    progress: Progress = field(default_factory=Progress)
    settle: Callable[[], None] = lambda: None
    gather: Callable[[], None] = lambda: None
    gathered: Gathered | None = None
    forget: Callable[[], None] = lambda: None
    ranks: Ranks | None = None
    scaler: GradScaler | None = None
    averaged: AveragedWeights | None = None

    @cached_property
    def stepper(self) -> Stepper:
        """The optimizer as a loop uses it."""
        return Stepper(self.optimizer)

    @property
    def judged(self) -> nn.Module:
        """The model that is evaluated and kept as the best: with the averaged weights where there are such."""
        return self.model if self.averaged is None else self.averaged.model
