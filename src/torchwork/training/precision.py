"""The floating-point format that a model computes in: its own, or bf16 or fp16 for the forward pass.

In bf16 and fp16 weights, gradients, optimizer, losses and metrics stay float32. Only the model's forward pass, and with
it the backward pass, runs under ``torch.autocast``, which takes the low format where it is fast and safe (matrix
products, convolutions) and float32 where it is not; what the model returns is float32 again.

fp16 has 5 bits of exponent, so that small gradients would vanish: the loss is multiplied by a scale before the backward
pass and the gradients are divided by it afterwards, by ``torch.amp.GradScaler`` (Micikevicius et al., "Mixed Precision
Training", ICLR 2018). Where a gradient overflows, the update is left out and the scale is halved; after 2000 updates
without that it is doubled. bf16 has float32's range and needs none of this.
"""

from __future__ import annotations

import copy
import functools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.amp.autocast_mode import is_autocast_available
from torch.amp.grad_scaler import GradScaler

from torchwork.training.device import keeping_generators
from torchwork.training.forward import function_of, put_back, replace, without
from torchwork.training.nonfinite import NotFinite
from torchwork.types import Finding, InputError

DTYPES = {"fp32": torch.float32, "fp64": torch.float64}  # of weights and inputs; float32 in all others
LOWER = {"bf16": torch.bfloat16, "fp16": torch.float16}
SMALLEST_SCALE = 2.0**-13  # the scale begins at 2**16: nothing but NaN or infinity overflows 29 times in a row
PAYS = 1.1  # times as fast: for less nobody gives up sixteen of twenty-four bits
PROBE_SECONDS = 0.25
PROBE_PAIRS = 3
_LOWERED = "torchwork_before"


def dtype(precision: str) -> torch.dtype:
    """Return the format of weights and inputs.

    >>> dtype("bf16"), dtype("fp64")
    (torch.float32, torch.float64)
    """
    return DTYPES.get(precision, torch.float32)


def check(precision: str, device: torch.device, where: str = "train.precision") -> None:
    """Refuse a precision that a device does not have.

    Raises:
        InputError: it has it not, or so slowly that it is of no use.

    >>> check("bf16", torch.device("cpu"))
    """
    message = ""
    if precision == "fp16" and device.type == "cpu":
        message, fix = "fp16 takes a CPU about ten times as long as fp32", "take bf16, which needs no scaler, or auto"
    elif precision == "fp64" and device.type == "mps":
        message, fix = "MPS has no float64", "take fp32, or device: cpu"
    elif precision == "bf16" and device.type == "cuda":
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                message, fix = f"{torch.cuda.get_device_name()} has no bf16", "take fp16 or fp32"
    elif precision in LOWER and not is_autocast_available(device.type):
        message, fix = f"torch has no autocast for {device.type}", "take fp32"
    if message:
        raise InputError(Finding("no-precision", "error", where, message, fix))


def compute_in(model: nn.Module, precision: str) -> None:
    """Make a model's forward pass run under autocast, wherever it is called from; what it returns is float32.

    Copies of the model (``copy.deepcopy``) do so too. Parameters, buffers and their names are as before. Any precision
    but bf16 and fp16 leaves the model as it is.

    >>> model = nn.Linear(2, 1)
    >>> compute_in(model, "bf16")
    >>> model(torch.tensor([[1 / 3, 0.0]])).dtype
    torch.float32
    """
    lower = LOWER.get(precision)
    if lower is None:
        return
    inner = function_of(model)

    @functools.wraps(inner)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        device = next((p.device.type for p in self.parameters()), "cpu")
        with torch.autocast(device, lower):
            found = inner(self, *args, **kwargs)
        return in_float32(found)

    replace(model, forward, _LOWERED)


@contextmanager
def computing_in(model: nn.Module, precision: str) -> Iterator[None]:
    """Compute as `compute_in` while inside."""
    with put_back(model):
        compute_in(model, precision)
        yield


def computing_as_built(model: nn.Module) -> AbstractContextManager[bool]:
    """Compute without what `compute_in` did, while inside; tell whether it did anything."""
    return without(model, _LOWERED)


def in_float32(found: Any) -> Any:
    """Return tensors of bf16 and fp16 as float32, also those in tuples, lists and dicts; anything else as it is.

    >>> in_float32((torch.zeros(1, dtype=torch.bfloat16), None))
    (tensor([0.]), None)
    """
    if isinstance(found, Tensor):
        return found.float() if found.dtype in LOWER.values() else found
    if isinstance(found, dict):
        return type(found)((key, in_float32(value)) for key, value in found.items())
    if isinstance(found, tuple) and hasattr(found, "_fields"):
        return type(found)(*map(in_float32, found))
    return type(found)(map(in_float32, found)) if isinstance(found, tuple | list) else found


def scaler(precision: str, device: torch.device) -> GradScaler | None:
    """Return the gradient scaler that a precision needs, or None."""
    return GradScaler(device.type) if precision == "fp16" else None


def scaled_step(scaler: GradScaler, optimizer: Any, closure: Callable[[], Tensor]) -> bool:
    """Make an update with a scaler; say whether it was made, or left out as gradients overflowed.

    Several optimizers are stepped together or not at all.

    Args:
        scaler: Its scale is lowered where gradients overflowed.
        optimizer: One or several; none that calls its closure more than once.
        closure: Computes the gradients of the scaled loss and has the scaler unscale them, before any NotFinite.
    """
    try:
        closure()
    except NotFinite:
        scaler.update()  # so that it is ready for another update
        raise
    # the scaler itself leaves the step out: torch 2.13's fused SGD moves its momentum although gradients overflowed
    optimizer._step_supports_amp_scaling = False
    scaler.step(optimizer)
    scale = scaler.get_scale()
    scaler.update()
    return scaler.get_scale() >= scale


def exhausted(scaler: GradScaler) -> bool:
    """Tell whether the scale is so small that not the format but the loss is at fault for what overflows."""
    return scaler.get_scale() < SMALLEST_SCALE


class Trial(NamedTuple):
    """What a trial found: median seconds of a forward and backward pass both ways, and the median of their ratios."""

    usual: float
    other: float
    ratio: float
    names: tuple[str, str] = ("in fp32", "in bf16")

    @property
    def pays(self) -> bool:
        """Whether the other way is faster by more than a little."""
        return self.ratio >= PAYS

    def __str__(self) -> str:
        usual, other = self.names
        timed = (
            f"a forward and backward pass takes {1e3 * self.other:.3g} ms {other}, {1e3 * self.usual:.3g} ms {usual}"
        )
        return f"{timed}, {self.ratio:.2f} times as fast, and it is taken from {PAYS} times on"


def choose(model: nn.Module, loss: Callable[[nn.Module], Tensor], device: torch.device) -> tuple[str, str]:
    """Return bf16 where it pays for this model on this device, else fp32; and why, in a sentence.

    Forward and backward passes in both formats take turns for a quarter of a second, three of each at least. They are
    made on a copy of the model, and torch's generators are left as they were.

    Args:
        model: In float32; any mode.
        loss: The loss of a real batch, from a model in training mode.
        device: Where the model is.
    """
    try:
        check("bf16", device)
        found = _try_out(model, loss, device)
    except InputError as error:
        return "fp32", error.findings[0].message
    except (RuntimeError, NotImplementedError) as error:  # of a layer that has no kernel for bf16, or of memory
        return "fp32", f"bf16 fails on this model: {str(error).splitlines()[0]}"
    return ("bf16" if found.pays else "fp32"), str(found)


def choose_memory_format(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], device: torch.device
) -> tuple[str, str]:
    """Return channels_last where it pays for this model on this device, else contiguous; and why, in a sentence.

    As `choose`; only weights of 2-d convolutions have such a format.
    """
    if not any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules()):
        return "contiguous", "the model has no 2-d convolutions"
    usual = copy.deepcopy(model).train()
    other = copy.deepcopy(model).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        found = race(usual, other, loss, device)._replace(names=("contiguous", "in channels_last"))
    except RuntimeError as error:  # of a view that only contiguous tensors allow, or of memory
        return "contiguous", f"channels_last fails on this model: {str(error).splitlines()[0]}"
    return ("channels_last" if found.pays else "contiguous"), str(found)


def _try_out(model: nn.Module, loss: Callable[[nn.Module], Tensor], device: torch.device) -> Trial:
    whole = copy.deepcopy(model).train()
    lowered = copy.copy(whole)  # the same parameters
    compute_in(lowered, "bf16")
    return race(whole, lowered, loss, device)


def race(usual: nn.Module, other: nn.Module, loss: Callable[[nn.Module], Tensor], device: torch.device) -> Trial:
    """Let two forms of a model take turns for a quarter of a second; torch's generators are left as they were."""
    with keeping_generators(device):
        seconds(usual, loss, device), seconds(other, loss, device)  # the first of each looks for its kernels
        pairs: list[tuple[float, float]] = []
        end = time.perf_counter() + PROBE_SECONDS
        while len(pairs) < PROBE_PAIRS or time.perf_counter() < end:
            pairs.append((seconds(usual, loss, device), seconds(other, loss, device)))
    one, two = zip(*pairs, strict=True)
    return Trial(statistics.median(one), statistics.median(two), statistics.median(a / b for a, b in pairs))


def seconds(model: nn.Module, loss: Callable[[nn.Module], Tensor], device: torch.device) -> float:
    """Return what a forward and backward pass takes."""
    model.zero_grad()
    _finish(device)
    started = time.perf_counter()
    loss(model).backward()
    _finish(device)
    return time.perf_counter() - started


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
