"""A working set-up of every loss, as a config would make it: a task, a model that ends as it must, and a batch."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from torchwork.tasks import contracts
from torchwork.types import Batch

N, FEATURES = 17, 6
CLASSES = ("a", "b", "c", "d")
NAMES = ("x", "y", "z")
WEIGHT = [0.5, 2.0, 1.0, 1.25]


class Setup(NamedTuple):
    task: Any
    model: nn.Module
    batch: Batch


def draws():
    return torch.Generator().manual_seed(3)


def setup(loss, target, *last, kind="class", members=(), names=(), classes=CLASSES, outputs=None, **options):
    """Return a function that makes the set-up: ``last`` is what the model ends in."""
    about = {key: options.pop(key) for key in ("mining", "task", "given") if key in options}
    classes = classes if kind != "number" else None
    names = names if kind == "number" else ()

    def make():
        task = contracts.choose(
            about.get("task"),
            {"name": loss, **options},
            target=kind,
            classes=classes,
            target_names=names,
            **{key: value for key, value in about.items() if key != "task"},
        )
        task.criterion.to(torch.device("cpu"), torch.float64)
        inputs = torch.randn(N, *members, FEATURES, generator=draws(), dtype=torch.float64)
        model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, outputs or task.num_outputs), *last)
        if not about.get("given"):
            task.check_targets(target if not members else target.reshape(-1, *target.shape[2:]))
        return Setup(task, model, Batch(inputs, target, np.arange(N)))

    return make


def classes(count=4):
    return torch.arange(N) % count


def numbers(*shape):
    return torch.randn(N, *shape, generator=draws(), dtype=torch.float64)


def zeros_and_ones():
    found = (numbers(3) > 0).double()
    found[:, 0] = torch.where(found.any(1), found[:, 0], 1.0)
    return found


def signs():
    return 2 * zeros_and_ones() - 1


def one(loss, **options):
    """A loss of numbers, of one and of three."""
    return [
        setup(loss, numbers(1), kind="number", names=("x",), **options),
        setup(loss, numbers(3), kind="number", names=NAMES),
    ]


def pair_classes(m=2):
    return torch.stack([(torch.arange(N) + shift * (torch.arange(N) % 2)) % 4 for shift in range(m)], 1)


LOG_SOFTMAX = nn.LogSoftmax(1)
BINARY = ("no", "yes")
SYMBOLS = ("1", "3", "7")


def strips():
    rows = torch.tensor([[0, 0, 1, -1], [2, -1, -1, -1], [-1, -1, -1, -1], [1, 2, 1, 2]])
    return rows[torch.arange(N) % 4]


def steps(count=9):
    return nn.Sequential(nn.Unflatten(1, (count, 4)), nn.LogSoftmax(2))


WORKING = {
    "CrossEntropyLoss": [
        setup("CrossEntropyLoss", classes()),
        setup("CrossEntropyLoss", classes(), weight=WEIGHT, label_smoothing=0.1, ignore_index=2),
        setup("CrossEntropyLoss", numbers(3).softmax(1), kind="number", names=NAMES),
    ],
    "NLLLoss": [setup("NLLLoss", classes(), LOG_SOFTMAX), setup("NLLLoss", classes(), LOG_SOFTMAX, weight=WEIGHT)],
    "MultiMarginLoss": [setup("MultiMarginLoss", classes(), p=2, weight=WEIGHT)],
    "KLDivLoss": [
        setup("KLDivLoss", numbers(3).softmax(1), LOG_SOFTMAX, kind="number", names=NAMES),
        setup("KLDivLoss", numbers(4).log_softmax(1), LOG_SOFTMAX, log_target=True),
    ],
    "BCELoss": [
        setup("BCELoss", classes(2), nn.Sigmoid(), classes=BINARY),
        setup("BCELoss", zeros_and_ones(), nn.Sigmoid(), kind="number", names=NAMES),
    ],
    "BCEWithLogitsLoss": [
        setup("BCEWithLogitsLoss", classes(2), classes=BINARY),
        setup("BCEWithLogitsLoss", zeros_and_ones(), kind="number", names=NAMES, pos_weight=[1.0, 2.0, 0.5]),
    ],
    "SoftMarginLoss": [
        setup("SoftMarginLoss", classes(2), classes=BINARY),
        setup("SoftMarginLoss", signs(), kind="number", names=NAMES),
    ],
    "MultiLabelMarginLoss": [setup("MultiLabelMarginLoss", zeros_and_ones(), kind="number", names=NAMES)],
    "MSELoss": one("MSELoss"),
    "L1Loss": one("L1Loss"),
    "SmoothL1Loss": one("SmoothL1Loss", beta=0.5),
    "HuberLoss": one("HuberLoss", delta=0.5),
    "GaussianNLLLoss": one("GaussianNLLLoss", full=True),
    "PoissonNLLLoss": [
        setup("PoissonNLLLoss", numbers(1).abs().round(), kind="number", names=("n",)),
        setup("PoissonNLLLoss", numbers(3).abs(), nn.Softplus(), kind="number", names=NAMES, log_input=False),
    ],
    "MarginRankingLoss": [
        setup("MarginRankingLoss", numbers(2, 1), kind="number", names=("x",), members=(2,), margin=0.5),
        setup("MarginRankingLoss", numbers(2, 1).round(), kind="number", names=("x",), members=(2,)),  # with ties
        setup("MarginRankingLoss", numbers().sign(), kind="number", names=("x",), members=(2,), given=True),
    ],
    "TripletMarginLoss": [
        setup("TripletMarginLoss", pair_classes(3), members=(3,), swap=True),
        setup("TripletMarginLoss", classes(), mining="hard"),
        setup("TripletMarginLoss", classes(), mining="semi-hard", margin=0.3),
    ],
    "HingeEmbeddingLoss": [
        setup("HingeEmbeddingLoss", pair_classes(), members=(2,)),
        setup("HingeEmbeddingLoss", numbers().sign(), members=(2,), given=True),
    ],
    "CosineEmbeddingLoss": [
        setup("CosineEmbeddingLoss", pair_classes(), members=(2,), margin=0.2),
        setup("CosineEmbeddingLoss", numbers().sign(), members=(2,), given=True),
    ],
    "CTCLoss": [
        setup("CTCLoss", strips(), steps(), kind="sequence", classes=SYMBOLS, outputs=36),
        setup("CTCLoss", strips(), steps(), kind="sequence", classes=SYMBOLS, outputs=36, blank=3),
        setup("CTCLoss", strips(), steps(3), kind="sequence", classes=SYMBOLS, outputs=12, zero_infinity=True),
    ],
}
