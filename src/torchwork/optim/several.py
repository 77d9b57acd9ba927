"""Several optimizers that are stepped as one: a sparse embedding's beside the one of all the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.optim import Optimizer


class Optimizers:
    """Optimizers with disjoint parameters, in order. Reads as a list of them, and is used as one.

    None may need a closure more than once an update (LBFGS), as the others would see the parameters move.

    >>> a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    >>> both = Optimizers([torch.optim.SGD(a.parameters(), lr=0.1), torch.optim.Adam(b.parameters())])
    >>> [group["lr"] for group in both.param_groups]
    [0.1, 0.001]
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self._optimizers = list(optimizers)

    def __len__(self) -> int:
        return len(self._optimizers)

    def __getitem__(self, index: int) -> Optimizer:
        return self._optimizers[index]

    def __iter__(self) -> Iterator[Optimizer]:
        return iter(self._optimizers)

    def __repr__(self) -> str:
        return f"Optimizers({self._optimizers!r})"

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all, one after the other; the very dicts, so that a change takes effect."""
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    @property
    def state(self) -> dict[torch.Tensor, Any]:
        """The state of every parameter."""
        return {parameter: state for optimizer in self._optimizers for parameter, state in optimizer.state.items()}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all."""
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all, after one call of the closure where there is one, and return what it returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self._optimizers:
            optimizer.step()
        return loss


def members(optimizer: Optimizer | Optimizers) -> list[Optimizer]:
    """Return the optimizers that one or several are made of."""
    return list(optimizer) if isinstance(optimizer, Optimizers) else [optimizer]


def of_torch(kind: object) -> bool:
    """Tell whether a class of optimizers is torch's own.

    >>> of_torch(torch.optim.Adam)
    True
    """
    return isinstance(kind, type) and kind.__module__.startswith("torch.optim.")


def takes_gradients(optimizer: Optimizer | Optimizers) -> bool:
    """Tell whether an optimizer takes the gradients as they are, and so can do without a closure.

    torch's own do, but for LBFGS; somebody else's may want to look several times even where it need not be given one.
    """
    return isinstance(optimizer, Optimizers) or (
        of_torch(type(optimizer)) and not isinstance(optimizer, torch.optim.LBFGS)
    )
