"""What a process of a test trains: small models on made data, by the loop and nothing around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

from torchwork import dist, shards
from torchwork.data import pairs
from torchwork.data.augment.build import build as augment
from torchwork.data.loader import Loader
from torchwork.data.memory import InMemory
from torchwork.data.target import Target
from torchwork.data.transform import Pipeline
from torchwork.optim import build as optimizers
from torchwork.optim import schedule
from torchwork.tasks import contracts
from torchwork.training import batchnorm, parallel, sharding, units
from torchwork.training import precision as formats
from torchwork.training.averaging import AveragedWeights
from torchwork.training.divergence import divergence_watcher
from torchwork.training.evaluate import evaluate
from torchwork.training.loop import TrainOptions, run_epochs
from torchwork.training.state import State
from torchwork.types import Schema

SYMBOLS = "abcd"


def source(samples: int, target: str, kind: str = "rows") -> InMemory:
    """Return made samples: rows of six numbers, small images, or rows of whole numbers below 12."""
    generator = torch.Generator().manual_seed(samples)
    if kind == "images":
        inputs = torch.randint(0, 256, (samples, 1, 8, 8), generator=generator, dtype=torch.uint8)
    elif kind == "words":
        inputs = torch.randint(0, 12, (samples, 5), generator=generator)
    elif kind == "steps":
        inputs = torch.randn(samples, 9, 6, generator=generator, dtype=torch.float64)
    else:
        inputs = torch.randn(samples, 6, generator=generator, dtype=torch.float64)
    classes = np.arange(samples) % 3
    targets: Any = classes
    if target == "number":
        targets = torch.randn(samples, 2, generator=generator, dtype=torch.float64).numpy()
    elif target == "large":
        targets = 1000 * torch.randn(samples, 2, generator=generator, dtype=torch.float64).numpy()
    elif target == "score":
        targets = torch.randn(samples, 1, generator=generator, dtype=torch.float64).numpy()
    elif target == "sequence":
        targets = np.array([SYMBOLS[place % 4] + SYMBOLS[place % 3] * (place % 2) for place in range(samples)])
    names = {"number": ("y", "z"), "large": ("y", "z"), "score": ("y",)}.get(target, ())
    meaning = {"class": "class", "sequence": "sequence"}.get(target, "number")
    shown = "image" if kind == "images" else "array"
    return InMemory(inputs, targets, Schema(shown, meaning, target_names=names))


class Branched(nn.Module):
    """Leaves out one of its branches, the more of them the more the first number of a batch says."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.unused = nn.Linear(6, 3), nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x) + (self.b(x) if x[0, 0] > 0 else 0)


class Headed(nn.Module):
    """GoogLeNet in all that matters here: heads that only training has."""

    def __init__(self) -> None:
        super().__init__()
        self.aux_logits = True
        self.body, self.head, self.one, self.two = (nn.Linear(6, n) for n in (6, 3, 3, 3))

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.tanh(self.body(x))
        return (self.head(x), self.one(x), self.two(x)) if self.training else self.head(x)


class Block(nn.Module):
    """Layers that compute in bf16 under autocast, and one that does not."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.fc = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.tanh(self.fc(self.norm(x)))


Headed.__name__ = "GoogLeNet"


class Twice(nn.Module):
    """Goes through one of its layers twice."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(torch.tanh(self.body(x)))))


class Reading(nn.Module):
    """Log-probabilities for each of nine steps."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x).log_softmax(2)


def frozen() -> nn.Module:
    """Return a model that learns in its last layer only."""
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    model[0].requires_grad_(False)
    return model


def tied() -> nn.Module:
    """Return a model two of whose layers have one weight."""
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 3))
    model[2].weight = model[0].weight  # type: ignore[assignment]
    return model


def model_of(name: str, outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return {
        "mlp": lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs)),
        "dropout": lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, outputs)),
        "normed": lambda: nn.Sequential(
            nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8)), Block(8), nn.LayerNorm(8), nn.Linear(8, outputs)
        ),
        "norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, outputs)),
        "conv": lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, outputs)
        ),
        "sparse": lambda: nn.Sequential(nn.Embedding(12, 4, sparse=True), nn.Flatten(), nn.Linear(20, outputs)),
        "branched": Branched,
        "headed": Headed,
        "reading": Reading,
        "twice": Twice,
        "frozen": frozen,
        "tied": tied,
    }[name]()


@dataclass(frozen=True)
class Case:
    """What is trained, on what, and how."""

    samples: int = 13
    target: str = "class"
    kind: str = "rows"
    model: str = "mlp"
    outputs: int = 3
    task: str | None = None
    loss: Any = None
    optimizer: Any = None
    rates: Any = None
    batch_size: int = 5
    accumulate: int = 1
    clip_norm: float | None = None
    epochs: int = 2
    augments: Any = ()
    drop_last: bool = False
    sync: bool = False
    find_unused: bool | None = None
    double: bool = True
    mining: Any = "none"
    strategy: str = "auto"
    recomputes: bool = False
    precision: str = "fp32"
    ema: float | None = None
    scale: float | None = None


def train(**options: Any) -> dict[str, Any]:
    """Train and evaluate; return each step's loss, the history, the weights, and what was evaluated, in its order."""
    case = Case(**options)
    loader, judge, the_task, dtype = _data(case)
    if dist.group() is not None:
        loader.share = judge.share = (dist.rank(), dist.world())
    state = _state(case, model_of(case.model, case.outputs).to(dtype), the_task, loader)
    ranks = state.ranks
    steps: list[Any] = []
    watchers = [steps.append]
    if ranks is not None:
        watchers.append(divergence_watcher(state, loader.order, len(loader), every=1))
    how = TrainOptions(case.epochs, 7, case.accumulate, case.clip_norm)
    run_epochs(state, the_task, loader, judge, how, watchers=watchers)
    seen = evaluate(state.judged, the_task, judge, ranks=ranks)
    return {
        "losses": [float(step.loss) for step in steps],
        "weight": [step.weight for step in steps],
        "samples": [step.samples for step in steps],
        "history": [{k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in state.progress.history],
        "weights": {name: shards.whole(tensor).detach().numpy() for name, tensor in state.judged.state_dict().items()},
        "overflows": sum(row.get("overflows", 0) for row in state.progress.history),
        "evaluation": {name: column.numpy() for name, column in vars(seen).items()},
        "metrics": the_task.metrics(seen) if dist.is_first() else None,
    }


def _state(case: Case, net: nn.Module, the_task: Any, loader: Loader) -> State:
    """Return what is trained, ready to be trained by all processes."""
    several, cpu = dist.group() is not None, torch.device("cpu")
    if case.sync and several:
        batchnorm.synchronise(net)
    formats.compute_in(net, case.precision)
    if case.recomputes:
        units.recompute(net, smallest=1)
    steered = optimizers.build(case.optimizer or {"name": "SGD", "lr": 0.1, "momentum": 0.9, "fused": False}, net)
    steps_per_epoch = -(-len(loader) // case.accumulate)
    changed = schedule.build(case.rates, steered, epochs=case.epochs, steps_per_epoch=steps_per_epoch)
    state = State(net, steered, changed)
    if several and case.strategy == "fsdp":
        how = sharding.Sharding(formats.LOWER.get(case.precision), smallest=1)
        sharding.sharded(state, the_task, next(loader.batches(0)), cpu, how)
    elif several:
        batch = next(loader.batches(0))
        how = {"strategy": case.strategy, "find_unused_parameters": case.find_unused}
        state.ranks = parallel.replicated(net, the_task, batch, cpu, **how)
    if case.ema is not None:
        state.averaged = AveragedWeights(net, case.ema)
    if case.scale is not None:
        state.scaler = GradScaler("cpu", init_scale=case.scale, growth_interval=3)
    return state


def _data(case: Case) -> tuple[Loader, Loader, Any, torch.dtype]:
    """Return the batches to learn from and those to judge by, and the task."""
    data, ids = source(case.samples, case.target, case.kind), np.arange(case.samples)
    meaning = Target.fit(data.schema, data.targets, {"train": ids}, "made")
    pipeline = Pipeline([{"name": "Normalize"}] if case.kind == "images" else [], data.schema)
    pipeline.dtype = torch.float64 if case.double else torch.float32
    pipeline.fit(data, ids)
    facts = {"classes": meaning.classes, "target_names": meaning.target_names}
    the_task = contracts.choose(case.task, case.loss, target=meaning.kind, mining=case.mining, **facts)
    the_task.criterion.to(torch.device("cpu"), pipeline.dtype)
    companions = None
    if the_task.companions:
        encoded = meaning.encode(data.targets).numpy()
        companions = pairs.companions(the_task.companions, encoded, ids, 0, classes=meaning.classes or (), part="train")
    common: dict[str, Any] = {"pipeline": pipeline, "target": meaning, "batch_size": case.batch_size, "seed": 3}
    common["companions"] = companions
    loader = Loader(data, ids, shuffle=True, augments=augment(case.augments), drop_last=case.drop_last, **common)
    return loader, Loader(data, ids, **common), the_task, pipeline.dtype
