"""What the layers of a model give for a batch: how their outputs are spread, and which units never answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torchwork.inspection.calls import first_tensor, is_convolution, weight_of
from torchwork.inspection.guard import UnavailableError, untouched

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
_MOST_VALUES = 200_000  # of a layer, evenly spread, that quantiles are taken of: torch sorts them
_RECTIFIERS = {F.relu, F.relu6, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_}


class Activity(NamedTuple):
    """One layer's outputs over a batch.

    ``quantiles`` are those of QUANTILES over all samples and places, ``units`` counts channels or features, and
    ``dead`` is the share of them that the ReLU after the layer made 0 for every sample at every place; None where no
    ReLU follows before the next layer.
    """

    layer: str
    type: str
    units: int
    mean: float
    std: float
    quantiles: list[float]
    dead: float | None


def activity(model: nn.Module, inputs: Any) -> list[Activity]:
    """Return a row for each layer with weights, in the order of their calls; of repeated calls the first.

    The model is run in evaluation mode and left as it was. A ReLU counts whether it is a module or a function.

    Args:
        model: Any.
        inputs: What it takes, [B, ...].

    Raises:
        UnavailableError: no layer with weights was seen at work.

    >>> model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU())
    >>> _ = nn.init.constant_(model[0].weight, 1.0).data[1].neg_()
    >>> [(row.layer, row.dead) for row in activity(model, torch.ones(4, 1))]
    [('0', 0.5)]
    """
    rows: dict[nn.Module, Activity] = {}
    waiting: list[nn.Module] = []  # the layer whose output may be on its way to a ReLU

    def note(module: nn.Module, _: Any, output: Any) -> None:
        tensor = first_tensor(output)
        waiting.clear()
        if tensor is not None and tensor.is_floating_point() and module not in rows and tensor.numel():
            rows[module] = _measured(names[module], module, tensor.detach())
            waiting.append(module)

    def rectified(output: Tensor) -> None:
        if waiting:
            module = waiting.pop()
            axis, row = _unit_axis(module), rows[module]
            if output.dim() > 1 and output.shape[axis] == row.units:
                silent = (output.detach() <= 0).transpose(0, axis).flatten(1).all(1)
                rows[module] = row._replace(dead=float(silent.double().mean()))

    names = {
        module: name or type(module).__name__ for name, module in model.named_modules() if weight_of(module) is not None
    }
    layers = [module for module in names if not isinstance(module, nn.Embedding | nn.EmbeddingBag)]
    hooks = [module.register_forward_hook(note) for module in layers]
    try:
        with untouched(model), torch.no_grad(), _Rectifiers(rectified):
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not rows:
        raise UnavailableError("no layer with weights was seen at work")
    return list(rows.values())


class _Rectifiers(TorchFunctionMode):
    """Hands on the output of every ReLU that is called inside, as a module or as a function."""

    def __init__(self, then: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._then = then

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        output = func(*args, **options)
        least = args[1] if len(args) > 1 else options.get("min_val")
        if func in _RECTIFIERS or (func is F.hardtanh and least == 0):  # as nn.ReLU6 calls it
            self._then(output)
        return output


def _unit_axis(module: nn.Module) -> int:
    is_grid = is_convolution(module) or isinstance(module, nn.modules.conv._ConvNd)
    return 1 if is_grid else -1


def _measured(name: str, module: nn.Module, output: Tensor) -> Activity:
    values = output.double().flatten()
    step = -(-len(values) // _MOST_VALUES)
    places = torch.tensor(QUANTILES, dtype=torch.float64, device=values.device)
    finite = values[torch.isfinite(values)]
    if not len(finite):
        raise UnavailableError(f"all that {name} gives is NaN or infinite")
    quantiles = torch.quantile(finite[::step], places).tolist()
    units = int(output.shape[_unit_axis(module)])
    mean, std = float(finite.mean()), float(finite.std(correction=0))
    return Activity(name, type(module).__name__, units, mean, std, quantiles, None)
