"""The learning-rate range test: a short training whose rate grows from step to step, in search of the best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from torchwork import assembly, config, durable
from torchwork.assembly import Parts
from torchwork.training import device as devices
from torchwork.training.loop import updates, windows
from torchwork.training.nonfinite import NonFiniteError
from torchwork.types import Batch, Finding, InputError

_SMOOTHING = 0.9
_DIVERGED = 4.0  # times the lowest mean: from here on it only gets worse
_LEAST_FALL = 0.05  # of the loss: less is noise
_LEAST_STEPS = 10
_HALF_WINDOW = 0.5  # decades


class LrRange(NamedTuple):
    """What a range test saw: for each step the rate, the loss and the smoothed loss; the rate it suggests, and why.

    ``suggestion`` is None where the loss did not fall. Rates are those of the optimizer's first group.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None
    why: str


def find_lr(
    source: str | Path | Mapping[str, Any] | config.Config,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    overrides: Sequence[str] = (),
) -> LrRange:
    """Train a few steps with a learning rate that grows from ``low`` to ``high``, and suggest one.

    The rate of step k of S is low (high / low)^(k / (S − 1)); groups of the optimizer keep their ratios, and a schedule
    is left out. The test ends before S where the exponential mean of the losses (0.9) is over four times its lowest.
    Suggested is the rate at which the loss falls fastest by decade, before its lowest point: see `suggested`. Nothing
    is written, and neither val nor test are read.

    Source: Smith: "Cyclical learning rates for training neural networks", 2017 (the range test); Gugger: "How do you
    find a good learning rate", 2018 (the end, and the steepest point).

    Args:
        source: A config, as for `torchwork.train`.
        low: The first rate.
        high: The last rate.
        steps: How many updates; the training samples are gone through again where they do not suffice.
        overrides: Changes to the config.

    Raises:
        InputError: the config or the data are wrong, or the rates are no range.
    """
    settings = source if isinstance(source, config.Config) else config.load(source, overrides)
    _check(low, high, steps)
    with devices.using_threads(settings.train.threads or devices.default_threads()):
        parts = assembly.assemble(settings)
        try:
            with devices.keeping_generators(parts.device):
                rates, losses = _tried(parts, np.geomspace(low, high, steps).tolist())
        finally:
            parts.data.close()
    return LrRange(rates, losses, smooth(rates, losses), *suggested(rates, losses))


def _check(low: float, high: float, steps: int) -> None:
    findings = []
    if not 0 < low < high < math.inf:
        message, fix = f"got {low:g} to {high:g}", "expected two rates above 0, the lower one first"
        findings.append(Finding("wrong-value", "error", "--low, --high", message, fix))
    if steps < 2 * _LEAST_STEPS:
        message, fix = f"got {steps}", f"expected {2 * _LEAST_STEPS} or more"
        findings.append(Finding("wrong-value", "error", "--steps", message, fix))
    if findings:
        raise InputError(findings)


def _tried(parts: Parts, rates: list[float]) -> tuple[list[float], list[float]]:
    """Return the rates that were tried, and the loss before the update by each."""
    state, groups = replace(parts.state, schedule=None), parts.state.optimizer.param_groups
    first = float(groups[0]["lr"])
    ratios = [float(group["lr"]) / first if first else 1.0 for group in groups]
    state.model.train()
    options = parts.options
    steps = updates(state, _endless(parts), parts.task, seed=options.seed, clip_norm=options.clip_norm)
    losses: list[float] = []
    lowest, mean = math.inf, 0.0
    for place, rate in enumerate(rates):
        for group, ratio in zip(groups, ratios, strict=True):
            group["lr"] = rate * ratio
        try:
            loss = next(steps).loss.item()
        except NonFiniteError:
            break
        losses.append(loss)
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        corrected = mean / (1 - _SMOOTHING ** (place + 1))
        lowest = min(lowest, corrected)
        if place >= _LEAST_STEPS and corrected > _DIVERGED * lowest > 0:
            break
    return rates[: len(losses)], losses


def _endless(parts: Parts) -> Iterator[list[Batch]]:
    epoch = 0
    while True:
        yield from windows(parts.data.loaders["train"].batches(epoch), parts.options.accumulate)
        epoch += 1


def smooth(rates: Sequence[float], losses: Sequence[float]) -> list[float]:
    """Return, for each rate, the mean of the losses within a quarter of a decade: to both sides, so that nothing lags.

    >>> smooth([1e-3, 1e-2, 1e-1], [3.0, 2.0, 1.0])
    [3.0, 2.0, 1.0]
    """
    x, y = np.log10(rates), np.asarray(losses, np.float64)
    return [float(y[np.abs(x - at) <= _HALF_WINDOW / 2].mean()) for at in x]


def suggested(rates: Sequence[float], losses: Sequence[float]) -> tuple[float | None, str]:
    """Return the rate at which the loss falls fastest by decade, and the rule in words; None where it does not fall.

    The slope at a rate is that of the straight line through the losses within half a decade of it; rates beyond the
    lowest smoothed loss do not count.

    >>> rates = np.geomspace(1e-6, 1, 61).tolist()
    >>> rate, why = suggested(rates, [2 - 1.5 / (1 + (1e-3 / rate) ** 2) for rate in rates])
    >>> round(rate, 4)
    0.001
    """
    if len(losses) < 2 * _LEAST_STEPS:
        return None, "the loss ran away from the first rates on: a smaller --low, or a look at the data, may help"
    x, y, smoothed = np.log10(rates), np.asarray(losses, np.float64), np.asarray(smooth(rates, losses))
    bottom = int(smoothed.argmin())
    level = float(np.median(y[:_LEAST_STEPS]))
    if level - smoothed[bottom] < _LEAST_FALL * abs(level):
        return None, f"the loss fell by less than {_LEAST_FALL:.0%}: a wider range or more --steps may show more"
    slopes = [_slope(x, y, at) for at in x[: bottom + 1]]
    place = int(np.argmin(slopes))
    fall, lowest = -slopes[place], 10 ** x[bottom]
    return float(10 ** x[place]), f"where the loss falls fastest, by {fall:.3g} a decade; it is lowest at {lowest:.2g}"


def _slope(x: np.ndarray, y: np.ndarray, at: float) -> float:
    near = np.abs(x - at) <= max(_HALF_WINDOW, 1.5 * (x[1] - x[0]))
    return float(np.polyfit(x[near], y[near], 1)[0])


def check_place(path: Path) -> None:
    """Refuse a file that a plot cannot be written to, as far as its name tells.

    Raises:
        InputError: at ``--out``.
    """
    if path.suffix.lower() not in (".svg", ".png"):
        message, fix = f"got {path.name}", "end its name in .svg or .png"
        raise InputError(Finding("wrong-value", "error", "--out", message, fix))
    durable.check_output(path)


def draw(found: LrRange, path: Path) -> None:
    """Write the plot of a range test, as SVG or PNG by the name's ending.

    Raises:
        InputError: the file cannot be written, or its name ends in something else.
    """
    check_place(path)
    from torchwork.report.plots import lr_range, svg  # matplotlib, which only those who draw shall wait for

    figure = lr_range.loss_over_rate(found.rates, found.losses, found.smoothed, found.suggestion)
    content = svg.text(figure, "lr-range") if path.suffix.lower() == ".svg" else svg.png(figure)
    with durable.output(path):
        durable.write_file(path, content)
