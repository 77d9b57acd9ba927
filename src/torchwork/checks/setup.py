"""Warnings about a whole set-up: nothing is wrong, but something may not be what was meant."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from torchwork.types import Finding

_BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_FEW = 5


def findings(
    model: nn.Module,
    *,
    accumulate: int,
    smallest_batch: int,
    class_counts: Mapping[str, Mapping[str, int]],
    num_val: int,
) -> list[Finding]:
    """Return warnings about a model, the way its batches are cut, and the samples that it learns from."""
    found = []
    norms = [name for name, module in model.named_modules() if isinstance(module, _BATCH_NORM)]
    if norms and accumulate > 1:
        message = f"batch normalisation ({_some(norms)}) takes its statistics from each of the {accumulate} batches"
        fix = "accumulating is then not the same as one big batch"
        found.append(Finding("batch-norm-accumulate", "warning", "train.accumulate", message, fix))
    if norms and smallest_batch == 1:
        message = f"the last batch holds one sample, of which batch normalisation ({_some(norms)}) has no statistics"
        fix = "take drop_last: true or another batch_size"
        found.append(Finding("batch-norm-one", "warning", "data.batch_size", message, fix))
    for split, counts in class_counts.items():
        rare = [f"{name} ({count})" for name, count in counts.items() if count < _FEW]
        if rare:
            message = f"{split} has fewer than {_FEW} samples of {_some(rare)}"
            found.append(Finding("rare-class", "warning", "data.split", message, "their figures will mean little"))
    if num_val == 0:
        message = "there is no val split: nothing tells when to stop, and the last weights are kept, not the best"
        found.append(Finding("no-val", "warning", "data.split.val", message, "give it a share"))
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
