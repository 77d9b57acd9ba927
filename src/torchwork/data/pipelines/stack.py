"""Samples of one size as one tensor, or words on why they are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from torchwork.data.wording import counted
from torchwork.types import Finding, InputError


def stacked(inputs: Any, where: str) -> Any:
    """Return a list of tensors as one tensor [B, ...]; anything else as it is.

    Raises:
        InputError: they differ in size.
    """
    if not isinstance(inputs, list):
        return inputs
    shapes = Counter(tuple(sample.shape) for sample in inputs)
    if len(shapes) > 1:
        raise InputError(unequal({shape: (count, "") for shape, count in shapes.items()}, where))
    return torch.stack(inputs)


def unequal(outcomes: Mapping[Any, tuple[int, str]], where: str) -> Finding:
    """Say which sizes (keys) there are, from how many samples have each and the name of one of them."""
    common = sorted(outcomes.items(), key=lambda item: -item[1][0])[:2]
    said = " and ".join(
        f"{count} of {'×'.join(map(str, shape))}" + (f" (as {example})" if example else "")
        for shape, (count, example) in common
    )
    more = f" and {counted(len(outcomes) - 2, 'size', 'sizes')} more" if len(outcomes) > 2 else ""
    fix = "add {name: Resize, size: [height, width]} to data.transform, or Resize to a number and then CenterCrop"
    return Finding("unequal-sizes", "error", where, f"the samples differ in size and do not stack: {said}{more}", fix)
