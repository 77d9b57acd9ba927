"""How a model starts: its weights, activations and gradients before the first update, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from torchwork.models.layers import Correlation2d
from torchwork.models.ownership import HOLDERS, owned_parameters
from torchwork.types import Finding

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_BETWEEN = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Identity, nn.Dropout)  # may stand before a norm
_WIDE, _NARROW, _SHIFTED = 2.5, 0.1, 3.0


class Start(NamedTuple):
    """A row a layer that owns parameters, and what there is to say."""

    rows: list[dict[str, Any]]
    findings: list[Finding]


def measure(model: nn.Module, loss: Callable[[nn.Module], Tensor], *, meant: Collection[str] = ()) -> Start:
    """Return mean and spread of each layer's weights, activations and gradients for one batch, and the findings.

    The model is run once forward and once backward, in the mode it is in, and left as it was: parameters, gradients,
    batch statistics and generators.

    Args:
        model: Before its first update.
        loss: Runs the model on the batch and returns the loss, a scalar.
        meant: As for `weight_findings`.

    Returns:
        Rows in the order of the model with ``name``, ``type``, ``mean`` and ``std`` of the weights (of all parameters
        where none is a weight), ``activation_std`` of the layer's output and ``gradient_std`` of the loss's gradient
        by the weights; None where there is none. The findings are those of `weight_findings` and one for each
        parameter that gets no gradient.

    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> start = measure(model, lambda m: m(torch.ones(5, 4)).square().mean())
    >>> [row["name"] for row in start.rows], sorted(start.rows[0])
    (['0', '2'], ['activation_std', 'gradient_std', 'mean', 'name', 'std', 'type'])
    """
    activations: dict[nn.Module, float | None] = {}

    def note(layer: nn.Module, _: Any, output: Any) -> None:
        activations.setdefault(layer, _output_std(output))

    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    owners = {layer for _, _, layer in owned_parameters(model)}
    hooks = [layer.register_forward_hook(note) for layer in owners]
    try:
        with _untouched(model), torch.enable_grad():
            value = loss(model)
            found: tuple[Tensor | None, ...] = (None,) * len(trainable)
            if value.requires_grad and trainable:
                found = torch.autograd.grad(value, list(trainable.values()), allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    gradients = dict(zip(trainable, found, strict=True))
    findings = weight_findings(model, meant=meant) + [
        finding for name, gradient in gradients.items() for finding in _gradient_findings(name, gradient)
    ]
    return Start(_rows(model, activations, gradients), findings)


def weight_findings(model: nn.Module, *, meant: Collection[str] = ()) -> list[Finding]:
    """Return what is wrong with the trainable weights alone, before any data.

    - ``equal-weights``: all weights of a layer have one value. Zeros, and 0.01 or 0.1 just as well: all its units
      compute the same and, where what follows treats them alike, get the same gradient for ever.
    - ``weight-spread``: in a linear layer or convolution that no norm follows, the root mean square of the weights is
      above 2.5/√fan_in, or below a tenth of the least of 1/√(3 fan_in) (torch's own start) and
      √(2/(fan_in + fan_out)) (Glorot and Bengio, 2010); or their mean is above 3/fan_in, so that every unit adds up
      its inputs. ``normal_(w, 0.1)`` is such: it means mean 0.1, std 1.

    ``meant`` names parameters whose start was chosen one by one. The spread of the last layer's weights is no finding
    where it is among them: its outputs have the scale of the targets, which need not be 1.

    Biases, scales of norms, embeddings' spread, ``dirac_`` and ``eye_`` are none.

    >>> layer = nn.Linear(100, 10)
    >>> _ = nn.init.normal_(layer.weight, 0.1)
    >>> [finding.code for finding in weight_findings(layer)]
    ['weight-spread']
    """
    normalised = set(_before_norms(model))
    findings = []
    owned = list(owned_parameters(model))
    for full, own, layer in owned:
        weight = layer.get_parameter(own).detach()
        if not layer.get_parameter(own).requires_grad or weight.dim() < 2 or isinstance(layer, _NORMS):
            continue
        kind = type(layer).__name__
        if weight.numel() > 1 and ("weight" in own or weight.dim() == 2) and _all_equal(weight):
            value = f"{float(weight.flatten()[0]):.6g}"
            message = f"all {weight.numel():,} weights of this {kind} are {value}: its units start as one, and stay so"
            fix = "draw them (kaiming_uniform_, xavier_uniform_, …); only a last layer may start at zero"
            findings.append(Finding("equal-weights", "warning", full, message, fix))
        elif full in meant and layer is owned[-1][2]:
            continue
        elif layer not in normalised and (fans := _fans(layer, own, weight)) is not None:
            findings += _spread_findings(full, kind, weight, *fans)
    return findings


def _spread_findings(full: str, kind: str, weight: Tensor, fan_in: float, fan_out: float) -> list[Finding]:
    values = weight.double()
    mean, std = float(values.mean()), float(values.std(correction=0))
    size = math.hypot(mean, std)
    low = _NARROW * min((3 * fan_in) ** -0.5, (2 / (fan_in + fan_out)) ** 0.5)
    high = _WIDE * fan_in**-0.5
    shifted = abs(mean) * fan_in > _SHIFTED and abs(mean) > 6 * std * values.numel() ** -0.5
    if low <= size <= high and not shifted:
        return []
    message = (
        f"the weights of this {kind} have mean {mean:.3g} and std {std:.3g}; "
        f"a fan-in of {fan_in:g} calls for mean 0 and std about {fan_in**-0.5:.2g}"
    )
    return [
        Finding("weight-spread", "warning", full, message, "use a method that scales with fan-in, as kaiming_normal_")
    ]


def _gradient_findings(name: str, gradient: Tensor | None) -> list[Finding]:
    if gradient is None:
        message = "gets no gradient: the loss does not depend on it"
        return [Finding("no-gradient", "warning", name, message, "use it in forward, or freeze it")]
    if not bool(gradient.any()):
        message = "gets a gradient of exactly 0 from this batch: nothing that follows passes any on"
        fix = "look at the start values and activations after it"
        if name.endswith("bias"):
            fix += "; where the loss compares two outputs, as of a pair, a last bias cancels and may be left out"
        return [Finding("zero-gradient", "warning", name, message, fix)]
    return []


def _all_equal(weight: Tensor) -> bool:
    return bool((weight == weight.flatten()[0]).all())


def _fans(layer: nn.Module, own: str, weight: Tensor) -> tuple[float, float] | None:
    """Return how many values go into one output, and how many outputs one value goes into."""
    if own != "weight" or not isinstance(layer, nn.Linear | _ConvNd | Correlation2d):
        return None
    receptive = weight[0, 0].numel()
    first, second = weight.shape[0] * receptive, weight.shape[1] * receptive
    if isinstance(layer, _ConvTransposeNd):
        return first / layer.groups / math.prod(layer.stride), second
    return second, first / getattr(layer, "groups", 1)


def _before_norms(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers that a norm follows in the order of the model: a norm takes away any spread."""
    last: nn.Module | None = None
    for layer in model.modules():
        if next(layer.children(), None) is not None or isinstance(layer, _BETWEEN):
            continue
        if isinstance(layer, _NORMS) and last is not None:
            yield last
        last = layer


def _rows(
    model: nn.Module, activations: dict[nn.Module, float | None], gradients: dict[str, Tensor | None]
) -> list[dict[str, Any]]:
    names = {layer: name for name, layer in model.named_modules() if not isinstance(layer, HOLDERS)}
    grouped: dict[nn.Module, list[tuple[str, str]]] = {}
    for full, own, layer in owned_parameters(model):
        grouped.setdefault(layer, []).append((full, own))
    parameters = dict(model.named_parameters())
    rows = []
    for layer, members in grouped.items():
        weights = [full for full, own in members if "weight" in own] or [full for full, _ in members]
        values = torch.cat([parameters[full].detach().double().flatten() for full in weights])
        slopes = [gradient.double().flatten() for full in weights if (gradient := gradients.get(full)) is not None]
        rows.append(
            {
                "name": names[layer] or type(layer).__name__,
                "type": type(layer).__name__,
                "mean": float(values.mean()),
                "std": float(values.std(correction=0)),
                "activation_std": activations.get(layer),
                "gradient_std": float(torch.cat(slopes).std(correction=0)) if slopes else None,
            }
        )
    return rows


def _output_std(output: Any) -> float | None:
    if isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        return None
    return float(output.detach().double().std(correction=0))


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Put back what a forward pass moves: batch statistics and generators."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=[index for index in devices if index is not None]):
            yield
    finally:
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
