"""How many multiply-adds a forward pass takes, layer by layer.

torch's own ``FlopCounterMode`` counts each multiply-add as two floating-point operations, from the shapes of the
operations that are really done: convolutions, matrix products and attention. Recurrent layers run as one operation
that it does not know; theirs follow from their weights: each weight of a matrix is used once a token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from torchwork.without_dynamo import without_dynamo


class Meter:
    """Counts the multiply-adds of a forward pass for each of some layers, without those of layers inside of it."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._layers = layers
        self._counts: Counter[nn.Module] = Counter()

    def of(self, layer: nn.Module) -> int:
        """Return the multiply-adds of a layer in all its calls."""
        return self._counts[layer]

    def run(self, model: nn.Module, inputs: Any, again: Callable[[], None]) -> int | None:
        """Call the model and return the multiply-adds of all of it, or None where it runs only without being counted.

        Args:
            model: Any module.
            inputs: What it is called with.
            again: Called before the second try of a model that cannot be counted.
        """
        try:
            return self._counted(model, inputs)
        except Exception:  # whatever a model raises that torch cannot look into; if it is the model itself, again
            self._counts.clear()
            again()
            model(inputs)
            return None

    def _counted(self, model: nn.Module, inputs: Any) -> int:
        mode = FlopCounterMode(display=False)
        with without_dynamo(), mode:
            torch.zeros(())  # a mode asks for torch._dynamo at the first operation that it sees
        inside: list[int] = []  # of each layer that runs now, the multiply-adds of the layers inside of it
        begun: list[int] = []
        unknown = 0  # of recurrent layers

        def before(layer: nn.Module, _: Any) -> None:
            begun.append(mode.get_total_flops() // 2 + unknown)
            inside.append(0)

        def after(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            nonlocal unknown
            if isinstance(layer, nn.RNNBase):
                tokens = given[0] if given else named["input"]
                unknown += _recurrent(layer, tokens) - (mode.get_total_flops() // 2 + unknown - begun[-1])
            whole = mode.get_total_flops() // 2 + unknown - begun.pop()
            self._counts[layer] += whole - inside.pop()
            if inside:
                inside[-1] += whole

        hooks = [layer.register_forward_pre_hook(before) for layer in self._layers]
        hooks += [layer.register_forward_hook(after, with_kwargs=True) for layer in self._layers]
        try:
            with _in_single_operations(), mode:
                model(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return mode.get_total_flops() // 2 + unknown


def _recurrent(layer: nn.RNNBase, given: Any) -> int:
    """Return the multiply-adds of an RNN, GRU or LSTM: its matrices' weights, once for each token of each sequence."""
    matrices = sum(p.numel() for p in layer.parameters() if p.ndim == 2)
    data = given if isinstance(given, Tensor) else given.data  # a PackedSequence holds the tokens without the padding
    return matrices * (data.numel() // data.shape[-1])


@contextmanager
def _in_single_operations() -> Iterator[None]:
    """Run attention and transformer layers by the operations that they are made of, which are counted."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
