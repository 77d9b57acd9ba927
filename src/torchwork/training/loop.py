"""The loop. Read this first: one optimizer update per turn of `updates`, the order of events in `run_epochs`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from torchwork import dist, rng
from torchwork.metrics.direction import higher_is_better
from torchwork.optim.clip import clip_grad_norm
from torchwork.optim.several import takes_gradients
from torchwork.tasks.supervised import Evaluation
from torchwork.training.evaluate import StoppedError, evaluate
from torchwork.training.fault_text import describe
from torchwork.training.micro_batches import cut_backward, gradient_of_ranks, ignore
from torchwork.training.nonfinite import Answer, Fault, Guard, NonFiniteError, NotFinite, Policy, check_weights
from torchwork.training.precision import exhausted, scaled_step
from torchwork.training.state import Progress, State
from torchwork.training.tally import TalliedTask, Tally
from torchwork.types import Batch, Finding, RunError, Step, Task, Watcher


class Batches(Protocol):
    """What the loop needs of a loader: the batches of an epoch, from any of them on."""

    def __len__(self) -> int: ...
    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]: ...


class EvaluatedTask(TalliedTask, Protocol):
    """A task that can also judge an evaluation, and what was added up while training."""

    def metrics(self, evaluation: Evaluation) -> dict[str, float]: ...
    def tallied(self, sums: list[float]) -> dict[str, float]: ...


def windows(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Group batches into windows, the batches of one update. The last window may be shorter."""
    iterator = iter(batches)
    while window := list(islice(iterator, size)):
        yield window


def updates(
    state: State,
    batch_windows: Iterable[list[Batch]],
    task: Task,
    *,
    seed: int = 0,
    clip_norm: float | None = None,
    guard: Guard | None = None,
    on_cut: Callable[[Finding], None] = ignore,
) -> Iterator[Step]:
    """Make one optimizer update per yield, and nothing else.

    A window of one batch back-propagates torch's mean loss unchanged. In a window of several, each batch
    back-propagates its sum over the window's weight, which gives the gradient of the one big batch, however unequal the
    batches are. Random layers (dropout) draw from torch's default generator, seeded for each window by
    (seed, window, rank), so that a run that goes on from here draws the same numbers.

    With ``state.ranks`` the windows are this process's part of those of all, and loss and weight are those of all.

    A window in which no sample counts (all targets ignored), or one that is skipped because its loss or gradients are
    not finite, changes nothing and yields a loss of 0 and a weight of 0. Nor does one change anything whose gradients
    overflow in fp16: the schedule and the averaged weights do not count it, and the scale is lowered.

    Args:
        state: The model in training mode with its optimizer; ``state.progress.index`` is counted up.
        batch_windows: Lists of batches, one list for each update.
        task: Gives each batch's loss and, beforehand, that loss's denominator.
        seed: The run's seed.
        clip_norm: The greatest norm of all gradients together, or None for no limit.
        guard: What is done about a loss or gradients that are not finite; by default it stops.
        on_cut: Told where batches are cut from now on, as memory ran out.

    Raises:
        NonFiniteError: before the update that would have spoilt the weights.
        RunError: memory ran out, and the batches cannot be cut.
    """
    optimizer, progress = state.optimizer, state.progress
    guard = guard or Guard(state)
    closure = _Closure(state, task, clip_norm, guard, on_cut)
    if state.ranks is not None:
        batch_windows = state.ranks.announcing(task, batch_windows)
    for window, layer_seed in zip(batch_windows, _layer_seeds(seed, progress.index + 1), strict=False):
        progress.index += 1
        total, samples = _totals(state, task, window)
        closure.begin(window, total, layer_seed)
        lr = float(optimizer.param_groups[0]["lr"])
        if total > 0:
            guard.before()
            try:
                if _step(state, closure):
                    guard.after(closure.loss)
                    _after_update(state)
            except NotFinite as found:
                guard.answer(found, task, window, total, layer_seed)
                closure.begin(window, 0.0, layer_seed)
        loss = torch.zeros(()) if closure.loss is None else closure.loss
        yield Step(progress.index, loss, closure.total, closure.norm, lr, samples)


def _totals(state: State, task: Task, window: list[Batch]) -> tuple[float, int]:
    """Return the weight and the number of samples of a window, of all processes."""
    if state.ranks is not None:
        return state.ranks.totals(task, window)
    if len(window) == 1:
        return task.weight(window[0]), len(window[0].ids)
    return math.fsum(task.weight(batch) for batch in window), sum(len(batch.ids) for batch in window)


def _step(state: State, closure: _Closure) -> bool:
    """Make an update; say whether it was made, or left out as gradients overflowed fp16."""
    if state.scaler is None:
        if closure.once:
            closure()
            state.stepper.step()
        else:
            _search(state, closure)
        return True
    if scaled_step(state.scaler, state.optimizer, closure):
        return True
    _count_overflow(state)
    return False


def _search(state: State, closure: _Closure) -> None:
    """Let an optimizer evaluate the loss as often as it wants.

    LBFGS's line search divides by the width of a bracket: at a learning rate of 0, where nothing moves, it is left out.
    """
    group = state.optimizer.param_groups[0]
    if group.get("line_search_fn") is not None and group["lr"] == 0:
        closure()
        return
    try:
        state.optimizer.step(closure)  # type: ignore[arg-type]
    except ZeroDivisionError as error:
        progress = state.progress
        message = f"step {progress.index} (epoch {progress.epoch + 1}): the line search of the optimizer divided by 0, "
        message += f"as no step is short enough for it. Take another learning rate than {group['lr']:.3g}, or "
        raise RunError(message + "optimizer.line_search_fn: null") from error


def _after_update(state: State) -> None:
    if state.schedule is not None:
        state.schedule.after_update()
    if state.averaged is not None:
        state.averaged.update()


def _count_overflow(state: State) -> None:
    """Count an update that was left out as gradients overflowed fp16; the scale is smaller from now on."""
    state.progress.overflows += 1
    if state.scaler is not None and exhausted(state.scaler):
        raise NonFiniteError(
            f"the gradients overflow in fp16 at step {state.progress.index} (epoch {state.progress.epoch + 1}) even "
            f"with the loss scaled by {state.scaler.get_scale():.3g}: they are NaN or infinite. A smaller learning "
            "rate, train.clip_norm or train.precision: bf16 may help",
            state.progress.index,
        )


def _clipped(state: State) -> list[Tensor]:
    """Return the trained parameters in the model's order, in which torch's own norm over a model adds up."""
    held = {id(p): p for group in state.optimizer.param_groups for p in group["params"]}
    own = [held.pop(id(p)) for p in state.model.parameters() if id(p) in held]
    return [*own, *held.values()]


class _Closure:
    """What an optimizer calls to have the gradients of a window, and what its first call saw.

    An optimizer may call it more than once (LBFGS): random layers draw the same each time, so that it sees one
    function. ``once`` says that it takes the gradients as they are.
    """

    def __init__(
        self, state: State, task: Task, clip_norm: float | None, guard: Guard, on_cut: Callable[[Finding], None]
    ) -> None:
        self._state, self._task, self._guard, self._on_cut = state, task, guard, on_cut
        self._clip_norm, self._parameters = clip_norm, _clipped(state) if clip_norm is not None else []
        self.once = takes_gradients(state.optimizer)

    def begin(self, window: list[Batch], total: float, layer_seed: int) -> None:
        """Take up a window, of which nothing has been seen."""
        self._window, self.total, self._layer_seed = window, total, layer_seed
        self.loss: Tensor | None = None
        self.norm: Tensor | None = None

    def __call__(self) -> Tensor:
        state = self._state
        loss = self._gradient()
        if state.scaler is not None:
            state.scaler.unscale_(state.optimizer)  # type: ignore[arg-type]
        norm = clip_grad_norm(self._parameters, self._clip_norm) if self._clip_norm is not None else None
        if self.loss is None:
            self.loss, self.norm = loss, norm
            self._guard.check(loss, norm)
        return loss

    def _gradient(self) -> Tensor:
        state, window = self._state, (self._window, self.total, self._layer_seed)
        if state.ranks is None:
            return cut_backward(state, self._task, *window, self._on_cut)
        return gradient_of_ranks(state, state.ranks, self._task, *window)


def _layer_seeds(seed: int, first: int) -> Iterator[int]:
    purpose = f"layers of rank {dist.rank()}" if dist.rank() else "layers"
    while True:  # drawn in blocks: one by one they would cost more than a small step
        block = rng.keys(seed, purpose, np.arange(first, first + 256)) >> np.uint64(32)
        yield from block.tolist()
        first += 256


@dataclass(frozen=True)
class TrainOptions:
    """How long and how to train.

    ``monitor`` names the column of an epoch's row that decides what is best. ``nonfinite`` says what is done about a
    loss or gradients that are not finite, and ``careful`` up to which step updates can be undone (see ``Guard``).
    """

    epochs: int
    seed: int = 0
    accumulate: int = 1
    clip_norm: float | None = None
    patience: int | None = None
    monitor: str = "val_loss"
    nonfinite: Policy = "stop"
    careful: int = 0


def improves(value: float, best: float | None, monitor: str) -> bool:
    """Tell whether a monitored value is better than the best so far; losses and errors the lower, accuracy the higher.

    >>> improves(0.9, 0.8, "val_accuracy"), improves(0.9, 0.8, "val_loss"), improves(float("nan"), 0.8, "val_loss")
    (True, False, False)
    """
    if math.isnan(value):
        return False
    if best is None:
        return True
    return value > best if higher_is_better(monitor) else value < best


def run_epochs(
    state: State,
    task: EvaluatedTask,
    train: Batches,
    val: Batches | None,
    options: TrainOptions,
    *,
    save: Callable[[bool], None] = lambda is_best: None,
    on_evaluation: Callable[[Evaluation], None] = lambda evaluation: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    on_fault: Callable[[Fault, Answer], str] = describe,
    on_cut: Callable[[Finding], None] = ignore,
    watchers: Sequence[Watcher] = (),
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train until the last epoch, until patience ends, or until asked to stop; say whether training is done.

    The order of everything: update -> watch -> (at the end of an epoch) evaluate -> best or stop -> schedule -> save.

    Args:
        state: Where to start from; goes on in the middle of an epoch where ``progress.position`` says so.
        task: Gives losses and judges evaluations.
        train: The batches to learn from.
        val: The batches to judge by after each epoch, or None.
        options: How long and how.
        save: Called at the end of each epoch, with True where it was the best so far, and when asked to stop.
        on_evaluation: Called with what the epoch's row of history is computed from, where there is ``val``; its time
            is the epoch's.
        on_epoch: Called with the epoch's row of history.
        on_fault: Called where a loss, a gradient or weights are not finite, with what is done about it.
        on_cut: Called where batches are cut into micro-batches from now on, as memory ran out.
        watchers: Called with every step.
        should_stop: Asked after every update, and in an evaluation after every batch; an evaluation that was stopped
            is made again when the run goes on.
    """
    progress = state.progress
    guard = Guard(state, options.nonfinite, careful=options.careful, on_fault=on_fault)
    while progress.epoch < options.epochs and not progress.done:
        whole = _train_epoch(state, task, train, options, guard, on_cut, watchers, should_stop)
        check_weights(state)
        started = time.perf_counter()
        row = _epoch_row(state, task, val, on_evaluation, on_cut, should_stop) if whole else None
        if row is None:
            state.settle()  # on every process that trains, as only one of them saves
            state.gather()
            save(False)
            return False
        progress.seconds += time.perf_counter() - started
        row["seconds"], row["waited"] = progress.seconds, progress.waited
        value = row.get(options.monitor)
        progress.monitored = value
        is_best = value is not None and improves(value, progress.best, options.monitor)
        if is_best:
            progress.best, progress.best_epoch, progress.epochs_without_gain = value, progress.epoch + 1, 0
        else:
            progress.epochs_without_gain += 1
        if state.schedule is not None:
            state.schedule.after_epoch(value)
        _begin_next_epoch(state, options)
        progress.history.append(row)
        on_epoch(row)
        state.gather()
        save(is_best)
        if should_stop():
            return progress.done
    return True


def _train_epoch(
    state: State,
    task: TalliedTask,
    train: Batches,
    options: TrainOptions,
    guard: Guard,
    on_cut: Callable[[Finding], None],
    watchers: Sequence[Watcher],
    should_stop: Callable[[], bool],
) -> bool:
    progress, started = state.progress, time.perf_counter()
    before = progress.seconds
    state.model.train()
    consumed, total = progress.position, len(train)
    grouped = windows(_timed(train.batches(progress.epoch, start=consumed), progress), options.accumulate)
    tally = Tally(task, progress, shared=state.ranks is not None)
    state.settle, state.forget = tally.settle, tally.forget
    how: dict[str, Any] = {"seed": options.seed, "clip_norm": options.clip_norm, "guard": guard, "on_cut": on_cut}
    for step in updates(state, grouped, tally, **how):
        tally.taken()
        progress.position = min(progress.position + options.accumulate, total)
        progress.loss_sum += step.loss.item() * step.weight
        progress.loss_weight += step.weight
        progress.seconds = before + time.perf_counter() - started
        for watch in watchers:
            watch(step)
        if should_stop():
            return False
    return True


def _timed(batches: Iterator[Batch], progress: Progress) -> Iterator[Batch]:
    """Yield batches, and add to the progress the time that they were waited for."""
    while True:
        started = time.perf_counter()
        batch = next(batches, None)
        progress.waited += time.perf_counter() - started
        if batch is None:
            return
        yield batch


def _epoch_row(
    state: State,
    task: EvaluatedTask,
    val: Batches | None,
    on_evaluation: Callable[[Evaluation], None],
    on_cut: Callable[[Finding], None],
    should_stop: Callable[[], bool],
) -> dict[str, float] | None:
    """Return the epoch's row of history, or None where the evaluation was asked to stop."""
    progress = state.progress
    state.settle()
    row: dict[str, float] = {
        "epoch": progress.epoch + 1,
        "step": progress.index,
        "lr": float(state.optimizer.param_groups[0]["lr"]),
        "train_loss": progress.loss_sum / progress.loss_weight if progress.loss_weight else 0.0,
    }
    if progress.sums:
        row |= {f"train_{name}": value for name, value in task.tallied(progress.sums).items()}
    if state.scaler is not None:
        row["overflows"] = progress.overflows
    if val is not None:
        try:
            evaluation = evaluate(state.judged, task, val, should_stop, progress, on_cut, state.ranks)
        except StoppedError:
            return None
        if state.ranks is None or dist.is_first():
            row["val_loss"] = evaluation.loss
            row |= {f"val_{name}": value for name, value in task.metrics(evaluation).items()}
            on_evaluation(evaluation)
    return row if state.ranks is None else dist.from_first(row)


def _begin_next_epoch(state: State, options: TrainOptions) -> None:
    progress = state.progress
    progress.epoch += 1
    progress.position, progress.loss_sum, progress.loss_weight, progress.sums = 0, 0.0, 0.0, []
    progress.seconds, progress.waited, progress.overflows = 0.0, 0.0, 0
    progress.done = is_over(progress, options.epochs, options.patience)


def is_over(progress: Progress, epochs: int, patience: int | None) -> bool:
    """Tell whether training is over at the end of an epoch: by the last one, or by patience.

    >>> is_over(Progress(epoch=4), 4, None), is_over(Progress(epoch=4), 6, None)
    (True, False)
    """
    return progress.epoch >= epochs or (patience is not None and progress.epochs_without_gain >= patience)
