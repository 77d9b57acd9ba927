"""A model from a list of layers."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import nn

from torchwork.models import LAYERS
from torchwork.models.build import build
from torchwork.types import InputError


def make(layers: list[Any], shape: tuple[int, ...] = (3, 16, 16), outputs: int = 5) -> nn.Sequential:
    model = build({"name": "Sequential", "layers": layers}, input_shape=shape, num_outputs=outputs, seed=0)
    assert isinstance(model, nn.Sequential)
    return model


def findings(layers: list[Any], shape: tuple[int, ...] = (3, 16, 16)) -> list[str]:
    with pytest.raises(InputError) as caught:
        make(layers, shape)
    return [str(finding) for finding in caught.value.findings]


def test_what_the_data_say_may_be_left_out() -> None:
    model = make(
        [
            {"name": "Conv2d", "out_channels": 8, "kernel_size": 3},
            "BatchNorm2d",
            "ReLU",
            {"name": "MaxPool2d", "kernel_size": 2},
            {"name": "GroupNorm", "num_groups": 2},
            "Flatten",
            "LayerNorm",
            {"name": "Linear", "out_features": 20},
            "Tanh",
            "Linear",
        ]
    )
    assert (model[0].in_channels, model[1].num_features, model[4].num_channels) == (3, 8, 8)
    assert model[6].normalized_shape == (8 * 7 * 7,)
    assert (model[7].in_features, model[9].in_features, model[9].out_features) == (392, 20, 5)
    assert model(torch.rand(4, 3, 16, 16)).shape == (4, 5)


def test_outputs_are_filled_in_before_a_last_activation_and_in_a_convolution() -> None:
    assert make(["Flatten", "Linear", {"name": "LogSoftmax", "dim": 1}])[1].out_features == 5
    last = {"name": "Conv2d", "kernel_size": 1}
    assert make([last, {"name": "AdaptiveAvgPool2d", "output_size": 1}, "Flatten"])[0].out_channels == 5


def test_a_middle_layer_must_say_its_outputs() -> None:
    assert findings(["Flatten", "Linear", "Linear"])[0].startswith("model.layers[1]: Linear needs 'out_features'")


def test_given_numbers_are_kept() -> None:
    assert make(["Flatten", {"name": "Linear", "out_features": 9}])[1].out_features == 9


def test_all_misspelt_layers_are_reported_at_once() -> None:
    said = findings(["Conv2D", "Relu", {"kernel_size": 3}, "Flatten"])
    assert [line.split(":")[0] for line in said] == ["model.layers[0]", "model.layers[1]", "model.layers[2]"]
    assert "did you mean 'Conv2d'?" in said[0]
    assert findings([3])[0].startswith("model.layers: got [3]")


def test_a_layer_that_cannot_take_its_input_is_named() -> None:
    wrong = ["Flatten", {"name": "Conv2d", "out_channels": 8, "kernel_size": 3, "in_channels": 3}, "Linear"]
    assert findings(wrong)[0].startswith("model.layers[1]: Conv2d cannot take samples of shape [768]")
    assert "kernel size" in findings([{"name": "Conv2d", "out_channels": 8, "kernel_size": 99}, "Linear"])[0].lower()


def test_wrong_options_of_a_layer_have_their_path() -> None:
    said = findings([{"name": "Conv2d", "out_channels": "8", "kernel": 3}, "Flatten"])
    assert any(line.startswith("model.layers[0].out_channels: got '8'") for line in said)
    assert any(line.startswith("model.layers[0].kernel:") for line in said)
    assert "precision" in findings(["Flatten", {"name": "Linear", "dtype": "float64"}])[0]


def test_a_layer_that_returns_no_tensor_is_refused() -> None:
    said = findings([{"name": "LSTM", "input_size": 4, "hidden_size": 3, "batch_first": True}], (7, 4))
    assert "LSTM gives a tuple" in said[0]


def test_an_empty_list_is_refused() -> None:
    assert "empty" in findings([])[0]


def test_layers_of_ones_own_come_by_import_path() -> None:
    assert isinstance(make(["Flatten", "torch.nn:Hardswish", "Linear"])[1], nn.Hardswish)


def test_the_catalog_holds_every_layer_of_torch_that_maps_a_tensor_to_a_tensor() -> None:
    containers = {"Container", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"}
    containers |= {"RNNBase", "RNNCellBase", "DataParallel", "Transformer", "TransformerEncoder", "TransformerDecoder"}
    several_inputs = {"Bilinear", "CosineSimilarity", "PairwiseDistance", "MultiheadAttention", "MaxUnpool1d"}
    several_inputs |= {"MaxUnpool2d", "MaxUnpool3d", "RNNCell", "LSTMCell", "GRUCell", "TransformerDecoderLayer"}
    deprecated = {"CrossMapLRN2d"}
    for name, found in vars(nn).items():
        if not (inspect.isclass(found) and issubclass(found, nn.Module)):
            continue
        loss = "Loss" in name
        wanted = not (loss or name.startswith("Lazy") or name in containers | several_inputs | deprecated)
        assert (name in LAYERS) == wanted, name
