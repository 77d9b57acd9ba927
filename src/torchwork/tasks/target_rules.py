"""Checks of targets: is this what the loss asks for? torch takes most of what is refused here in silence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from torchwork.types import Finding, InputError

_SUM_TOLERANCE = 1e-3


def refuse(findings: Sequence[Finding]) -> None:
    """Raise InputError with every error among the findings, if there is any."""
    if findings:
        raise InputError(list(findings))


def _error(code: str, where: str, message: str, fix: str) -> list[Finding]:
    return [Finding(code, "error", where, message, fix)]


def _shown(values: Tensor, most: int = 5) -> str:
    found = torch.unique(values)
    numbers = [f"{value:g}" for value in found[:most].tolist()]
    return ", ".join(numbers) + (f" and {len(found) - most} more" if len(found) > most else "")


def classes(target: Tensor, count: int, loss: str, where: str, ignored: int | None = None) -> list[Finding]:
    """Whole numbers from 0 to ``count`` - 1, one a sample (or a pixel); ``ignored`` is allowed beside them."""
    if target.is_floating_point():
        message = f"{loss} needs a class for each sample, int64 [B]; these are floats of shape {list(target.shape)}"
        whole = target.ndim == 1 and bool((target == target.round()).all())
        fix = "convert them with .long()" if whole else "give classes; for numbers take a loss of regression (MSELoss)"
        return _error("target-dtype", where, message, fix)
    if target.dtype != torch.int64:
        message = f"{loss} needs classes of type int64, these are {str(target.dtype).removeprefix('torch.')}"
        return _error("target-dtype", where, message, "convert them with .long()")
    if target.ndim == 2 and count > 1 and target.shape[1] in (1, count):
        message = f"{loss} needs a class for each sample, [B]; these have the shape {list(target.shape)}"
        one_hot = target.shape[1] == count
        fix = "these look one-hot: take .argmax(1)" if one_hot else "take .squeeze(1)"
        return _error("target-shape", where, message, fix)
    wrong = (target < 0) | (target >= count)
    if ignored is not None:
        wrong &= target != ignored
    if bool(wrong.any()):
        message = f"{int(wrong.sum())} labels are out of range: {_shown(target[wrong])}"
        fix = f"{loss} over {count} outputs takes classes from 0 to {count - 1}"
        if int(target[wrong].min()) == count and int(target.min()) == 1:
            fix += ": yours begin at 1, subtract 1"
        return _error("label-range", where, message, fix)
    return []


def distributions(target: Tensor, count: int, loss: str, where: str, *, logarithms: bool = False) -> list[Finding]:
    """Rows [B, K] (or [B, K, ...]) that add up to 1, none negative; their logarithms where those are asked for."""
    if not target.is_floating_point():
        message = f"{loss} needs a distribution for each sample, float [B, K]; these are {_kind(target)}"
        fix = "take CrossEntropyLoss or NLLLoss for classes, one-hot rows (torch.nn.functional.one_hot(...).float()), "
        return _error("target-dtype", where, message, fix + "or another run's probabilities (data.target: {run: ...})")
    if target.ndim < 2 or target.shape[1] != count:
        message = f"{loss} needs a distribution over {count} classes for each sample, these have the shape "
        return _error("target-shape", where, message + str(list(target.shape)), f"give [B, {count}]")
    if logarithms:
        if bool((target > _SUM_TOLERANCE).any()) or not _adds_up(target.exp()):
            fix = "give log-probabilities, or leave log_target out" if _adds_up(target) else "give log-probabilities"
            message = "with log_target the targets are logarithms of probabilities, and these are not"
            return _error("no-log-target", where, message, fix)
        return []
    if _adds_up(target) and bool((target >= -_SUM_TOLERANCE).all()):
        return []
    if bool((target <= _SUM_TOLERANCE).all()) and _adds_up(target.exp()):
        message = f"{loss} needs probabilities as targets, these are their logarithms"
        fix = "set log_target: true" if loss == "KLDivLoss" else "give target.exp()"
        return _error("log-target", where, message, fix)
    message = f"the targets are no distributions: rows add up to {_range(target.sum(1))}, with values "
    fix = "each row must add up to 1, none below 0 (softmax makes such rows of scores)"
    return _error("no-distribution", where, message + _range(target), fix)


def _adds_up(rows: Tensor) -> bool:
    return bool(((rows.sum(1) - 1).abs() < _SUM_TOLERANCE).all())


def _kind(target: Tensor) -> str:
    return f"whole numbers of shape {list(target.shape)}"


def _range(values: Tensor) -> str:
    return f"{float(values.min()):.4g} to {float(values.max()):.4g}"


def zeros_and_ones(target: Tensor, loss: str, where: str) -> list[Finding]:
    """Floats from 0 to 1."""
    if not target.is_floating_point():
        message = f"{loss} needs labels as floats, these are {_kind(target)}"
        fix = "convert them with .float() and give them the output's shape"
        if bool(((target < 0) | (target > 1)).any()):
            fix = "more than two classes are a case for CrossEntropyLoss; labels are 0 and 1, as floats"
        return _error("target-dtype", where, message, fix)
    wrong = ~((target >= 0) & (target <= 1))
    if not bool(wrong.any()):
        return []
    message = f"{loss} needs labels 0 and 1, found {_shown(target[wrong])}"
    signs = bool((target.abs() == 1).all())
    fix = "of -1 and 1 make 0 and 1 with (target + 1) / 2, or take SoftMarginLoss" if signs else "write 0 or 1"
    return _error("label-range", where, message, fix)


def signs(target: Tensor, loss: str, where: str) -> list[Finding]:
    """1 or -1, nothing else."""
    wrong = target.abs() != 1
    if bool(wrong.any()):
        message = f"{loss} needs labels 1 and -1, found {_shown(target[wrong])}"
        binary = bool(((target == 0) | (target == 1)).all())
        fix = "of 0 and 1 make -1 and 1 with 2 * target - 1"
        if not binary:
            fix = "sign() gives 0 for 0: decide which side that is on, or leave these out"
        return _error("label-range", where, message, fix)
    if not target.is_floating_point() and loss == "SoftMarginLoss":
        return _error("target-dtype", where, f"{loss} needs labels as floats", "convert them with .float()")
    return []


def label_lists(target: Tensor, count: int, where: str) -> list[Finding]:
    """Lists int64 [B, K]: a sample's labels first, none twice, at least one; then -1 to the end."""
    loss = "MultiLabelMarginLoss"
    if target.ndim != 2 or target.shape[1] != count:
        message = f"{loss} needs lists of labels of the output's width, these have the shape {list(target.shape)}"
        return _error("target-shape", where, message, f"give int64 [B, {count}], filled up with -1")
    wrong = (target < -1) | (target >= count)
    if bool(wrong.any()):
        message = f"{int(wrong.sum())} labels are out of range: {_shown(target[wrong])}"
        return _error("label-range", where, message, f"labels are 0 to {count - 1}, and -1 after the last")
    ended = (target == -1).cumsum(1) > 0
    listed = torch.where(ended, -1, target)
    twice = _with_repeats(listed)
    findings = []
    if len(twice):
        message = f"{len(twice)} rows name a class twice before the -1, as row {twice[0]}: "
        message += str(listed[twice[0]][listed[twice[0]] >= 0].tolist())
        findings += _error("label-twice", where, message, "name each class once: torch would count it twice")
    empty = torch.nonzero(ended[:, 0]).flatten().tolist()
    if empty:
        message = f"{len(empty)} rows begin with -1, as row {empty[0]}: they name no class"
        findings += _error("no-label", where, message, "leave out samples without a label, or take BCEWithLogitsLoss")
    behind = torch.nonzero((ended & (target >= 0)).any(1)).flatten().tolist()
    if behind:
        message = f"{len(behind)} rows name classes after the -1, as row {behind[0]}: {target[behind[0]].tolist()}"
        findings += _error("label-after-end", where, message, "write the labels first: torch stops at the first -1")
    return findings


def _with_repeats(listed: Tensor) -> list[int]:
    ordered = listed.sort(1).values
    return torch.nonzero(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(1)).flatten().tolist()


def labels_of_matrix(target: Tensor, where: str) -> list[Finding]:
    """A float matrix [B, K] of 0 and 1 that is to be made into label lists: at least one 1 in each row."""
    findings = []
    wrong = (target != 0) & (target != 1)
    if bool(wrong.any()):
        message = f"MultiLabelMarginLoss needs labels 0 and 1, found {_shown(target[wrong])}"
        findings += _error("label-range", where, message, "write 1 where a sample has the label, else 0")
    empty = torch.nonzero(~(target == 1).any(1)).flatten().tolist()
    if empty:
        message = f"{len(empty)} samples have no label at all, as sample {empty[0]}"
        findings += _error("no-label", where, message, "leave them out, or take BCEWithLogitsLoss")
    return findings


def numbers(target: Tensor, loss: str, where: str) -> list[Finding]:
    """Finite floats."""
    if not target.is_floating_point():
        message = f"{loss} needs numbers as floats, these are {_kind(target)}"
        return _error("target-dtype", where, message, "convert them with .float(); for classes take CrossEntropyLoss")
    wrong = ~torch.isfinite(target)
    if bool(wrong.any()):
        message = f"{int(wrong.sum())} targets are NaN or infinite"
        return _error("target-not-finite", where, message, "mend or remove these samples")
    return []


def counts(target: Tensor, where: str) -> list[Finding]:
    """Finite floats, none negative."""
    findings = numbers(target, "PoissonNLLLoss", where)
    if not findings and bool((target < 0).any()):
        message = f"PoissonNLLLoss needs counts, and {int((target < 0).sum())} targets are negative: "
        fix = "counts are 0 or more: is a transform of the target at work? For other numbers take MSELoss"
        return _error("negative-count", where, message + _shown(target[target < 0]), fix)
    return findings


def sequences(target: Tensor, count: int, blank: int | None, where: str) -> list[Finding]:
    """Sequences int64 [B, S] of symbols, padded with -1 at their ends; ``blank``, if it has a number, not in them."""
    if target.is_floating_point() or target.ndim != 2:
        kind = "floats" if target.is_floating_point() else "whole numbers"
        message = f"CTCLoss needs sequences of symbols, int64 [B, S]; these are {kind} of shape {list(target.shape)}"
        return _error("target-shape", where, message, "give the symbols' numbers, padded with -1")
    findings = []
    wrong = (target < -1) | (target >= count)
    if bool(wrong.any()):
        message = f"{int(wrong.sum())} symbols are out of range: {_shown(target[wrong])}"
        findings += _error("label-range", where, message, f"symbols are 0 to {count - 1}, and -1 after the last")
    if blank is not None and bool((target == blank).any()):
        rows = torch.nonzero((target == blank).any(1)).flatten().tolist()
        message = f"{len(rows)} targets hold the blank ({blank}), as row {rows[0]}"
        fix = "the blank stands for no symbol: number the symbols around it, or set blank to a number that is free"
        findings += _error("blank-in-target", where, message, fix)
    ended = (target == -1).cumsum(1) > 0
    if bool((ended & (target >= 0)).any()):
        message = "some targets go on after a -1"
        findings += _error("symbol-after-end", where, message, "write the symbols first, then -1 to the end")
    return findings


def groups(target: Tensor, loss: str, where: str) -> list[Finding]:
    """Classes int64 [N] of which at least two occur, and at least one twice."""
    if target.is_floating_point() or target.ndim != 1:
        kind = "floats" if target.is_floating_point() else "whole numbers"
        message = f"{loss} needs a class for each sample, int64 [B]; these are {kind} of shape {list(target.shape)}"
        return _error(
            "target-dtype", where, message, "give classes; to order samples by numbers take MarginRankingLoss"
        )
    _, sizes = torch.unique(target, return_counts=True)
    if len(sizes) < 2:
        message = "all samples are of one class, so that none is different"
        return _error("one-class", where, message, f"{loss} needs samples of two classes or more")
    if int(sizes.max()) < 2:
        message = "no two samples are of one class, so that none are alike"
        return _error("no-pair", where, message, f"{loss} needs several samples of a class")
    return []


def ordered(target: Tensor, where: str) -> list[Finding]:
    """One finite number a sample, not all equal."""
    loss = "MarginRankingLoss"
    findings = numbers(target, loss, where)
    if not findings and target.ndim > 1 and target.shape[1] != 1:
        message = f"{loss} orders samples by one number, these targets have {target.shape[1]}"
        return _error("target-shape", where, message, "choose one target column")
    if not findings and bool((target == target.flatten()[0]).all()):
        message = f"all targets are {float(target.flatten()[0]):g}, so that no pair can be ordered"
        return _error("one-value", where, message, f"{loss} needs samples with different targets")
    return findings
