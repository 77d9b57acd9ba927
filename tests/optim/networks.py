"""A small network for each optimizer of the catalog, and the options to try it with."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

# each optimizer at its defaults and with the options that change its state
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "ASGD": [{}, {"t0": 3, "lambd": 0.01, "weight_decay": 0.1}],
    "Adadelta": [{}, {"rho": 0.5, "weight_decay": 0.1}],
    "Adafactor": [{}, {"beta2_decay": -0.5, "eps": [0.001, 0.01], "weight_decay": 0.1}],
    "Adagrad": [{}, {"lr_decay": 0.1, "initial_accumulator_value": 0.1}],
    "Adam": [{}, {"amsgrad": True, "betas": [0.5, 0.9]}, {"fused": True}],
    "AdamW": [{}, {"amsgrad": True, "maximize": True}],
    "Adamax": [{}, {"betas": [0, 0.9], "weight_decay": 0.1}],
    "LBFGS": [{"lr": 0.1}, {"history_size": 3, "max_iter": 4, "line_search_fn": "strong_wolfe"}],
    "Muon": [{}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}],
    "NAdam": [{}, {"momentum_decay": 0.1, "decoupled_weight_decay": True, "weight_decay": 0.1}],
    "RAdam": [{"betas": [0.9, 0.9]}, {"weight_decay": 0.1}],
    "RMSprop": [{}, {"centered": True, "momentum": 0.9}],
    "Rprop": [{}, {"etas": [0.4, 1.3], "step_sizes": [1e-5, 1]}],
    "SGD": [{}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.8, "dampening": 0.5, "fused": True}],
    "SparseAdam": [{}, {"betas": [0.5, 0.9]}],
}
SPARSE = {"SparseAdam"}


class Network(nn.Module):
    """Two layers, or for optimizers that take nothing else an embedding, or matrices only."""

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.sparse = name in SPARSE
        if self.sparse:
            self.first = nn.EmbeddingBag(9, 4, sparse=True, mode="sum")
            self.last = nn.EmbeddingBag(9, 3, sparse=True, mode="sum")
        else:
            self.first = nn.Linear(5, 4, bias=name != "Muon")
            self.last = nn.Linear(4, 3, bias=name != "Muon")
        self.to(dtype)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.sparse:
            return torch.tanh(self.first(inputs)).sum(1, keepdim=True) * self.last(inputs)
        return self.last(torch.tanh(self.first(inputs)))


def plain(name: str, options: dict[str, Any], parameters: Any) -> torch.optim.Optimizer:
    if name in ("Adagrad", "Adam", "AdamW", "SGD") and not {"fused", "differentiable", "capturable"} & options.keys():
        options = {"fused": True, **options}
    exact = {key: tuple(map(float, value)) if isinstance(value, list) else value for key, value in options.items()}
    return getattr(torch.optim, name)(parameters, **exact)
