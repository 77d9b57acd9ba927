"""Updates without the bookkeeping around them: torch's fused kernels, called as its optimizers call them.

``Adam.step`` looks up every parameter and its state anew and sorts them by device and format each time. Where a model
is small that takes several times as long as the kernel, which is the same here, with the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim import optimizer as hooks

from torchwork.optim.several import Optimizers, members, takes_gradients
from torchwork.without_dynamo import without_dynamo


class Stepper:
    """What a loop asks of an optimizer, or of several, at every step.

    Adam, AdamW and SGD with ``fused`` groups are updated directly from the second step on, to the same bits, as long as
    nobody listens: with a hook, a step of one's own, a profiler or a parameter without a gradient it is torch's own
    step.

    >>> layer = torch.nn.Linear(2, 2)
    >>> stepper = Stepper(torch.optim.Adam(layer.parameters(), fused=True))
    >>> for _ in range(3):
    ...     stepper.clear_gradients()
    ...     layer(torch.ones(1, 2)).sum().backward()
    ...     stepper.step()
    """

    def __init__(self, optimizer: Optimizer | Optimizers) -> None:
        self._one_by_one = [_Direct(one) if type(one) in _KERNELS else _Usual(one) for one in members(optimizer)]
        self._plain = all(type(one).zero_grad is Optimizer.zero_grad for one in members(optimizer))
        self._optimizer = optimizer

    def clear_gradients(self) -> None:
        """Take the gradients away: torch's ``zero_grad``, which would take 10 µs to look whether a profiler runs."""
        if not self._plain:
            self._optimizer.zero_grad()
            return
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self) -> None:
        """Make an update from the gradients."""
        for one in self._one_by_one:
            one.step()


class _Usual:
    """One optimizer whose steps are its own."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer

    def step(self) -> None:
        _own_step(self._optimizer)


class _Direct:
    """One optimizer whose kernel is called directly, with what was looked up in a step of its own."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._kernel, self._kept = _KERNELS[type(optimizer)]
        self._found: list[tuple[dict[str, Any], list[Tensor], list[list[Tensor]]]] = []

    def step(self) -> None:
        gradients = self._gradients()
        if gradients is None:
            self._found = []
            with _all_or_none(self._optimizer):
                _own_step(self._optimizer)
            self._found = self._looked_up()
            return
        with torch.no_grad():
            for (group, parameters, states), given in zip(self._found, gradients, strict=True):
                self._kernel(group, parameters, given, states)

    def _gradients(self) -> list[list[Tensor]] | None:
        """Return the gradients of each group; None where the step is to be torch's own."""
        optimizer, groups = self._optimizer, self._optimizer.param_groups
        if len(groups) != len(self._found) or _heard(optimizer):
            return None
        gathered = []
        for group, (known, parameters, states) in zip(groups, self._found, strict=True):
            if group is not known or len(group["params"]) != len(parameters):
                return None
            state = optimizer.state.get(parameters[0], {})
            if any(state.get(name) is not kept[0] for name, kept in zip(self._kept, states, strict=False) if kept):
                return None  # it was loaded or put back
            gradients = [parameter.grad for parameter in parameters]
            for gradient in gradients:
                if gradient is None:
                    return None
            gathered.append(gradients)
        return gathered  # type: ignore[return-value]

    def _looked_up(self) -> list[Any]:
        """Return what the kernel needs of each group; nothing where one is not all of a kind."""
        found: list[Any] = []
        if not getattr(type(self._optimizer).step, "hooked", False):  # somebody's own
            return found
        for group in self._optimizer.param_groups:
            parameters = list(group["params"])
            entries = [self._optimizer.state.get(parameter, {}) for parameter in parameters]
            states = [[entry[name] for entry in entries if entry.get(name) is not None] for name in self._kept]
            kinds = {(parameter.device, parameter.dtype) for parameter in parameters}
            whole = all(len(kept) in (0, len(parameters)) for kept in states)
            if not group.get("fused") or len(kinds) != 1 or not whole or not self._takes(group, states):
                return []
            found.append((group, parameters, states))
        return found

    def _takes(self, group: dict[str, Any], states: list[list[Tensor]]) -> bool:
        if isinstance(group["lr"], Tensor) or group["differentiable"] or group.get("capturable"):
            return False
        if isinstance(self._optimizer, SGD):
            return bool(states[0]) == (group["momentum"] != 0)
        floats = not any(isinstance(beta, Tensor) for beta in group["betas"])
        return floats and all(states[:3]) and bool(states[3]) == group["amsgrad"]


@contextmanager
def _all_or_none(optimizer: Optimizer) -> Iterator[None]:
    """Let SGD do without its fused kernel where some momenta begin and others go on: torch 2.13 fails there."""
    mixed = []
    for group in optimizer.param_groups if isinstance(optimizer, SGD) else ():
        moving = [p for p in group["params"] if p.grad is not None]
        begun = {optimizer.state.get(p, {}).get("momentum_buffer") is not None for p in moving}
        if group["fused"] and group["momentum"] and len(begun) == 2:
            mixed.append(group)
    for group in mixed:
        group["fused"] = False
    try:
        yield
    finally:
        for group in mixed:
            group["fused"] = True


def _own_step(optimizer: Optimizer) -> None:
    with without_dynamo(takes_gradients(optimizer) and not _heard(optimizer)):
        optimizer.step()


def _heard(optimizer: Optimizer) -> bool:
    """Tell whether somebody listens to an optimizer's steps, or has put another in their place."""
    own = vars(optimizer).get("step")  # a schedule of torch puts one there that calls the class's
    return bool(
        (own is not None and getattr(own, "__wrapped__", None) is not type(optimizer).step)
        or optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or hooks._global_optimizer_pre_hooks
        or hooks._global_optimizer_post_hooks
        or torch._C._autograd._profiler_enabled()
    )


def _adam(group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], states: list[list[Tensor]]) -> None:
    beta1, beta2 = group["betas"]
    steps, averages, squares, largest = states
    torch._foreach_add_(steps, 1)
    kernel = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
    kernel(
        parameters,
        gradients,
        averages,
        squares,
        largest,
        steps,
        lr=group["lr"],
        beta1=beta1,
        beta2=beta2,
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=group["amsgrad"],
        maximize=group["maximize"],
    )


def _sgd(group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], states: list[list[Tensor]]) -> None:
    torch._fused_sgd_(
        parameters,
        gradients,
        states[0],
        weight_decay=group["weight_decay"],
        momentum=group["momentum"],
        lr=group["lr"],
        dampening=group["dampening"],
        nesterov=group["nesterov"],
        maximize=group["maximize"],
        is_first_step=False,
    )


# The kernel of each optimizer, and what it keeps of every parameter.
_ADAM = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
_KERNELS: dict[type, tuple[Callable[..., None], tuple[str, ...]]] = {
    Adam: (_adam, _ADAM),
    AdamW: (_adam, _ADAM),
    SGD: (_sgd, ("momentum_buffer",)),
}
