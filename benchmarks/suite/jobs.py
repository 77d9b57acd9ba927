"""What is measured, and what it is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.suite import prepare

Told = Mapping[str, Any]
PEERS = ("lightning", "keras-torch", "keras-jax", "skorch", "ignite", "accelerate")
# Peers that nobody can measure here, and why.
ABSENT = {
    "fastai": "needs torchvision, whose wheel does not import beside a torch without CUDA",
    "timm": "needs torchvision, whose wheel does not import beside a torch without CUDA",
}


@dataclass(frozen=True)
class Job:
    """Work that several contenders do, in blocks; each block has its own seed and folder.

    ``settings`` are those of the whole suite and of the quick one; ``folder`` makes the data of a block.
    """

    name: str
    contenders: tuple[str, ...]
    blocks: int
    settings: Mapping[str, Any]
    quick: Mapping[str, Any]
    folder: Callable[[Path, Path, int, Mapping[str, Any]], Path | None]
    quick_contenders: tuple[str, ...] = ()
    seconds: float = 60.0  # what one process takes at most, several times over
    environment: Mapping[str, str] = field(default_factory=dict)
    proved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One cell of what is to be reached: a figure of a block, and its bound.

    ``kind`` says what the figure is: ``ratio`` of another's to ours, where more is better; or ``below``, a figure of
    ours that must not be more than the bound, in ``unit``. ``against`` names contenders of which the best counts.
    """

    job: str
    work: str
    against: tuple[str, ...]
    bound: float
    kind: Literal["ratio", "below"] = "ratio"
    ours: str = "ours"
    value: str = "seconds"
    unit: str = ""
    minus: str = ""  # a contender whose figure is taken off first


def _lenet(data: Path, to: Path, seed: int, settings: Mapping[str, Any]) -> Path:
    sizes = {name: settings[name] for name in ("samples", "judged")}
    return prepare.lenet(data, to / f"lenet-{sizes['samples']}-{seed}", **sizes, epochs=2)


def _mlp(data: Path, to: Path, seed: int, settings: Mapping[str, Any]) -> Path:
    epochs = settings["epochs"]
    return prepare.mlp(to / f"mlp-{settings['samples']}-{seed}", samples=settings["samples"], epochs=epochs)


def _cifar(data: Path, to: Path, seed: int, settings: Mapping[str, Any]) -> Path:
    return prepare.cifar(data, to / f"cifar-{settings['a_class']}", a_class=settings["a_class"])


def _mnist(data: Path, to: Path, seed: int, settings: Mapping[str, Any]) -> Path:
    return data / "mnist"


ROWS = tuple(f"{peer}{row}" for peer in PEERS for row in ("", "-tuned"))
WHOLE = {"samples": 60_000, "judged": 10_000}
SMALL = {"samples": 6_400, "judged": 1_000}

# The short ones first: where there is little time, they are measured in any case.
JOBS = {
    job.name: job
    for job in (
        Job(
            "start",
            ("python", "help", "import-torchwork", "import-fit", "import-torch", "first-step", "lightning-first-step"),
            15,
            {**WHOLE, "times": 1},
            {**SMALL, "times": 1},
            _lenet,
        ),
        Job(
            "gather-64",
            ("ours", "usual", "memory"),
            15,
            {**WHOLE, "batch": 64, "repeats": 5},
            {**SMALL, "batch": 64, "repeats": 3},
            _lenet,
        ),
        Job(
            "gather-256",
            ("ours", "usual", "memory"),
            15,
            {**WHOLE, "batch": 256, "repeats": 5},
            {**SMALL, "batch": 256, "repeats": 3},
            _lenet,
        ),
        Job(
            "evaluation",
            ("ours", "bare"),
            15,
            {**WHOLE, "batch": 64, "repeats": 5},
            {**SMALL, "batch": 64, "repeats": 3},
            _lenet,
        ),
        Job(
            "limits",
            ("primitives", "primitives-bf16"),
            7,
            {**WHOLE, "batch": 64, "repeats": 5},
            {**SMALL, "batch": 64, "repeats": 3},
            _lenet,
        ),
        Job(
            "mlp",
            ("ours-fit", "ours", *(row for row in ROWS if not row.startswith("keras"))),
            15,
            {"samples": 8_000, "batch": 8, "lr": 1e-3, "epochs": 3},
            {"samples": 1_600, "batch": 8, "lr": 1e-3, "epochs": 3},
            _mlp,
            ("ours-fit", "ours", "lightning-tuned", "ignite-tuned", "skorch-tuned"),
            60.0,
            {"OMP_NUM_THREADS": "1"},
            proved=("bare", "ours-fit", *(row for row in ROWS if not row.startswith("keras"))),
        ),
        Job(
            "memory",
            ("ours", "lightning", "lightning-tuned"),
            7,
            {**WHOLE, "batch": 64, "lr": 1e-3, "epochs": 1},
            {**SMALL, "batch": 64, "lr": 1e-3, "epochs": 1},
            _lenet,
            seconds=120.0,
        ),
        Job(
            "resnet",
            ("ours-auto", "ours", "loop", "lightning-bf16"),
            7,
            {"a_class": 154, "batch": 128, "lr": 0.01, "epochs": 2},
            {"a_class": 13, "batch": 128, "lr": 0.01, "epochs": 2},
            _cifar,
            ("ours-auto", "loop"),
            180.0,
        ),
        Job("cold", ("ours", "lightning"), 7, {}, {}, _mnist, (), 120.0),
        Job(
            "lenet",
            ("bare", "bare-again", "ours", "ours-auto", "lecture", *ROWS),
            7,
            {**WHOLE, "batch": 64, "lr": 1e-3},
            {**SMALL, "batch": 64, "lr": 1e-3},
            _lenet,
            ("bare", "bare-again", "ours", "ours-auto", "lightning-tuned", "ignite-tuned"),
            180.0,
            proved=("bare", "ours", "lecture", *ROWS),
        ),
        Job(
            "many-lenet",
            ("ours-1x2", "ours-2x1", "ours-torchrun", "lightning-2x1", "accelerate-2x1"),
            7,
            {"samples": 20_000, "judged": 2_000, "model": "LeNet", "batch": 64, "lr": 1e-3, "epochs": 3},
            {**SMALL, "model": "LeNet", "batch": 64, "lr": 1e-3, "epochs": 2},
            _lenet,
            seconds=120.0,
        ),
        Job(
            "many-resnet",
            ("ours-1x2", "ours-2x1", "lightning-2x1", "accelerate-2x1"),
            7,
            {"a_class": 192, "model": "ResNet-18", "batch": 128, "lr": 0.01, "epochs": 1, "skipped": 3},
            {"a_class": 39, "model": "ResNet-18", "batch": 128, "lr": 0.01, "epochs": 1, "skipped": 1},
            _cifar,
            seconds=180.0,
        ),
    )
}


MANY = tuple(name for name in JOBS if name.startswith("many-"))  # `make bench-many`, apart from the others


def _either(peer: str) -> tuple[str, ...]:
    return peer, f"{peer}-tuned"


EPOCH = "LeNet, MNIST, batch 64, fp32, an epoch with evaluation"
AUTO = "LeNet, MNIST, batch 64, precision auto, an epoch with evaluation"
PHOTOS = "ResNet-18, CIFAR JPEG folders, crop and flip, batch 128, precision auto"
OVER = "tiny MLP, batch 8, one thread: time of a step over the bare one"
CLAIMS = (
    *(
        Claim("lenet", work, against, bound, ours=ours)
        for work, ours, bounds in (
            (EPOCH, "ours", (4, 2, 2.2, 1.4, 1.4, 1.4, 0.97)),
            (AUTO, "ours-auto", (5, 2.3, 2.6, 1.6, 1.6, 1.6, 1.2)),
        )
        for against, bound in zip(
            (
                ("lecture",),
                _either("lightning"),
                _either("keras-torch"),
                _either("skorch"),
                _either("ignite"),
                _either("accelerate"),
                ("bare",),
            ),
            bounds,
            strict=True,
        )
    ),
    Claim("resnet", PHOTOS, ("loop",), 2.5, ours="ours-auto"),
    Claim("resnet", PHOTOS, ("lightning-bf16",), 1.15, ours="ours-auto"),
    *(
        Claim("mlp", OVER, _either(peer), bound, ours="ours-fit", value="over")
        for peer, bound in (("lightning", 20), ("accelerate", 10), ("skorch", 8), ("ignite", 4))
    ),
    Claim("mlp", OVER, (), 15e-6, "below", ours="ours-fit", value="over", unit="µs"),
    Claim("cold", "cold process to 99.0% on MNIST's test set", ("lightning",), 2.5),
    Claim("cold", "cold process to 99.0% on MNIST's test set", (), 20.0, "below", unit="s"),
    Claim("start", "torchwork --help", (), 0.2, "below", ours="help", unit="s"),
    Claim("start", "import torchwork", (), 0.1, "below", ours="import-torchwork", unit="s"),
    Claim(
        "start",
        "from torchwork import fit, over import torch",
        (),
        0.05,
        "below",
        ours="import-fit",
        unit="ms",
        minus="import-torch",
    ),
    Claim("start", "config to first step", ("lightning-first-step",), 2.5, ours="first-step"),
    Claim("memory", "peak memory of the MNIST run", _either("lightning"), 1 / 0.6, value="memory"),
    Claim("evaluation", "evaluation of 10,000 images: forward, loss, predictions", ("bare",), 0.95),
    Claim(
        "evaluation",
        "the report's metrics of 10,000 images, without bootstrap",
        (),
        0.15,
        "below",
        value="metrics",
        unit="s",
    ),
    Claim("gather-64", "batches of 64 gathered and normalised from memory, alone", ("usual",), 5),
    *(
        Claim(job, f"{model}: two processes against one with two threads", ("ours-1x2",), bound, ours="ours-2x1")
        for job, model, bound in (("many-lenet", "LeNet", 0.85), ("many-resnet", "ResNet-18", 0.95))
    ),
    Claim("many-lenet", "LeNet: one process under torchrun", ("ours-1x2",), 0.98, ours="ours-torchrun"),
    *(
        Claim(job, f"{model}: two processes", (f"{peer}-2x1",), 1, ours="ours-2x1")
        for job, model in (("many-lenet", "LeNet"), ("many-resnet", "ResNet-18"))
        for peer in ("lightning", "accelerate")
    ),
    Claim("gather-256", "batches of 256 gathered and normalised from memory, alone", ("usual",), 8),
)
