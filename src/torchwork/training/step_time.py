"""Where the time of a training step goes: measured on a few steps as they are made, with a clock around each part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch

from torchwork.optim.direct import Stepper
from torchwork.training.state import State
from torchwork.types import Batch, Step

FEWEST, MOST, SECONDS = 2, 20, 0.5  # steps that are measured, and how long it may take to measure more than the fewest


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step, and of its parts.

    ``data``: waiting for batches; ``forward``: the model; ``backward``: the loss and its gradients, and looking whether
    they are finite, and in fp16 the update; ``optimizer``: the update; ``rest``: what is left of the ``whole``. What an
    optimizer does that goes through the batch several times (LBFGS) counts as ``backward``.
    """

    data: float
    forward: float
    backward: float
    optimizer: float
    rest: float

    @property
    def whole(self) -> float:
        """The sum of all parts."""
        return self.data + self.forward + self.backward + self.optimizer + self.rest

    def shares(self) -> dict[str, float]:
        """Return each part as a share of the whole."""
        return {name: seconds / self.whole for name, seconds in vars(self).items()}


def measure(
    state: State,
    windows: Iterable[list[Batch]],
    steps: Callable[[Iterable[list[Batch]]], Iterator[Step]],
    device: torch.device,
) -> StepTime:
    """Make a step that does not count, then time a few; the model is trained by them.

    Args:
        state: What is trained, in training mode; its ``stepper`` is left as it was.
        windows: The batches of each step; at least two steps.
        steps: Makes the steps from windows, as ``loop.updates`` does.
        device: Where the model is; on CUDA each part is waited for, which takes longer than a step that is left alone.
    """
    clock = _Clock(device)
    hooks = [
        state.model.register_forward_pre_hook(lambda *_: clock.start("forward")),
        state.model.register_forward_hook(lambda *_: clock.start("backward")),
    ]
    state.stepper, before = _Timed(state.stepper, clock), state.stepper  # type: ignore[assignment]
    try:
        made = steps(_read(windows, clock))
        next(made)
        clock.reset()
        started, count = time.perf_counter(), 0
        for _ in islice(made, MOST):
            clock.start("rest")
            count += 1
            if count >= FEWEST and time.perf_counter() - started > SECONDS:
                break
        clock.start("")
    finally:
        state.stepper = before
        for hook in hooks:
            hook.remove()
    return StepTime(**{name: seconds / max(count, 1) for name, seconds in clock.seconds.items()})


def advice(found: StepTime, *, precision: str, accumulate: int, reads_files: bool) -> list[str]:
    """Return what would make such steps faster, the largest gain first; nothing where nothing stands out.

    >>> advice(StepTime(0.8, 0.1, 0.1, 0.0, 0.0), precision="fp32", accumulate=1, reads_files=True)[0]
    'reading takes 80% of a step: more data.num_workers, smaller files, or a larger data.cache_gb'
    """
    shares, said = found.shares(), []
    if shares["data"] > 0.25 and reads_files:
        what = "more data.num_workers, smaller files, or a larger data.cache_gb"
        said.append(f"reading takes {shares['data']:.0%} of a step: {what}")
    if shares["optimizer"] + shares["rest"] > 0.3:
        what = "a larger data.batch_size makes fewer of them"
        said.append(f"{shares['optimizer'] + shares['rest']:.0%} of a step does not depend on its samples: {what}")
    if shares["forward"] + shares["backward"] > 0.6 and precision == "fp32" and found.whole > 2e-3:
        what = "train.precision: auto tries bf16"
        said.append(f"the model takes {shares['forward'] + shares['backward']:.0%} of a step: {what}")
    if accumulate > 1 and shares["forward"] + shares["backward"] < 0.5:
        said.append("train.accumulate: where memory allows it, one larger batch takes less time than several")
    return said


class _Clock:
    """Adds up what passes between one start and the next, under the name of the first."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.seconds = dict.fromkeys(("data", "forward", "backward", "optimizer", "rest"), 0.0)
        self._running, self._since = "rest", time.perf_counter()

    def start(self, name: str) -> None:
        """End what runs and begin another part."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.seconds[self._running] += now - self._since
        self._running, self._since = name, now


class _Timed:
    """A stepper whose steps are timed."""

    def __init__(self, stepper: Stepper, clock: _Clock) -> None:
        self._stepper, self._clock = stepper, clock

    def clear_gradients(self) -> None:
        self._stepper.clear_gradients()

    def step(self) -> None:
        self._clock.start("optimizer")
        self._stepper.step()
        self._clock.start("rest")


def _read(windows: Iterable[list[Batch]], clock: _Clock) -> Iterator[list[Batch]]:
    iterator = iter(windows)
    while True:
        clock.start("data")
        window = next(iterator, None)
        clock.start("rest")
        if window is None:
            return
        yield window
