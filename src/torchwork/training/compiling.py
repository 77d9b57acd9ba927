"""``train.compile``: a model's forward and backward pass by ``torch.compile``, and whether that is worth its time.

What is compiled computes the same numbers but for how sums are rounded. Each shape of a batch is compiled by itself, so
that the numbers do not depend on which shapes came before, and a run that goes on computes what it would have computed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from torchwork.training import precision
from torchwork.training.device import keeping_generators
from torchwork.training.forward import COMPILED, function_of, put_back, replace
from torchwork.types import Finding, InputError, RunError

WORTH_TRYING = 120.0  # seconds of forward and backward passes to come, below which no compilation has paid
SHAPES = 64  # of batches, of which each is compiled by itself; what is beyond them is computed uncompiled
BACKEND = "inductor"


def compile_forward(model: nn.Module) -> None:
    """Have a model's forward pass, and with it the backward pass, compiled when it is first called.

    Parameters, buffers and their names are as before; hooks on modules within the model are not called. On CUDA the
    kernels of both passes become CUDA graphs where the shapes allow it (``mode="reduce-overhead"``); what such a graph
    gives is overwritten by the next step, so that it is copied.

    Raises:
        RunError: when it is called: the model, or this machine, is not up to it.
    """
    on_cuda = any(parameter.device.type == "cuda" for parameter in model.parameters())
    # apart from other models of the process, whose number would decide whether this one is compiled
    how: dict[str, Any] = {"dynamic": False, "isolate_recompiles": True, "recompile_limit": SHAPES}
    how |= {"mode": "reduce-overhead"} if on_cuda else {"backend": BACKEND}
    faster = torch.compile(function_of(model), **how)

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        try:
            found = faster(self, *args, **kwargs)
            return tree_map_only(Tensor, Tensor.clone, found) if on_cuda else found
        except torch._dynamo.exc.TorchDynamoException as error:
            said = str(error).strip().splitlines()[0]
            raise RunError(f"torch.compile fails on this model: {said}. Take train.compile: off") from error

    replace(model, forward, COMPILED)


@contextmanager
def compiled(model: nn.Module, wanted: str) -> Iterator[None]:
    """Compute as `compile_forward` has it where ``wanted`` is on, while inside."""
    with put_back(model):
        if wanted == "on":
            compile_forward(model)
        yield


def check_compiler(device: torch.device) -> None:
    """Refuse to compile where nothing can.

    Raises:
        InputError: there is no C++ compiler, which code for the CPU needs.
    """
    if device.type != "cpu":
        return
    from torch._inductor import cpp_builder, exc

    try:
        cpp_builder.get_cpp_compiler()
    except exc.InvalidCxxCompiler as error:
        message = "torch.compile needs a C++ compiler, and there is none here"
        fix = "install g++, or name one in the environment variable CXX, or take off"
        raise InputError(Finding("no-compiler", "error", "train.compile", message, fix)) from error


def choose(model: nn.Module, loss: Callable[[nn.Module], Tensor], device: torch.device, steps: int) -> tuple[str, str]:
    """Return on where compiling pays within so many steps, else off; and why, in a sentence.

    It is tried only where they take longer than `WORTH_TRYING`: then a copy of the model is compiled, and both take
    turns for a quarter of a second. Torch's generators are left as they were.

    Args:
        model: In any mode.
        loss: The loss of a real batch, from a model in training mode.
        device: Where the model is.
        steps: How many forward and backward passes are to come.
    """
    with keeping_generators(device):
        usual = copy.deepcopy(model).train()
        precision.seconds(usual, loss, device)
        eager = min(precision.seconds(usual, loss, device) for _ in range(3))
        if eager * steps < WORTH_TRYING:
            return "off", f"all forward and backward passes together take about {eager * steps:.3g} s uncompiled"
        other = copy.deepcopy(model).train()
        compile_forward(other)
        try:
            check_compiler(device)
            once = precision.seconds(other, loss, device)
        except InputError as error:
            return "off", error.findings[0].message
        except RunError as error:
            return "off", str(error).partition(". Take")[0]
    found = precision.race(usual, other, loss, device)
    saved = (found.usual - found.other) * steps
    taken = f"{1e3 * found.other:.3g} ms compiled, {1e3 * found.usual:.3g} ms uncompiled, and compiling {once:.3g} s"
    less = f"{saved:.3g} s less" if saved > 0 else f"{-saved:.3g} s more"
    return ("on" if saved > once else "off"), f"a forward and backward pass takes {taken}: {steps} of them take {less}"
