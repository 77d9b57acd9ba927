"""Checks of a loss itself: options outside their range, and a call with output and target the wrong way round."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from torch import Tensor

from torchwork.types import Finding, InputError


class Range(NamedTuple):
    """The values that an option can have, and what is wrong with others."""

    low: float
    high: float
    why: str
    open: bool = False  # the low end itself is out


_NOTHING = "with others a pair that differs costs nothing"

RANGES: dict[str, dict[str, Range]] = {
    "CTCLoss": {"blank": Range(0, math.inf, "it is a place among the outputs")},
    "CosineEmbeddingLoss": {"margin": Range(-1, 1, "it is a cosine; 0 to 0.5 is usual")},
    "CrossEntropyLoss": {"label_smoothing": Range(0, 1, "it is a part of the probability")},
    "GaussianNLLLoss": {"eps": Range(0, math.inf, "it is the least variance", open=True)},
    "HingeEmbeddingLoss": {"margin": Range(0, math.inf, _NOTHING, open=True)},
    "HuberLoss": {"delta": Range(0, math.inf, "it is a distance", open=True)},
    "MarginRankingLoss": {"margin": Range(0, math.inf, "it is the lead that is asked for")},
    "MultiMarginLoss": {"margin": Range(0, math.inf, "it is the lead that is asked for", open=True)},
    "PoissonNLLLoss": {"eps": Range(0, math.inf, "it keeps the logarithm of a rate of 0 finite")},
    "SmoothL1Loss": {"beta": Range(0, math.inf, "it is a distance")},
    "TripletMarginLoss": {
        "margin": Range(0, math.inf, "it is the lead that is asked for", open=True),
        "p": Range(0, math.inf, "it is the norm's degree", open=True),
    },
}


def check_options(name: str, module: Any, where: str = "loss") -> None:
    """Raise InputError where options of a loss of torch.nn are out of range, most of which torch accepts.

    >>> from torch import nn
    >>> check_options("CosineEmbeddingLoss", nn.CosineEmbeddingLoss(margin=2.0))
    Traceback (most recent call last):
    torchwork.types.InputError: loss.margin: got 2.0; expected -1 to 1: it is a cosine; 0 to 0.5 is usual
    """
    findings = []
    for option, (low, high, why, is_open) in RANGES.get(name, {}).items():
        value = getattr(module, option)
        if low <= value <= high and not (is_open and value == low):
            continue
        if math.isinf(high):
            expected = f"more than {low:g}" if is_open else f"{low:g} or more"
        else:
            expected = f"{low:g} to {high:g}"
        findings.append(
            Finding("option-range", "error", f"{where}.{option}", f"got {value!r}", f"expected {expected}: {why}")
        )
    if findings:
        raise InputError(findings)


def check_order(name: str, outputs: tuple[Tensor, ...], target: Tensor) -> None:
    """Raise InputError where a target waits for a gradient, or an output is of whole numbers: the two are swapped.

    >>> import torch
    >>> check_order("MSELoss", (torch.zeros(2, 1),), torch.zeros(2, 1, requires_grad=True))
    Traceback (most recent call last):
    torchwork.types.InputError: loss: MSELoss got a target that needs a gradient; output and target are swapped
    """
    if target.requires_grad:
        found = "a target that needs a gradient"
    else:
        for output in outputs:
            if not output.is_floating_point():
                break
        else:
            return
        found = "an output of whole numbers"
    fix = "output and target are swapped"
    raise InputError(Finding("swapped", "error", "loss", f"{name} got {found}", fix))
