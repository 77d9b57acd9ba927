"""A classifier of sequences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from torchwork.models import named_layer
from torchwork.types import Finding, InputError


class LSTM(nn.Module):
    """An LSTM over the sample, and a linear layer on its last state.

    What a sequence is follows from the shape of a sample: ``[steps, features]`` as it is; ``[steps]`` one feature a
    step; an image ``[channels, height, width]`` row by row, from the top, with the values of all channels as features.
    With ``num_embeddings`` the steps are tokens, of which each has a vector; padding, token 0 at the end, is not read:
    a text gets the same outputs whatever it is padded to.

    Shapes: [B, *input_shape] to [B, num_classes].

    Source: Hochreiter, Schmidhuber: "Long short-term memory", 1997.

    Args:
        input_shape: Shape of one sample.
        num_classes: Outputs a sample.
        hidden_size: Values of the state, in each direction.
        num_layers: LSTMs on top of each other.
        bidirectional: Whether a second LSTM reads from the end; the last states of both are joined.
        dropout: Probability for a value between the layers and before the last one to be zero in training, below 1.
        output_activation: What the outputs go through: a layer of ``torch.nn`` by name, or a mapping with ``name`` and
            its options; null for nothing. A ``dim`` that is left out is the last one.
        num_embeddings: How many different tokens there are, where samples are such: ``[steps]`` whole numbers.
        embedding_dim: Values of a token's vector.

    Raises:
        InputError: a size below 1, a dropout outside [0, 1), samples of another shape.

    >>> LSTM((28, 28), 10)(torch.zeros(5, 28, 28)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        output_activation: str | Mapping[str, Any] | None = None,
        num_embeddings: int | None = None,
        embedding_dim: int = 64,
    ) -> None:
        super().__init__()
        findings = [
            Finding("wrong-value", "error", option, f"got {value}", "expected 1 or more")
            for option, value in (
                ("hidden_size", hidden_size),
                ("num_layers", num_layers),
                ("embedding_dim", embedding_dim),
            )
            if value < 1
        ]
        if not 0 <= dropout < 1:
            findings.append(
                Finding("wrong-value", "error", "dropout", f"got {dropout}", "expected at least 0, below 1")
            )
        if len(input_shape) not in ((1, 2, 3) if num_embeddings is None else (1,)):
            wanted = "[steps, features]" if num_embeddings is None else "[steps], tokens"
            message = f"LSTM reads samples of shape {wanted}, these have the shape {list(input_shape)}"
            findings.append(Finding("unsuitable-model", "error", "", message, "take a model for such data"))
        if findings:
            raise InputError(findings)
        axes = tuple(input_shape)
        features = 1 if len(axes) == 1 else axes[1] if len(axes) == 2 else math.prod((axes[0], axes[2]))
        self.embedding = None
        if num_embeddings is not None:
            features = embedding_dim
            self.embedding = nn.Embedding(num_embeddings, embedding_dim, padding_idx=0)
        between = dropout if num_layers > 1 else 0.0
        self.lstm = nn.LSTM(
            features, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=bidirectional
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden_size * (2 if bidirectional else 1), num_classes)
        self.output_act = named_layer.make_last(output_activation)

    def forward(self, x: Tensor) -> Tensor:
        _, (state, _) = self.lstm(self._steps(x))
        last = torch.cat([state[-2], state[-1]], 1) if self.lstm.bidirectional else state[-1]
        x = self.fc(self.dropout(last))
        return x if self.output_act is None else self.output_act(x)

    def _steps(self, x: Tensor) -> Tensor | PackedSequence:
        """Return [B, steps, features], or packed without what is padding."""
        if self.embedding is not None:
            lengths = (x != 0).sum(1).clamp(min=1).cpu()  # on CUDA a wait for the device; torch asks for it
            return pack_padded_sequence(self.embedding(x), lengths, batch_first=True, enforce_sorted=False)
        if x.dim() == 2:
            return x.unsqueeze(-1)
        return x.transpose(1, 2).flatten(2) if x.dim() == 4 else x
