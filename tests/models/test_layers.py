"""The lecture's layers against torch's."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchwork import catalog
from torchwork.models import LAYERS
from torchwork.models.build import build
from torchwork.models.layers import (
    Centring,
    Correlation2d,
    ParameterDictDense,
    ParameterListDense,
    Pool2d,
    corr2d,
    pool2d,
    windows,
)
from torchwork.models.shapes import output_shape

GEOMETRIES: list[dict[str, Any]] = [
    {"kernel_size": 3},
    {"kernel_size": (5, 3), "padding": (2, 1)},
    {"kernel_size": (3, 5), "padding": (0, 1), "stride": (3, 4)},
    {"kernel_size": 2, "stride": 2, "padding": 1},
]


def test_centring_prints_what_the_lecture_prints() -> None:
    assert Centring()(torch.tensor([1.0, 2, 3, 4, 5])).tolist() == [-2, -1, 0, 1, 2]
    assert Centring()(torch.tensor([0.0, 5, 10, 15, 20])).tolist() == [-10, -5, 0, 5, 10]
    assert not list(Centring().parameters())
    rows = Centring(dim=1)(torch.tensor([[1.0, 3], [10, 30]]))
    assert rows.tolist() == [[-1, 1], [-10, 10]]


def test_pooling_prints_what_the_lecture_prints() -> None:
    x = torch.arange(9.0).reshape(3, 3)
    assert pool2d(x, (2, 2)).tolist() == [[4, 5], [7, 8]]
    assert pool2d(x, (2, 2), "avg").tolist() == [[2, 3], [5, 6]]


@pytest.mark.parametrize("kind", [nn.Conv2d, Correlation2d])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kernel_size": 3, "padding": 1}, (8, 8)),
        ({"kernel_size": (5, 3), "padding": (2, 1)}, (8, 8)),
        ({"kernel_size": (3, 5), "padding": (0, 1), "stride": (3, 4)}, (2, 2)),
    ],
)
def test_convolutions_have_the_lectures_shapes(kind: Any, options: dict[str, Any], expected: tuple[int, int]) -> None:
    layer = kind(1, 1, **options)
    assert layer(torch.rand(1, 1, 8, 8)).shape[2:] == expected
    assert output_shape(layer, (1, 8, 8)) == (1, *expected)


def test_the_dense_layers_have_the_lectures_parameters() -> None:
    listed, named = ParameterListDense(), ParameterDictDense()
    assert [list(p.shape) for p in listed.parameters()] == [[4, 4], [4, 4], [4, 4], [4, 1]]
    assert {name: list(p.shape) for name, p in named.params.items()} == {
        "linear1": [4, 4],
        "linear2": [4, 1],
        "linear3": [4, 2],
    }
    x = torch.rand(2, 4)
    assert torch.equal(listed(x), x @ listed.params[0] @ listed.params[1] @ listed.params[2] @ listed.params[3])
    assert torch.equal(named(x), x @ named.params["linear1"])
    assert torch.equal(named(x, "linear2"), x @ named.params["linear2"])
    with pytest.raises(ValueError, match="the matrices are linear1, linear2, linear3"):
        ParameterDictDense(choice="linear4")


@pytest.mark.parametrize("options", GEOMETRIES)
def test_the_correlation_layer_equals_conv2d_in_value_and_gradient(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    own, reference = Correlation2d(3, 4, **options).double(), nn.Conv2d(3, 4, **options).double()
    reference.load_state_dict(own.state_dict())
    x = torch.rand(2, 3, 9, 8, dtype=torch.float64, requires_grad=True)
    y = torch.rand(2, 3, 9, 8, dtype=torch.float64)
    y.data.copy_(x.data)
    y.requires_grad_()
    one, other = own(x), reference(y)
    assert torch.allclose(one, other, atol=1e-12)
    direction = torch.rand_like(one)
    one.backward(direction)
    other.backward(direction)
    assert torch.allclose(x.grad, y.grad, atol=1e-12)
    for mine, theirs in zip(own.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-12)


def test_a_plain_kernel_acts_on_each_plane() -> None:
    x, kernel = torch.rand(2, 3, 7, 6), torch.rand(3, 2)
    expected = F.conv2d(x.reshape(6, 1, 7, 6), kernel[None, None], stride=(2, 1), padding=(1, 0)).reshape(2, 3, 4, 5)
    assert torch.allclose(corr2d(x, kernel, stride=(2, 1), padding=(1, 0)), expected, atol=1e-6)
    assert corr2d(x[0, 0], kernel).shape == (5, 5)


@pytest.mark.parametrize("mode", ["max", "avg"])
@pytest.mark.parametrize("options", GEOMETRIES)
def test_pooling_equals_torchs_in_value_and_gradient(mode: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    reference = {"max": F.max_pool2d, "avg": F.avg_pool2d}[mode]
    size, stride, padding = options["kernel_size"], options.get("stride", 1), options.get("padding", 0)
    values = torch.randint(0, 4, (2, 3, 9, 8)).double()  # many equal values: a maximum's gradient goes to the first
    x, y = values.clone().requires_grad_(), values.clone().requires_grad_()
    one, other = pool2d(x, size, mode, stride, padding), reference(y, size, stride, padding)
    assert torch.allclose(one, other, atol=1e-12)
    direction = torch.rand_like(one)
    one.backward(direction)
    other.backward(direction)
    assert torch.allclose(x.grad, y.grad, atol=1e-12)


def test_gradients_hold_against_finite_differences() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    kernel = torch.rand(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    plane = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    check = torch.autograd.gradcheck
    assert check(lambda a, k: corr2d(a, k, (2, 1), (1, 0)), (x, kernel))
    assert check(lambda a, k: corr2d(a, k, padding=1), (x, plane))
    for mode in ("max", "avg"):
        assert check(lambda a, mode=mode: pool2d(a, (2, 3), mode, (1, 2), (1, 1)), (x,))
    assert check(Centring(), (x,))
    for layer in (ParameterListDense().double(), ParameterDictDense().double()):
        assert check(layer, (x,))


def test_wrong_geometry_is_refused() -> None:
    x = torch.rand(3, 3)
    with pytest.raises(ValueError, match="4×2 does not fit into 3×3"):
        windows(x, (4, 2))
    with pytest.raises(ValueError, match="above half the window"):
        pool2d(x, 2, padding=2)
    with pytest.raises(ValueError, match="expected 'max' or 'avg'"):
        pool2d(x, 2, "sum")
    with pytest.raises(ValueError, match=r"this one \[2\]"):
        corr2d(x, torch.rand(2))


sizes = st.integers(1, 5)


@settings(max_examples=60, deadline=None)
@given(st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.tuples(*[st.integers(1, 12)] * 2))
def test_output_shapes_follow_torch(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], image: tuple[int, int]
) -> None:
    half = (min(padding[0], kernel[0] // 2), min(padding[1], kernel[1] // 2))
    layers = [
        nn.Conv2d(2, 3, kernel, stride, padding),
        Correlation2d(2, 3, kernel, stride, padding),
        nn.ConvTranspose2d(2, 3, kernel, stride, padding),
        nn.MaxPool2d(kernel, stride, half, ceil_mode=True),
        Pool2d(kernel, "avg", stride, half),
    ]
    for layer in layers:
        expected: tuple[int, ...] | None
        try:
            expected = tuple(layer(torch.rand(1, 2, *image)).shape[1:])
        except (RuntimeError, ValueError):
            expected = None
        if expected is None or 0 in expected:
            with pytest.raises((RuntimeError, ValueError)):
                output_shape(layer, (2, *image))
        else:
            assert output_shape(layer, (2, *image)) == expected


# A layer's least options, and the shape of a sample that it takes, where they are not the usual ones.
OPTIONS: dict[str, dict[str, Any]] = {
    "AdaptiveAvgPool": {"output_size": 2},
    "AdaptiveMaxPool": {"output_size": 2},
    "AvgPool": {"kernel_size": 2},
    "MaxPool": {"kernel_size": 2},
    "LPPool": {"norm_type": 2, "kernel_size": 2},
    "FractionalMaxPool": {"kernel_size": 2, "output_size": 3},
    "Pool": {"kernel_size": 2},
    "ConvTranspose": {"out_channels": 3, "kernel_size": 2},
    "Conv": {"out_channels": 3, "kernel_size": 2},
    "Correlation": {"out_channels": 3, "kernel_size": 2},
    "ConstantPad": {"padding": 1, "value": 0.5},
    "CircularPad": {"padding": 1},
    "ReflectionPad": {"padding": 1},
    "ReplicationPad": {"padding": 1},
    "ZeroPad": {"padding": 1},
    "ChannelShuffle": {"groups": 2},
    "PixelShuffle": {"upscale_factor": 2},
    "PixelUnshuffle": {"downscale_factor": 2},
    "Fold": {"output_size": 3, "kernel_size": 2},
    "Unfold": {"kernel_size": 2},
    "GroupNorm": {"num_groups": 2},
    "LocalResponseNorm": {"size": 2},
    "Threshold": {"threshold": 0.1, "value": 0.0},
    "Upsample": {"scale_factor": 2},
    "UpsamplingBilinear": {"scale_factor": 2},
    "UpsamplingNearest": {"scale_factor": 2},
    "Unflatten": {"dim": 1, "unflattened_size": [2, 2]},
    "TransformerEncoderLayer": {"d_model": 4, "nhead": 2, "dim_feedforward": 4, "batch_first": True},
    "Embedding": {"num_embeddings": 5, "embedding_dim": 3},
    "EmbeddingBag": {"num_embeddings": 5, "embedding_dim": 3},
    "Softmax": {"dim": 1},
    "Softmax2d": {},
    "LogSoftmax": {"dim": 1},
    "Softmin": {"dim": 1},
    "Linear": {"out_features": 3},
}
SHAPES: dict[str, tuple[int, ...]] = {
    "Fold": (16, 4),
    "BatchNorm1d": (4, 6),
    "Softmax2d": (4, 6, 6),
    "Unflatten": (4, 6),
    "TransformerEncoderLayer": (6, 4),
    "ParameterListDense": (6, 4),
    "ParameterDictDense": (6, 4),
    "Embedding": (6,),
    "EmbeddingBag": (6,),
}
RETURN_TUPLES = {"LSTM", "GRU", "RNN"}
PROCESSES_ONLY = {"SyncBatchNorm"}  # in training it runs on accelerators of several processes


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in RETURN_TUPLES | PROCESSES_ONLY])
def test_every_layer_of_the_catalog_runs_in_a_sequential_and_has_the_shape_told(name: str) -> None:
    axes = int(name[-2]) if name[-2:] in ("1d", "2d", "3d") else 2
    options = OPTIONS.get(name, OPTIONS.get(re.sub("[123]d$", "", name), {}))
    shape = SHAPES.get(name, (4, *[6] * axes))
    spec = {"name": "Sequential", "layers": [{"name": name, **options}]}
    model = build(spec, input_shape=shape, num_outputs=3, seed=0)
    samples = torch.randint(0, 5, (3, *shape)) if name.startswith("Embedding") else torch.rand(3, *shape)
    assert tuple(model(samples).shape[1:]) == output_shape(model[0], shape)


def test_every_layer_has_one_line_of_description() -> None:
    assert all(catalog.one_line(catalog.load(name, LAYERS, "layer", "")) for name in LAYERS)
