"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from torchwork.models import named_layer
from torchwork.types import Finding, InputError


class MLP(nn.Module):
    """Fully connected layers with an activation, and if wanted dropout, after each but the last.

    ``x -> output(dropout(act(hidden(x))))`` over as many hidden layers as sizes are given. Images and other samples
    with several axes are flattened.

    Shapes: [B, ...] with ``in_features`` values a sample, to [B, out_features].

    Args:
        in_features: Values a sample.
        out_features: Outputs a sample.
        hidden: Size of each hidden layer; an empty list leaves the one linear layer.
        activation: A layer of ``torch.nn`` by name, or a mapping with ``name`` and its options.
        dropout: Probability for a hidden unit to be zero in training, below 1.
        output_activation: What the outputs go through, likewise (``Sigmoid`` for BCELoss, ``LogSoftmax`` for NLLLoss);
            null for nothing, as most losses want scores. A ``dim`` that is left out is the last one.

    Raises:
        InputError: a size below 1, a dropout outside [0, 1), an unknown activation.

    >>> MLP(784, 10, hidden=[256])
    MLP(
      (hidden): ModuleList(
        (0): Linear(in_features=784, out_features=256, bias=True)
      )
      (act): ModuleList(
        (0): ReLU()
      )
      (dropout): Dropout(p=0.0, inplace=False)
      (output): Linear(in_features=256, out_features=10, bias=True)
    )
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: Sequence[int] = (256,),
        activation: str | Mapping[str, Any] = "ReLU",
        dropout: float = 0.0,
        output_activation: str | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        findings = [
            Finding("wrong-value", "error", f"hidden[{i}]", f"got {size}", "a layer's size is 1 or more")
            for i, size in enumerate(hidden)
            if size < 1
        ]
        if not 0 <= dropout < 1:
            findings.append(
                Finding("wrong-value", "error", "dropout", f"got {dropout}", "expected at least 0, below 1")
            )
        if findings:
            raise InputError(findings)
        sizes = [in_features, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(sizes))
        self.act = nn.ModuleList(named_layer.make(activation, "activation") for _ in hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(sizes[-1], out_features)
        self.output_act = named_layer.make_last(output_activation)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for linear, act in zip(self.hidden, self.act, strict=True):
            x = self.dropout(act(linear(x)))
        x = self.output(x)
        return x if self.output_act is None else self.output_act(x)
