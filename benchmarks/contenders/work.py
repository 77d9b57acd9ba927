"""What every contender is given, and what it gives back: the same samples in the same order, the same first weights."""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Sampler

MEAN, STD = 0.1307, 0.3081
PROVED = 10  # updates whose loss is compared: fp32 sums in another order drift apart later


@dataclass
class Work:
    """One job for one contender: where its data lie, and how it is to be done.

    ``prove`` asks for the loss of the first updates, which costs time: such a run is not timed.
    """

    folder: Path
    batch: int
    lr: float
    epochs: int = 2
    prove: bool = False

    def train(self) -> tuple[Tensor, Tensor]:
        """Return inputs and targets to learn from, ready for the model."""
        return self._ready("train")

    def val(self) -> tuple[Tensor, Tensor] | None:
        """Return inputs and targets to judge by after each epoch, where there are any."""
        return self._ready("val") if "x_val" in self.arrays() else None

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays as they lie on the disk; images are uint8."""
        with np.load(self.folder / "data.npz") as archive:
            return {name: archive[name] for name in archive.files}

    def orders(self) -> np.ndarray:
        """Return the places of the training samples, in the order of each epoch, int64 [epochs, N]."""
        return np.load(self.folder / "orders.npy")

    def model(self) -> nn.Module:
        """Return the model with the weights that every contender starts from."""
        files = [json.loads((self.folder / name).read_text()) for name in ("model.json", "shapes.json")]
        model = architecture(files[0] | files[1])
        model.load_state_dict(torch.load(self.folder / "start.pt"))
        return model

    def _ready(self, part: str) -> tuple[Tensor, Tensor]:
        arrays = self.arrays()
        x = torch.from_numpy(arrays[f"x_{part}"])
        if x.dtype == torch.uint8:
            x = x[:, None].float().div_(255).sub_(MEAN).div_(STD)
        return x, torch.from_numpy(arrays[f"y_{part}"])


def architecture(spec: dict[str, Any]) -> nn.Module:
    """Return the model that a config names, as a plain module without Torchwork's other parts."""
    options = {name: value for name, value in spec.items() if name != "name"}
    if spec["name"] == "LeNet":
        from torchwork.models.lenet import LeNet

        return LeNet(**options)
    from torchwork.models.mlp import MLP

    return MLP(**options)


class InOrder(Sampler[int]):
    """Goes through the samples in a given order, another one in each epoch, as a RandomSampler would."""

    def __init__(self, orders: np.ndarray) -> None:
        self._orders, self._epoch = orders, 0

    def __len__(self) -> int:
        return self._orders.shape[1]

    def __iter__(self) -> Iterator[int]:
        order = self._orders[min(self._epoch, len(self._orders) - 1)]
        self._epoch += 1
        return iter(order.tolist())


def clock() -> tuple[float, float]:
    """Return seconds of the wall clock, and processor seconds of this process and its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in used)


@dataclass
class Marks:
    """Notes when epochs end, and what the contender found."""

    at: list[tuple[float, float]] = field(default_factory=lambda: [clock()])
    losses: list[float] = field(default_factory=list)
    judged: list[tuple[float, float]] = field(default_factory=list)

    def epoch(self, loss: float | None = None, accuracy: float | None = None) -> None:
        """Note the end of an epoch, its evaluation included."""
        if loss is not None and accuracy is not None:
            self.judged.append((float(loss), float(accuracy)))
        self.at.append(clock())

    def loss(self, value: Any) -> None:
        """Keep the loss of one of the first updates."""
        if len(self.losses) < PROVED:
            self.losses.append(float(value))

    def result(self, *, updates: int, samples: int) -> dict[str, Any]:
        """Return what is told of the run: the median over its epochs but the first, which warms up, if not the only."""
        epochs = list(zip(self.at[1:], self.at[2:], strict=False)) or [tuple(self.at)]
        wall, cpu = ([b[place] - a[place] for a, b in epochs] for place in (0, 1))
        return {
            "seconds": statistics.median(wall),
            "cpu": statistics.median(cpu),
            "updates": updates,
            "samples": samples,
            "losses": self.losses,
            "judged": self.judged,
        }


def judge(model: nn.Module, val: tuple[Tensor, Tensor], size: int) -> tuple[float, float]:
    """Return mean loss and accuracy, as a hand-written loop computes them."""
    model.eval()
    x, y = val
    loss, right = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(x), size):
            output, target = model(x[start : start + size]), y[start : start + size]
            loss += F.cross_entropy(output, target, reduction="sum").item()
            right += int((output.argmax(1) == target).sum())
    return loss / len(x), right / len(x)


def updates_of(optimizer: torch.optim.Optimizer) -> int:
    """Return how many updates an optimizer of torch has made, as it counts them itself."""
    return max((int(state["step"]) for state in optimizer.state.values()), default=0)


Contender = Callable[[Work], dict[str, Any]]
