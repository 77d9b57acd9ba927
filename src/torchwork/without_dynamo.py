"""torch's optimizers and counting of operations without ``torch._dynamo``, whose import takes as long as torch's.

Every optimizer of torch 2.13 imports it when it is built and again at each ``step``, and so does every dispatch mode;
they call two of its functions: ``graph_break``, which does nothing but while something is being compiled, and
``disable``, which keeps a function from being compiled. As long as nothing has imported it, nothing is being compiled.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

NAME = "torch._dynamo"


@contextmanager
def without_dynamo(wanted: bool = True) -> Iterator[None]:
    """Let code of torch's do without ``torch._dynamo``, unless that is imported already.

    Only code of torch's itself may run inside, as for the time being an import of one of its submodules fails.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> with without_dynamo():
    ...     optimizer = torch.optim.SGD([weight], lr=0.5)
    """
    if not wanted or NAME in sys.modules:
        yield
        return
    sys.modules[NAME] = torch._dynamo = _STAND_IN
    try:
        yield
    finally:
        _leave()


def _leave() -> None:
    if sys.modules.get(NAME) is _STAND_IN:
        del sys.modules[NAME], torch._dynamo


class _StandIn(ModuleType):
    """The two functions; whatever else is asked for imports the module itself."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _leave()
        return getattr(importlib.import_module(NAME), name)

    @staticmethod
    def graph_break(*args: Any, **kwargs: Any) -> None:
        """Do nothing."""

    @staticmethod
    def disable(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return the function, which is kept from being compiled from when there is something that compiles."""

        @functools.cache
        def disabled() -> Callable[..., Any]:
            return sys.modules[NAME].disable(function, *args, **kwargs)

        def called(*args: Any, **kwargs: Any) -> Any:
            there = sys.modules.get(NAME, _STAND_IN) is not _STAND_IN
            return (disabled() if there else function)(*args, **kwargs)

        return called


_STAND_IN = _StandIn(NAME)
