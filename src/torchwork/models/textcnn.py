"""A classifier of texts: convolutions over the vectors of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchwork.models import named_layer
from torchwork.types import Finding, InputError


class TextCNN(nn.Module):
    """Convolutions of several widths over the vectors of a text's tokens, the greatest value of each, a linear layer.

    Each convolution gives ``max_i ReLU(W · [x_i, …, x_(i+k-1)] + b)`` over the tokens i of the text; behind its end
    stand zeros. Padding, which is token 0, has no part in it: a text gets the same outputs whatever it is padded to.

    Shapes: [B, length] whole numbers below ``num_embeddings``, to [B, num_classes].

    The vectors start uniform between −0.25 and 0.25.

    Source: Kim: "Convolutional neural networks for sentence classification", 2014; there windows end with the text.

    Args:
        num_embeddings: How many different tokens there are.
        num_classes: Outputs a sample.
        embedding_dim: Values of a token's vector.
        kernel_sizes: Tokens in a window, for each convolution.
        out_channels: Windows' features that each convolution learns.
        dropout: Probability for a feature to be zero in training, below 1.
        output_activation: What the outputs go through: a layer of ``torch.nn`` by name, or a mapping with ``name`` and
            its options; null for nothing. A ``dim`` that is left out is the last one.

    Raises:
        InputError: a size below 1, no kernel, a dropout outside [0, 1).

    >>> model = TextCNN(100, 2).eval()
    >>> short, long = torch.tensor([[5, 7, 0]]), torch.tensor([[5, 7, 0, 0, 0, 0]])
    >>> torch.allclose(model(short), model(long))
    True
    """

    def __init__(
        self,
        num_embeddings: int,
        num_classes: int,
        embedding_dim: int = 64,
        kernel_sizes: Sequence[int] = (3, 4, 5),
        out_channels: int = 64,
        dropout: float = 0.5,
        output_activation: str | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        sizes = [("embedding_dim", embedding_dim), ("out_channels", out_channels)]
        sizes += [(f"kernel_sizes[{place}]", size) for place, size in enumerate(kernel_sizes)]
        findings = [
            Finding("wrong-value", "error", option, f"got {value}", "expected 1 or more")
            for option, value in sizes
            if value < 1
        ]
        if not kernel_sizes:
            findings.append(Finding("wrong-value", "error", "kernel_sizes", "the list is empty", "name at least one"))
        if not 0 <= dropout < 1:
            findings.append(
                Finding("wrong-value", "error", "dropout", f"got {dropout}", "expected at least 0, below 1")
            )
        if findings:
            raise InputError(findings)
        self.kernel_sizes = tuple(kernel_sizes)
        self.embedding = nn.Embedding(num_embeddings, embedding_dim, padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -0.25, 0.25)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding_dim, out_channels, size) for size in kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(out_channels * len(kernel_sizes), num_classes)
        self.output_act = named_layer.make_last(output_activation)

    def forward(self, x: Tensor) -> Tensor:
        there = (x != 0)[:, None]
        vectors = self.embedding(x).transpose(1, 2) * there
        found = []
        for size, convolution in zip(self.kernel_sizes, self.convolutions, strict=True):
            features = F.relu(convolution(F.pad(vectors, (0, size - 1))))
            found.append((features * there).amax(2))  # ReLU gives nothing below the 0 of what is not there
        x = self.fc(self.dropout(torch.cat(found, 1)))
        return x if self.output_act is None else self.output_act(x)
