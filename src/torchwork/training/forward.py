"""A model's forward pass, replaced by one that computes the same in another way, and put back."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import nn

COMPILED = "torchwork_eager"


def function_of(model: nn.Module) -> Callable[..., Any]:
    """Return a model's forward pass as a function of the model and its inputs, so that a copy may call it too."""
    own = model.forward
    return getattr(own, "__func__", lambda self, *args, **kwargs: own(*args, **kwargs))


def set_forward(model: nn.Module, forward: Any) -> None:
    """Give a model a forward pass of its own, or with None that of its class."""
    model.__dict__.pop("forward", None)
    if forward is not None:
        model.forward = forward


def replace(model: nn.Module, forward: Any, mark: str) -> None:
    """Give a model another forward pass, a function of the model and its inputs, that `without` knows by its mark.

    It becomes a method, so that a copy of the model calls its own.
    """
    setattr(forward, mark, model.__dict__.get("forward"))
    set_forward(model, types.MethodType(forward, model))


@contextmanager
def without(model: nn.Module, mark: str) -> Iterator[bool]:
    """Compute without what was replaced last, while inside, if it has this mark; tell whether it has."""
    now = model.__dict__.get("forward")
    marked = hasattr(now, mark)
    if marked:
        set_forward(model, getattr(now, mark))
    try:
        yield marked
    finally:
        set_forward(model, now)


@contextmanager
def put_back(model: nn.Module) -> Iterator[None]:
    """Leave a model with the forward pass that it came with."""
    before = model.__dict__.get("forward")
    try:
        yield
    finally:
        set_forward(model, before)


def computing_eagerly(model: nn.Module) -> AbstractContextManager[bool]:
    """Compute without what ``compiling.compile_forward`` did, while inside, so that hooks are called."""
    return without(model, COMPILED)
