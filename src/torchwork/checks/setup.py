"""Warnings about a whole set-up: nothing is wrong, but something may not be what was meant."""

from __future__ import annotations

from torch import nn

from torchwork.types import Finding, Severity

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def findings(
    model: nn.Module,
    *,
    accumulate: int,
    smallest_batch: int,
    mined: bool,
    num_val: int,
    processes: int = 1,
    sync_batchnorm: bool = False,
) -> list[Finding]:
    """Return what is wrong or worth a look in a model, the way its batches are cut, and the samples it learns from.

    Args:
        model: The model to train.
        accumulate: Batches to one update.
        smallest_batch: Samples in the smallest batch of training.
        mined: Whether triplets are chosen within each batch.
        num_val: Samples to validate on.
        processes: How many share each batch out.
        sync_batchnorm: Whether batch norm takes its statistics over all of them.
    """
    least = smallest_batch if sync_batchnorm else max(1, smallest_batch // processes)
    return [
        *_cut(model, accumulate, mined),
        *_shared(model, processes, mined, sync_batchnorm),
        *_lone_sample(model, least, processes if not sync_batchnorm else 1),
        *_no_validation(num_val),
    ]


def _cut(model: nn.Module, accumulate: int, mined: bool) -> list[Finding]:
    """Name what depends on how a step is cut into batches: there accumulating is not the same as one big batch."""
    if accumulate == 1:
        return []
    reasons = {
        "batch normalisation takes its statistics from": _names(model, _NORMS),
        "dropout draws its masks for": _names(model, _DROPOUTS),
        "triplets are mined within": ["data.pairs.mining"] if mined else [],
    }
    fix = "accumulating is then not the same as one big batch"
    return [
        Finding("cut", "warning", "train.accumulate", f"{what} each of the {accumulate} batches ({_some(names)})", fix)
        for what, names in reasons.items()
        if names
    ]


def _shared(model: nn.Module, processes: int, mined: bool, synced: bool) -> list[Finding]:
    """Name what depends on how a batch is shared out: there several processes do not train quite what one does."""
    if processes == 1:
        return []
    batch_norm, dropout = ([] if synced else _names(model, _NORMS)), _names(model, _DROPOUTS)
    found = []
    if batch_norm:
        what = f"batch normalisation ({_some(batch_norm)}) takes its statistics from each process's rows"
        fix = "distributed.sync_batchnorm: true takes those of the whole batch, as one process does"
        found.append(Finding("shared", "warning", "distributed", what, fix))
    if dropout:
        what = f"dropout ({_some(dropout)}) draws other masks than one process would"
        found.append(Finding("shared", "info", "distributed", what, "the samples of each step are the same"))
    if mined:
        what = "triplets are mined within each process's rows (data.pairs.mining)"
        found.append(Finding("shared", "warning", "distributed", what, "take a larger data.batch_size"))
    return found


def _lone_sample(model: nn.Module, smallest_batch: int, processes: int) -> list[Finding]:
    norms = _names(model, _NORMS)
    if smallest_batch > 1 or not norms:
        return []
    message = f"a batch of one sample, of which batch normalisation ({_some(norms)}) has no statistics"
    fix = "take drop_last: true or another batch_size"
    if processes > 1:
        message = f"a last batch of which {processes} processes have one sample or none, of which batch normalisation "
        message += f"({_some(norms)}) has no statistics"
        fix += ", or distributed.sync_batchnorm: true"
    fails = bool(_names(model, nn.BatchNorm1d))  # on images there are still the places of the one
    severity: Severity = "error" if fails else "warning"
    return [Finding("batch-norm-one", severity, "data.batch_size", f"training has {message}", fix)]


def _no_validation(num_val: int) -> list[Finding]:
    if num_val:
        return []
    message = "there is no val split: nothing tells when to stop, and the last weights are kept, not the best"
    return [Finding("no-val", "warning", "data.split.val", message, "give it a share")]


def _names(model: nn.Module, kinds: type[nn.Module] | tuple[type[nn.Module], ...]) -> list[str]:
    return [name or "model" for name, module in model.named_modules() if isinstance(module, kinds)]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
