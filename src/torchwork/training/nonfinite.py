"""A loss, a gradient or weights that are not finite: found before they spoil anything, and what is done then."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from torchwork import dist, shards
from torchwork.optim.several import members
from torchwork.training.diagnosis import Answer, Fault, What
from torchwork.training.fault_text import describe, place, short
from torchwork.training.state import State
from torchwork.types import Batch, RunError, Task

Policy = Literal["stop", "skip", "rollback"]

IN_A_ROW = 3  # windows that may be skipped one after the other


class NonFiniteError(RunError):
    """A loss, a gradient or a weight is NaN or infinite at step ``index``. What was saved is from before."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class NotFinite(Exception):  # noqa: N818 (it never leaves the loop)
    """What of a window is not finite, raised where it is found."""

    def __init__(self, what: What, loss: float) -> None:
        super().__init__(what)
        self.what: What = what
        self.loss = loss


class Guard:
    """Looks at every window's loss and gradients before the update that they would spoil, and undoes what it can.

    Gradients are looked at by one fused kernel, exactly (a norm would overflow where they do not); where they are
    clipped, the norm tells. An optimizer that goes through the window several times in an update (LBFGS) is looked at
    before, and its weights after it.

    Args:
        state: What is trained.
        policy: ``stop``; ``skip``: such a window changes nothing, at most 3 in a row; ``rollback``: raise, so that the
            caller goes back to a checkpoint, from where such windows are skipped.
        careful: Up to this window everything is copied before an update and can be undone after it: a rolled-back run
            comes here a second time.
        on_fault: Called with a fault and what is done about it; what it returns is the error's text.
    """

    def __init__(
        self,
        state: State,
        policy: Policy = "stop",
        *,
        careful: int = 0,
        on_fault: Callable[[Fault, Answer], str] = describe,
    ) -> None:
        self._state, self._policy, self._careful, self._on_fault = state, policy, careful, on_fault
        self._parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
        self._finite = Finite(self._parameters)
        self._repeats = any(isinstance(one, torch.optim.LBFGS) for one in members(state.optimizer))
        self._copy: _Copy | None = None

    def before(self) -> None:
        """Keep what the next window may spoil, as far as the policy needs it."""
        whole = self._repeats or self._state.progress.index <= self._careful
        if whole or self._policy == "skip":
            self._copy = _Copy(self._state, self._parameters if whole else ())

    def check(self, loss: Tensor, norm: Tensor | None) -> None:
        """Look at a loss and the gradients, or at their norm where there is one.

        Raises:
            NotFinite: they are not finite.
        """
        value = loss.item()
        if not math.isfinite(value):
            raise NotFinite("loss", value)
        if self._state.scaler is not None:  # which looks at the gradients itself, and takes a smaller scale
            return
        if not self._all(self._finite() if norm is None else math.isfinite(norm.item())):
            raise NotFinite("gradient", value)

    def after(self, loss: Tensor | None) -> None:
        """Look at the weights, where everything can be undone.

        Raises:
            NotFinite: the update spoilt them.
        """
        if self._copy is not None and self._copy.whole and not self._all(all_finite(self._parameters)):
            raise NotFinite("weights", math.nan if loss is None else loss.item())

    def answer(self, found: NotFinite, task: Task, window: list[Batch], total: float, layer_seed: int) -> None:
        """Undo the window, and note that it is skipped; or raise where it may not be.

        Raises:
            NonFiniteError: the policy is to stop, too many were skipped in a row, or the weights were spoilt before.
        """
        if self._copy is not None:
            self._copy.put_back()
        self._state.stepper.clear_gradients()
        progress, ranks = self._state.progress, self._state.ranks
        numbers = (progress.index, progress.epoch, found.what, found.loss)
        window = window if ranks is None else ranks.window_of_all(window)
        shared = ranks is not None and ranks.sharded
        fault = Fault(*numbers, window, total, layer_seed, self._state.model, task, shared)
        before = range(progress.index - IN_A_ROW, progress.index)
        too_many = set(before) <= set(progress.skipped[-IN_A_ROW:])
        answer: Answer = "skip"
        if self._policy == "rollback" and progress.index > self._careful:
            answer = "rollback"
        elif self._policy == "stop" or too_many or not self._all(all_finite(self._parameters)):
            answer = "stop"
        if ranks is None or dist.is_first():
            said = self._on_fault(fault, answer) + f". {IN_A_ROW} windows before it were skipped" * too_many
        else:  # the first one tells all that there is to tell
            said = f"{place(fault)}: {short(fault)}"
        self._state.forget()
        if answer != "skip":
            raise NonFiniteError(said, progress.index)
        progress.skipped.append(progress.index)

    def _all(self, good: bool) -> bool:
        """Tell whether it is so on all processes, where each holds a part of the model."""
        return good if self._state.ranks is None else self._state.ranks.all_agree(good)


class Finite:
    """Tells whether the gradients of parameters are finite, which it leaves as they are.

    One call of the kernel that torch's own ``GradScaler`` uses for each device and dtype: 2 µs for four tensors.

    >>> x = torch.zeros(2, requires_grad=True)
    >>> x.grad = torch.tensor([3e38, -3e38])
    >>> finite = Finite([x])
    >>> finite()
    True
    >>> x.grad[0] = torch.nan
    >>> finite()
    False
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self._groups: dict[tuple[Any, Any], tuple[list[Tensor], Tensor, Tensor]] = {}
        self._shared = False
        for parameter in parameters:
            self._shared = self._shared or shards.is_shared(parameter)
            device = parameter.device
            if (device, parameter.dtype) not in self._groups:
                self._groups[device, parameter.dtype] = (
                    [],
                    torch.zeros(1, device=device),
                    torch.ones(1, device=device),
                )
            self._groups[device, parameter.dtype][0].append(parameter)

    def __call__(self) -> bool:
        """Look at what is in ``.grad`` now."""
        for parameters, found, one in self._groups.values():
            try:
                gradients = [p.grad for p in parameters if p.grad is not None]
                if self._shared:
                    gradients = [shards.own_part(gradient) for gradient in gradients]
                torch._amp_foreach_non_finite_check_and_unscale_(gradients, found, one)
            except RuntimeError:  # sparse or complex ones
                if not all_finite([_values(p) for p in parameters if p.grad is not None]):
                    return False
            if found.item():
                found.zero_()
                return False
        return True


def _values(parameter: Tensor) -> Tensor:
    """Return the numbers of a gradient; entries of a sparse one that are of the same row count as their sum."""
    gradient = parameter.grad
    assert gradient is not None
    if not gradient.is_sparse:
        return gradient
    parameter.grad = gradient.coalesce()  # the optimizer would do it, too
    return parameter.grad.values()


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Tell whether every number of these tensors is finite."""
    return all(bool(torch.isfinite(shards.own_part(tensor.detach())).all()) for tensor in tensors)


class _Copy:
    """What an update changes, as it was before: a model's buffers, and with ``parameters`` these and their state."""

    def __init__(self, state: State, parameters: Iterable[Tensor]) -> None:
        self._model, self._optimizers = state.model, members(state.optimizer)
        self._parameters = [(p, p.detach().clone()) for p in parameters]
        self.whole = bool(self._parameters)
        self._buffers = {name: buffer.clone() for name, buffer in state.model.named_buffers()}
        self._states = [
            {p: {key: _kept(value) for key, value in own.items()} for p, own in one.state.items()}
            for one in (self._optimizers if self.whole else ())
        ]

    @torch.no_grad()
    def put_back(self) -> None:
        for parameter, before in self._parameters:
            parameter.copy_(before)
        for name, buffer in self._model.named_buffers():
            if name in self._buffers:
                buffer.copy_(self._buffers[name])
        for one, states in zip(self._optimizers, self._states, strict=False):
            one.state.clear()
            one.state.update(states)


def _kept(value: Any) -> Any:
    """Return a copy of a part of an optimizer's state; what is in lists, LBFGS replaces and never changes."""
    if isinstance(value, Tensor):
        return value.clone()
    return list(value) if isinstance(value, list) else value


def spoilt(state: State) -> str | None:
    """Return the name of a trained parameter that holds NaN or infinity, or None; of several processes' parts, too."""
    trained = {id(p) for group in state.optimizer.param_groups for p in group["params"]}
    named = ((name, p) for name, p in state.model.named_parameters() if id(p) in trained)
    found = next((name for name, parameter in named if not all_finite([parameter])), None)
    if state.ranks is not None and state.ranks.sharded:
        return next((name for name in dist.everyone(found) if name is not None), None)
    return found


def check_weights(state: State) -> None:
    """Refuse to save what an update spoilt whose loss and gradients were still finite: a rate too large.

    Raises:
        NonFiniteError: a trained parameter holds NaN or infinity.
    """
    name = spoilt(state)
    if name is not None:
        progress = state.progress
        message = f"{name} became NaN or infinite by step {progress.index} (epoch {progress.epoch + 1}). These weights "
        message += "were not saved. A smaller learning rate or train.clip_norm may help"
        raise NonFiniteError(message, progress.index)
