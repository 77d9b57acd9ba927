"""Which layer a parameter belongs to."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

# Called by nobody: their parameters belong to the layer that holds them.
HOLDERS = (nn.ParameterList, nn.ParameterDict)


def owned_parameters(model: nn.Module) -> Iterator[tuple[str, str, nn.Module]]:
    """Yield (full name, name within its layer, layer) of each parameter; shared ones once.

    >>> [(full, own) for full, own, _ in owned_parameters(nn.Sequential(nn.Linear(2, 2, bias=False)))]
    [('0.weight', 'weight')]
    """
    modules = dict(model.named_modules())
    for full, _ in model.named_parameters():
        path, _, own = full.rpartition(".")
        while isinstance(modules[path], HOLDERS) and path:
            path, _, part = path.rpartition(".")
            own = f"{part}.{own}"
        yield full, own, modules[path]
