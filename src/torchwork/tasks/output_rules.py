"""Checks of outputs: does the model end in what the loss asks for? torch takes most of what is refused in silence."""

from __future__ import annotations

import torch
from torch import Tensor

from torchwork.tasks.probe import last_operation
from torchwork.tasks.supervised import Probe
from torchwork.types import Finding

_TOLERANCE = 1e-3
_EDGE = 1e-6
_BETWEEN_0_AND_1 = ("Sigmoid", "Hardsigmoid", "Softmax")
_NEVER_BELOW_0 = (*_BETWEEN_0_AND_1, "ReLU", "Softplus", "exp", "abs")
_NEVER_ABOVE_0 = ("LogSoftmax", "LogSigmoid")
_NO_PROBABILITIES = (*_NEVER_ABOVE_0, "Linear", "Convolution", "Tanh", "Softplus")
_RANGES = {
    **dict.fromkeys(_BETWEEN_0_AND_1, (0.0, 1.0)),
    "Tanh": (-1.0, 1.0),
    **dict.fromkeys(("ReLU", "Softplus", "exp", "abs"), (0.0, torch.inf)),
    **dict.fromkeys(_NEVER_ABOVE_0, (-torch.inf, 0.0)),
}


def _error(code: str, message: str, fix: str) -> list[Finding]:
    return [Finding(code, "error", "model", message, fix)]


def shape(output: Tensor, expected: tuple[int, ...], what: str) -> list[Finding]:
    """The output's shape is the one that the task expects of this batch."""
    if not output.is_floating_point():
        message = f"gives {str(output.dtype).removeprefix('torch.')}s: nothing can be learnt through whole numbers"
        fix = "return scores, without argmax or rounding; or are output and target swapped?"
        return _error("output-dtype", message, fix)
    if tuple(output.shape) == expected:
        return []
    message = f"gives outputs of shape {list(output.shape)} for {expected[0] if expected else 0} samples"
    return _error("output-shape", message, f"{what}: it must give {list(expected)}")


def like_target(output: Tensor, target: Tensor) -> list[Finding]:
    """The output has the target's shape exactly."""
    findings = shape(output, tuple(output.shape), "")
    if findings or output.shape == target.shape:
        return findings
    message = f"gives outputs of shape {list(output.shape)}, the targets have {list(target.shape)}"
    fix = "give both the same shape: torch would broadcast them against each other in silence"
    if output.numel() == target.numel():
        fix += "; one of them needs squeeze or unsqueeze"
    return _error("output-shape", message, fix)


def _last(output: Tensor, probe: Probe | None) -> str | None:
    return (probe.last if probe is not None else None) or last_operation(output)


def _far(probe: Probe | None) -> Tensor | None:
    return probe.far if probe is not None else None


def _within(values: Tensor, low: float, high: float, slack: float = _EDGE) -> bool:
    return bool(((values >= low - slack) & (values <= high + slack)).all())


def _rows_add_up(values: Tensor, axis: int) -> bool:
    if values.ndim < 2 or values.shape[axis] < 2:
        return False
    return _within(values, 0, 1) and bool(((values.sum(axis) - 1).abs() < _TOLERANCE).all())


def _saturated(far: Tensor | None) -> bool:
    """Tell whether outputs far out stand at 0 and 1: a sigmoid written out by hand does, a score goes on."""
    if far is None or not _within(far, 0, 1):
        return False
    at_one = (far - 1).abs() < _EDGE
    return bool(at_one.any()) and float(((far.abs() < _EDGE) | at_one).double().mean()) > 0.5


def are_probabilities(output: Tensor, probe: Probe | None, axis: int = 1) -> bool:
    """Tell whether outputs are probabilities by what they are made of, and not because scores happen to be small.

    They end in a sigmoid or softmax; or each row of two or more adds up to 1; or they stay in [0, 1] and reach its ends
    for inputs a thousand times as large.
    """
    last, far = _last(output, probe), _far(probe)
    if last in _BETWEEN_0_AND_1 or last in _NO_PROBABILITIES:
        return last in _BETWEEN_0_AND_1
    if _rows_add_up(output, axis):
        return far is None or _rows_add_up(far, axis)
    return _within(output, 0, 1) and _saturated(far)


def are_log_probabilities(output: Tensor, axis: int = 1) -> bool:
    """Tell whether the exponentials of each row add up to 1."""
    return bool((output.logsumexp(axis).abs() < _TOLERANCE).all())


def scores(output: Tensor, probe: Probe | None, loss: str) -> list[Finding]:
    """Unnormalised scores [B, K], of any range."""
    if not are_probabilities(output, probe):
        return []
    if loss == "CrossEntropyLoss":
        fix = "take the Softmax off its end: it is inside the loss (or end in LogSoftmax, with NLLLoss)"
    else:
        fix = "take the Softmax or Sigmoid off its end: between probabilities the margin of 1 is never reached"
    return _error("probabilities", f"gives probabilities, {loss} needs unnormalised scores", fix)


def logits(output: Tensor, probe: Probe | None, loss: str) -> list[Finding]:
    """Unnormalised scores on both sides of 0."""
    last = _last(output, probe)
    if are_probabilities(output, probe):
        inside = "it is inside the loss (or take BCELoss)" if loss == "BCEWithLogitsLoss" else "scores go below 0, too"
        message = f"gives probabilities, {loss} needs unnormalised scores"
        return _error("probabilities", message, f"take the Sigmoid or Softmax off its end: {inside}")
    if last in _NEVER_BELOW_0 or last in _NEVER_ABOVE_0:
        side, label = ("below", "no") if last in _NEVER_BELOW_0 else ("above", "yes")
        message = f"ends in {last}: its scores are never {side} 0, so that it can never say {label}"
        return _error("one-sided", message, f"take the {last} off its end: {loss} needs scores of any range")
    return []


def probabilities(output: Tensor, probe: Probe | None, loss: str) -> list[Finding]:
    """Values from 0 to 1."""
    last, far = _last(output, probe), _far(probe)
    inside = _within(output, 0, 1)
    if last == "Softmax" and output.shape[-1] == 1:
        return _error("constant", "ends in Softmax over one number, which always gives 1", "take Sigmoid instead")
    if inside and last in _BETWEEN_0_AND_1:
        return []
    if inside and last not in ("Linear", "Convolution") and (far is None or _within(far, 0, 1)):
        return []
    logarithms = bool((output <= 0).all()) and last in _NEVER_ABOVE_0
    found = "log-probabilities" if logarithms else "raw scores (logits)"
    seen = output if not inside or far is None else far
    message = f"gives {found}, from {float(seen.min()):.4g} to {float(seen.max()):.4g}; {loss} needs probabilities"
    if inside:
        message += " (these samples' scores lie between 0 and 1 by chance)"
    return _error("no-probabilities", message, "end the model in Sigmoid, or take BCEWithLogitsLoss")


def log_probabilities(output: Tensor, probe: Probe | None, loss: str, axis: int = 1) -> list[Finding]:
    """Log-probabilities: each row's exponentials add up to 1."""
    if are_log_probabilities(output, axis):
        return []
    dim = "-1" if axis in (-1, 2) else str(axis)
    if _rows_add_up(output, axis) or _last(output, probe) in _BETWEEN_0_AND_1:
        message = f"gives probabilities, {loss} needs their logarithms"
        if loss == "KLDivLoss":
            message += ": with probabilities the result is no divergence, and may be negative"
        return _error("probabilities", message, f"end the model in LogSoftmax(dim={dim}) instead of Softmax")
    other = ", or take CrossEntropyLoss, which has it inside" if loss == "NLLLoss" else ""
    seen = f"from {float(output.min()):.4g} to {float(output.max()):.4g}"
    message = f"gives raw scores, {seen}; {loss} needs log-probabilities"
    return _error("raw-scores", message, f"end the model in LogSoftmax(dim={dim}){other}")


def log_rates(output: Tensor, probe: Probe | None) -> list[Finding]:
    """Logarithms of rates: of any sign."""
    last = _last(output, probe)
    if last not in _NEVER_BELOW_0:
        return []
    message = f"ends in {last}, as rates do: with log_input, PoissonNLLLoss needs their logarithms, of any sign"
    return _error("rates", message, f"take the {last} off its end, or set log_input: false")


def rates(output: Tensor, probe: Probe | None) -> list[Finding]:
    """Rates: none negative."""
    last, far = _last(output, probe), _far(probe)
    if last in _NEVER_BELOW_0:
        return []
    lowest = min(float(part.min()) for part in (output, far) if part is not None and part.numel())
    if lowest >= 0 and last not in ("Linear", "Convolution"):
        return []
    message = f"gives values below 0 (from {lowest:.4g}): without log_input, PoissonNLLLoss needs rates"
    if lowest >= 0:
        message = f"ends in {last}, whose values may fall below 0: without log_input, PoissonNLLLoss needs rates"
    return _error("negative-rates", message, "end the model in Softplus or ReLU, or leave log_input at true")


def gaussians(output: Tensor, probe: Probe | None) -> list[Finding]:
    """Means and logarithms of variances, of any sign."""
    last = _last(output, probe)
    if last not in _RANGES:
        return []
    message = f"ends in {last}: GaussianNLLLoss needs means and logarithms of variances, both of any range"
    return _error("bounded", message, f"take the {last} off its end: Torchwork takes exp of the second half")


def reach(output: Tensor, target: Tensor, probe: Probe | None) -> list[Finding]:
    """The numbers that a model can give are those that it is to learn, at least for most samples."""
    last = _last(output, probe)
    if last not in _RANGES:
        return []
    low, high = _RANGES[last]
    out = (target < low - _TOLERANCE) | (target > high + _TOLERANCE)
    if 2 * int(out.sum()) <= out.numel():
        return []
    message = (
        f"ends in {last}, which stays within {low:g} to {high:g}; {int(out.sum())} of {out.numel()} targets do not"
    )
    return _error("out-of-reach", message, f"take the {last} off its end, or scale the targets")


def vectors(output: Tensor, rows: int, loss: str) -> list[Finding]:
    """A vector for each sample, [B, D]; of two numbers or more where angles are compared."""
    findings = shape(output, tuple(output.shape), "")
    if findings:
        return findings
    if output.ndim != 2 or output.shape[0] != rows:
        message = f"gives outputs of shape {list(output.shape)} for {rows} samples"
        return _error("output-shape", message, f"{loss} needs a vector for each sample, [{rows}, D]: end in Flatten")
    if loss == "CosineEmbeddingLoss" and output.shape[1] < 2:
        message = "gives one number a sample, and the cosine of two numbers is 1 or -1 only"
        return _error("output-shape", message, "give vectors of two numbers or more (embeddings have 64 or so)")
    return []
