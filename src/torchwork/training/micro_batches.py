"""Where memory runs out: batches cut into micro-batches, with the same gradients, as long as that is possible."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from torchwork import dist
from torchwork.tasks.supervised import Terms
from torchwork.training.buffers import keeping_buffers
from torchwork.training.gradient import backward, seed_random_layers
from torchwork.training.ranks import Ranks
from torchwork.training.state import Progress, State
from torchwork.types import Batch, Finding, RunError, Task

# What allocators say whose errors have no type of their own: the CPU's, cuBLAS's, cuDNN's, MPS's.
_SAID = (
    "defaultcpuallocator: can't allocate memory",
    "not enough memory: you tried to allocate",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "out of memory",
)
_TRIED = (4, 2)  # samples whose loss is compared, whole and cut; the fewer where memory does not take the more
_TOLERANCE = 0.01  # far above rounding, also of 16 bits, and far below what two samples more or less would do


def ran_out(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out.

    >>> ran_out(MemoryError()), ran_out(ValueError("out of memory"))
    (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID)


def cut(batch: Batch, parts: int) -> list[Batch]:
    """Return a batch in so many parts of nearly equal sizes, or as many as it has samples.

    >>> batch = Batch(torch.arange(5), torch.arange(5), torch.arange(5).numpy())
    >>> [part.ids.tolist() for part in cut(batch, 2)]
    [[0, 1], [2, 3, 4]]
    """
    number = len(batch.ids)
    parts = min(parts, number)
    if parts <= 1:
        return [batch]
    ends = [number * place // parts for place in range(parts + 1)]
    return [_rows(batch, slice(*rows)) for rows in pairwise(ends)]


def _rows(batch: Batch, rows: slice) -> Batch:
    inputs = batch.inputs
    if isinstance(inputs, dict):
        return Batch({name: part[rows] for name, part in inputs.items()}, batch.target[rows], batch.ids[rows])
    return Batch(inputs[rows], batch.target[rows], batch.ids[rows])


def ignore(found: Finding) -> None:
    """Tell nobody."""


def cut_backward(
    state: State,
    task: Task,
    window: list[Batch],
    total: float,
    layer_seed: int,
    on_cut: Callable[[Finding], None] = ignore,
) -> Tensor:
    """Back-propagate a window's mean loss in as many micro-batches as the state says, more where memory runs out.

    Each time that it does the number is doubled, and kept in the state.

    Raises:
        RunError: memory ran out with one sample at a time, or the model or its loss do not allow to cut.
    """
    progress, device = state.progress, window[0].target.device
    while True:
        seed_random_layers(layer_seed, device)
        state.stepper.clear_gradients()
        try:
            return backward(task, state.model, _parts(window, progress.micro_batches), total, state.scaler)
        except (RuntimeError, MemoryError) as error:
            said = _shortage(error)
        state.stepper.clear_gradients()  # behind the block, where the error is gone, and what its frames held
        state.forget()
        _release(device)
        at = f"memory ran out at step {progress.index}"
        _check_size(window, progress.micro_batches, f"{at} ({said})")
        if progress.micro_batches == 1:
            _check_meaning(state.model, task, window, f"{at} ({said})")
            state.forget()
        progress.micro_batches *= 2
        on_cut(_finding(at, window, progress.micro_batches))


def gradient_of_ranks(
    state: State, ranks: Ranks, task: Task, window: list[Batch], total: float, layer_seed: int
) -> Tensor:
    """Back-propagate this process's part of a window of several processes, which all have to go through at once.

    Raises:
        RunError: memory ran out, on this process: the others end with it.
    """
    try:
        return ranks.gradient(state, task, window, total, layer_seed)
    except (RuntimeError, MemoryError) as error:
        said = _shortage(error)
    raise short_of_memory(f"at step {state.progress.index}", said)


def short_of_memory(at: str, said: str) -> RunError:
    """Return the error of a process that cannot cut its batches, as the others do not."""
    fix = "several processes do not cut their batches: take a smaller data.batch_size, or more processes"
    return RunError(f"rank {dist.rank()} ran out of memory {at} ({said}). {fix}")


def evaluate_whole(model: nn.Module, task: Any, batch: Batch) -> Terms:
    """Return what `cut_evaluation` does, of a model which all processes must go through equally often.

    Raises:
        RunError: memory ran out, on this process: the others end with it.
    """
    try:
        return tuple(term.cpu() for term in task.evaluate_batch(model, batch))
    except (RuntimeError, MemoryError) as error:
        said = _shortage(error)
    raise short_of_memory("in an evaluation", said)


def cut_evaluation(
    model: nn.Module, task: Any, batch: Batch, progress: Progress, on_cut: Callable[[Finding], None] = ignore
) -> Terms:
    """Return outputs, targets, values and weights of a batch, on the CPU; in micro-batches where memory runs out.

    An evaluated sample knows nothing of the others in its batch, so that this changes no more than how sums round.

    Raises:
        RunError: memory ran out with one sample at a time, or triplets are mined in the batch.
    """
    while True:
        try:
            parts = cut(batch, progress.evaluation_micro_batches)
            terms = [[term.cpu() for term in task.evaluate_batch(model, part)] for part in parts]
            return tuple(torch.cat(column) if len(column) > 1 else column[0] for column in zip(*terms, strict=True))  # type: ignore[return-value]
        except (RuntimeError, MemoryError) as error:
            said = _shortage(error)
        _release(batch.target.device)
        at = "memory ran out in an evaluation"
        _check_size([batch], progress.evaluation_micro_batches, f"{at} ({said})")
        if reason := _of_weights(task, batch):
            raise _refusal(f"{at} ({said})", [reason])
        progress.evaluation_micro_batches *= 2
        on_cut(_finding(at, [batch], progress.evaluation_micro_batches))


def _shortage(error: BaseException) -> str:
    """Return what an error says that tells of too little memory; raise any other."""
    if not ran_out(error):
        raise error
    return (str(error) or type(error).__name__).splitlines()[0]


def _parts(window: list[Batch], parts: int) -> list[Batch]:
    return window if parts == 1 else [part for batch in window for part in cut(batch, parts)]


def _release(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _finding(at: str, window: list[Batch], parts: int) -> Finding:
    largest = max(len(batch.ids) for batch in window)
    message = f"{at}: from here on each batch of {largest} is gone through in {min(parts, largest)} micro-batches"
    return Finding("micro-batches", "warning", "data.batch_size", message, "the results are the same but for rounding")


def _check_size(window: list[Batch], parts: int, at: str) -> None:
    if max(len(batch.ids) for batch in window) <= parts:
        raise RunError(f"{at}, with one sample at a time; take smaller samples or a smaller model")


def _refusal(at: str, reasons: list[str]) -> RunError:
    why = "; ".join(reasons)
    message = f"{at}, and a batch cannot be cut without changing what is learnt: {why}. Take a smaller data.batch_size"
    return RunError(message)


def _check_meaning(model: nn.Module, task: Task, window: list[Batch], at: str) -> None:
    """Refuse to cut where a sample's part in the loss depends on the others in its batch, or on chance.

    Raises:
        RunError: with every reason.
    """
    named = [(name or "the model", module) for name, module in model.named_modules() if module.training]
    norms = [name for name, module in named if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    dropouts = [name for name, module in named if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0]
    reasons = []
    if norms:
        reasons.append(f"batch normalisation ({_some(norms)}) takes its statistics from the whole batch")
    if dropouts:
        reasons.append(f"dropout ({_some(dropouts)}) draws its masks for the whole batch")
    reasons += filter(None, [_of_weights(task, batch) for batch in window][:1])
    if not reasons:
        reasons = _tried(model, task, window[0])
    if reasons:
        raise _refusal(at, reasons)


def _of_weights(task: Task, batch: Batch) -> str | None:
    """Return why a loss is not the sum of its parts' losses, where its denominator tells."""
    whole, parts = task.weight(batch), sum(task.weight(part) for part in cut(batch, 2))
    if abs(whole - parts) <= 1e-9 * abs(whole):
        return None
    return "its loss compares the samples of a batch with each other"


def _tried(model: nn.Module, task: Task, batch: Batch) -> list[str]:
    """Return what a few samples show that the model's layers do not: whole and cut they must come out the same."""
    for most in _TRIED:
        few = cut(batch, -(-len(batch.ids) // most))[-1]
        if len(few.ids) < 2 or not task.weight(few):
            return []
        try:
            with keeping_buffers(model):
                return _compared(model, task, few)
        except (RuntimeError, MemoryError) as error:
            _shortage(error)
    return []  # there is room for one sample alone: what the layers are must do


@torch.no_grad()
def _compared(model: nn.Module, task: Task, few: Batch) -> list[str]:
    before = {"": _generators(few), **{name: buffer.clone() for name, buffer in model.named_buffers()}}
    total, halves = task.weight(few), cut(few, 2)
    whole = float(task.loss(model, few, total))
    if not torch.equal(before[""], _generators(few)):
        return ["the model draws random numbers in its forward pass"]
    changed = [name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])]
    if changed:
        return [f"{_some(changed)} changes in the forward pass"]
    parts = sum(float(task.loss(model, half, total)) for half in halves)
    if abs(whole - parts) > _TOLERANCE * max(abs(whole), abs(parts)):
        number = "two" if len(few.ids) == 2 else str(len(few.ids))
        found = f"of {number} samples the loss is {whole:.4g}, in two parts {parts:.4g}"
        return [f"model or loss treat the samples of a batch together: {found}"]
    return []


def _generators(batch: Batch) -> Tensor:
    device = batch.target.device
    own = [torch.default_generator.get_state()]
    if device.type == "cuda":
        own.append(torch.cuda.get_rng_state(device))
    return torch.cat(own)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
