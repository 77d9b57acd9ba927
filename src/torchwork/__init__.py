"""From a data set and one short config to a trained, evaluated, explained and reproducible PyTorch model.

>>> import torchwork
>>> run = torchwork.train("examples/digits.yaml")  # doctest: +SKIP
>>> run.metrics["test"]["accuracy"]  # doctest: +SKIP
0.989
"""

from __future__ import annotations

import gc
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchwork.folds import Folds, train_folds
    from torchwork.loaded import Run, load
    from torchwork.lr_range import find_lr
    from torchwork.plan import Plan, check
    from torchwork.report.compare import compare
    from torchwork.reproducing import Reproduction, reproduce
    from torchwork.run import evaluate, resume, train
    from torchwork.sweeps.sweeping import sweep
    from torchwork.training.fit import fit
    from torchwork.types import Batch, Finding, InputError, RunError

__version__ = "0.1.0"

# imported when first used, so that `import torchwork` costs no torch
_PLACES = {
    "Batch": "torchwork.types",
    "Finding": "torchwork.types",
    "Folds": "torchwork.folds",
    "InputError": "torchwork.types",
    "Plan": "torchwork.plan",
    "Reproduction": "torchwork.reproducing",
    "Run": "torchwork.loaded",
    "RunError": "torchwork.types",
    "check": "torchwork.plan",
    "compare": "torchwork.report.compare",
    "evaluate": "torchwork.run",
    "find_lr": "torchwork.lr_range",
    "fit": "torchwork.training.fit",
    "load": "torchwork.loaded",
    "reproduce": "torchwork.reproducing",
    "resume": "torchwork.run",
    "sweep": "torchwork.sweeps.sweeping",
    "train": "torchwork.run",
    "train_folds": "torchwork.folds",
}

__all__ = [
    "Batch",
    "Finding",
    "Folds",
    "InputError",
    "Plan",
    "Reproduction",
    "Run",
    "RunError",
    "check",
    "compare",
    "evaluate",
    "find_lr",
    "fit",
    "load",
    "reproduce",
    "resume",
    "sweep",
    "train",
    "train_folds",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'torchwork' has no attribute {name!r}")
    collects = gc.isenabled()
    gc.disable()  # nothing is garbage while modules are made, and to go over all that torch made takes 0.1 s
    try:
        return getattr(importlib.import_module(_PLACES[name]), name)
    finally:
        if collects:
            gc.enable()


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
