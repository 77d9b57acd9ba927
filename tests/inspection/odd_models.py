"""Models as people write them, of which not everything can be had."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Reader(nn.Module):
    """Log-probabilities [B, T, K] for strips of digits, as CTCLoss takes them."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, num_classes, (16, 4), stride=(1, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).squeeze(2).transpose(1, 2).log_softmax(-1)


class Functional(nn.Module):
    """No layers: parameters and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((2, 3), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) @ self.weight.T


class Refusing(Functional):
    """Takes no hooks."""

    def register_forward_hook(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no hooks here")


class Detached(Functional):
    """Has no way back from the outputs to the inputs."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach()).detach()


class Constant(Functional):
    """Looks at no input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.sum(1).expand(len(x), 2)


class Counting(nn.Module):
    """Changes a buffer, and draws, at every call, even in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.fc(torch.relu(self.norm(self.conv(x + 1e-3 * torch.rand(1)))).mean((2, 3)))


class NotFinite(nn.Module):
    """Gives nothing but NaN."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc((self.conv(x) * torch.nan).mean((2, 3)))


class Picky(nn.Module):
    """Takes batches of eight only."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) != 8:
            raise ValueError("a batch must have eight samples")
        return self.fc(x.mean((2, 3)))


class InsideOut(nn.Module):
    """Hands its layers dicts and tuples."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = _Dict(), _Tuple()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first({"image": x}))[0]


class _Dict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"maps": self.conv(given["image"])}


class _Tuple(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, given: dict[str, Tensor]) -> tuple[Tensor, None]:
        return self.fc(given["maps"].relu().mean((2, 3))), None
