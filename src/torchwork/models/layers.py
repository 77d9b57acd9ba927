"""The lecture's own layers, written out in tensor operations: what torch's built-in ones compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pair = int | tuple[int, int]


class Centring(nn.Module):
    """Subtract the mean; a layer without parameters.

    Shapes: any, to the same.

    Args:
        dim: The axes that the mean is taken over; null takes it over all values, those of the other samples too.

    >>> Centring()(torch.tensor([1.0, 2, 3, 4, 5]))
    tensor([-2., -1.,  0.,  1.,  2.])
    """

    def __init__(self, dim: int | tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x - (x.mean() if self.dim is None else x.mean(self.dim, keepdim=True))

    def extra_repr(self) -> str:
        return "" if self.dim is None else f"dim={self.dim}"


def _matrix(inputs: int, outputs: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(inputs, outputs) * inputs**-0.5)


class ParameterListDense(nn.Module):
    """Matrices of a ``ParameterList``, one after the other: ``x @ params[0] @ params[1] @ …``.

    Shapes: [..., in_features] to [..., sizes[-1]].

    Args:
        in_features: Values a sample.
        sizes: Columns of each matrix. Each starts normal with a variance of one over its rows.

    >>> [list(p.shape) for p in ParameterListDense().parameters()]
    [[4, 4], [4, 4], [4, 4], [4, 1]]
    """

    def __init__(self, in_features: int = 4, sizes: Sequence[int] = (4, 4, 4, 1)) -> None:
        super().__init__()
        rows = [in_features, *sizes][:-1]
        self.params = nn.ParameterList(_matrix(n, m) for n, m in zip(rows, sizes, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        for matrix in self.params:
            x = x @ matrix
        return x


class ParameterDictDense(nn.Module):
    """One of the matrices of a ``ParameterDict``, chosen by name: ``x @ params[choice]``.

    Shapes: [..., in_features] to [..., sizes[choice]].

    Args:
        in_features: Values a sample.
        sizes: Columns of each matrix, by its name. Each starts normal with a variance of one over its rows.
        choice: The matrix that is used where the call names none.

    Raises:
        ValueError: there is no matrix of the name ``choice``.

    >>> layer = ParameterDictDense()
    >>> layer(torch.ones(1, 4)).shape, layer(torch.ones(1, 4), "linear3").shape
    (torch.Size([1, 4]), torch.Size([1, 2]))
    """

    def __init__(self, in_features: int = 4, sizes: Mapping[str, int] | None = None, choice: str = "linear1") -> None:
        super().__init__()
        sizes = {"linear1": 4, "linear2": 1, "linear3": 2} if sizes is None else sizes
        if choice not in sizes:
            raise ValueError(f"choice is {choice!r}, the matrices are {', '.join(sizes)}")
        self.params = nn.ParameterDict({name: _matrix(in_features, size) for name, size in sizes.items()})
        self.choice = choice

    def forward(self, x: Tensor, choice: str | None = None) -> Tensor:
        return x @ self.params[self.choice if choice is None else choice]

    def extra_repr(self) -> str:
        return f"choice={self.choice!r}"


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def windows(x: Tensor, size: Pair, stride: Pair = 1, padding: Pair = 0, fill: float = 0.0) -> Tensor:
    """Return the windows of the last two axes: [..., H, W] to [..., H', W', h, w], a view where nothing is padded.

    H' = floor((H + 2 padding − h) / stride) + 1, and the same for the width.

    Raises:
        ValueError: the window is larger than the padded image.
    """
    (h, w), (down, right), (top, left) = _pair(size), _pair(stride), _pair(padding)
    if top or left:
        x = F.pad(x, (left, left, top, top), value=fill)
    if h > x.shape[-2] or w > x.shape[-1]:
        raise ValueError(f"a window of {h}×{w} does not fit into {x.shape[-2]}×{x.shape[-1]}")
    return x.unfold(-2, h, down).unfold(-2, w, right)


def corr2d(x: Tensor, kernel: Tensor, stride: Pair = 1, padding: Pair = 0) -> Tensor:
    """Cross-correlation in two dimensions: ``y[i, j] = Σ x[i·stride + a, j·stride + b] · kernel[a, b]``.

    Shapes: with a kernel [h, w], [..., H, W] to [..., H', W'], each plane by itself; with a kernel [O, C, h, w],
    [B, C, H, W] to [B, O, H', W'], summed over the channels C, as ``torch.nn.functional.conv2d`` does.
    H' = floor((H + 2 padding − h) / stride) + 1.

    Raises:
        ValueError: the kernel has another rank, or is larger than the padded image.

    >>> corr2d(torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2))
    tensor([[19., 25.],
            [37., 43.]])
    """
    if kernel.dim() not in (2, 4):
        raise ValueError(f"a kernel has the shape [h, w] or [O, C, h, w], this one {list(kernel.shape)}")
    h, w = kernel.shape[-2:]
    cut = windows(x, (h, w), stride, padding)
    if kernel.dim() == 2:
        return torch.einsum("...hw,hw->...", cut, kernel)
    return torch.einsum("bcyxhw,ochw->boyx", cut, kernel)


class Correlation2d(nn.Module):
    """A convolutional layer on `corr2d`: what ``torch.nn.Conv2d`` computes, with the same parameters and start.

    Shapes: [B, in_channels, H, W] to [B, out_channels, H', W'].

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        stride: Step of the kernel, down and to the right.
        padding: Rows and columns of zeros on each side.
        bias: Whether a number is added to each output channel.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        kernel_size: Pair = 3,
        stride: Pair = 1,
        padding: Pair = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        size = _pair(kernel_size)
        self.stride, self.padding = _pair(stride), _pair(padding)
        bound = (in_channels * size[0] * size[1]) ** -0.5
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = corr2d(x, self.weight, self.stride, self.padding)
        return y if self.bias is None else y + self.bias[:, None, None]

    def extra_repr(self) -> str:
        outputs, inputs, *size = self.weight.shape
        return f"{inputs}, {outputs}, kernel_size={tuple(size)}, stride={self.stride}, padding={self.padding}"


def pool2d(x: Tensor, size: Pair, mode: Literal["max", "avg"] = "max", stride: Pair = 1, padding: Pair = 0) -> Tensor:
    """The largest value, or the mean, of each window of the last two axes.

    As torch's pooling with the same stride (which is there the window's size by default, here 1): a maximum ignores
    the padding and gives its gradient to the first of equal values; a mean counts the padding as zeros.

    Shapes: [..., H, W] to [..., H', W'], H' = floor((H + 2 padding − h) / stride) + 1.

    Raises:
        ValueError: another mode, a padding above half the window, or a window larger than the padded image.

    >>> x = torch.arange(9.0).reshape(3, 3)
    >>> pool2d(x, (2, 2)).tolist(), pool2d(x, (2, 2), "avg").tolist()
    ([[4.0, 5.0], [7.0, 8.0]], [[2.0, 3.0], [5.0, 6.0]])
    """
    if mode not in ("max", "avg"):
        raise ValueError(f"mode is {mode!r}, expected 'max' or 'avg'")
    if any(p > s // 2 for p, s in zip(_pair(padding), _pair(size), strict=True)):
        raise ValueError(f"padding {padding} is above half the window {size}")
    if mode == "avg":
        return windows(x, size, stride, padding).mean((-2, -1))
    return windows(x, size, stride, padding, fill=float("-inf")).flatten(-2).max(-1).values


class Pool2d(nn.Module):
    """A pooling layer on `pool2d`.

    Shapes: [..., H, W] to [..., H', W'].

    Args:
        kernel_size: Height and width of the window.
        mode: ``max`` or ``avg``.
        stride: Step of the window; null is the window's size, as in ``torch.nn.MaxPool2d``.
        padding: Rows and columns on each side: none for a maximum, zeros for a mean.
    """

    def __init__(
        self,
        kernel_size: Pair,
        mode: Literal["max", "avg"] = "max",
        stride: Pair | None = None,
        padding: Pair = 0,
    ) -> None:
        super().__init__()
        self.kernel_size, self.mode, self.padding = kernel_size, mode, padding
        self.stride = kernel_size if stride is None else stride

    def forward(self, x: Tensor) -> Tensor:
        return pool2d(x, self.kernel_size, self.mode, self.stride, self.padding)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, {self.mode!r}, stride={self.stride}, padding={self.padding}"
