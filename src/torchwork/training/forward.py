"""A model's forward pass, replaced by one that computes the same in another way, and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


def function_of(model: nn.Module) -> Callable[..., Any]:
    """Return a model's forward pass as a function of the model and its inputs, so that a copy may call it too."""
    own = model.forward
    return getattr(own, "__func__", lambda self, *args, **kwargs: own(*args, **kwargs))


def set_forward(model: nn.Module, forward: Any) -> None:
    """Give a model a forward pass of its own, or with None that of its class."""
    model.__dict__.pop("forward", None)
    if forward is not None:
        model.forward = forward


@contextmanager
def computing_eagerly(model: nn.Module) -> Iterator[None]:
    """Compute without what ``compiling.compile_forward`` did, while inside, so that hooks are called."""
    now = model.__dict__.get("forward")
    is_compiled = hasattr(now, "torchwork_eager")
    if is_compiled:
        set_forward(model, now.torchwork_eager)  # type: ignore[union-attr]
    try:
        yield
    finally:
        if is_compiled:
            set_forward(model, now)
