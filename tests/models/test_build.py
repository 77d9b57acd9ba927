"""Building models from their section of a config."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchwork.models import MODELS
from torchwork.models.build import build
from torchwork.models.summary import num_parameters
from torchwork.types import InputError


def make(spec: dict[str, Any], shape: tuple[int, ...] = (1, 32, 32), outputs: int = 10, seed: int = 0) -> nn.Module:
    return build(spec, input_shape=shape, num_outputs=outputs, seed=seed)


def findings(spec: dict[str, Any], shape: tuple[int, ...] = (1, 32, 32), outputs: int = 10) -> list[str]:
    with pytest.raises(InputError) as caught:
        make(spec, shape, outputs)
    return [str(finding) for finding in caught.value.findings]


def test_lenet_is_the_lectures() -> None:
    model = make({"name": "LeNet"})
    assert [name for name, _ in model.named_parameters()] == [
        f"{layer}.{part}" for layer in ("conv1", "conv2", "fc1", "fc2", "fc3") for part in ("weight", "bias")
    ]
    assert num_parameters(model) == 61_706
    assert next(model.parameters()).shape == (6, 1, 5, 5)


def test_lenet_has_the_same_layers_for_28_by_28() -> None:
    big, small = make({"name": "LeNet"}), make({"name": "LeNet"}, (1, 28, 28))
    assert {n: p.shape for n, p in big.named_parameters()} == {n: p.shape for n, p in small.named_parameters()}
    assert small(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_lenet_rectifies_behind_the_pooling_to_the_same_bits(memory_format: torch.memory_format) -> None:
    model = make({"name": "LeNet"}, (1, 28, 28)).to(memory_format=memory_format)

    def as_the_lecture(x: Tensor) -> Tensor:
        for convolution in (model.conv1, model.conv2):
            x = F.max_pool2d(F.relu(convolution(x)), 2)
        return model.fc3(F.relu(model.fc2(F.relu(model.fc1(x.flatten(1))))))

    x = torch.randn(64, 1, 28, 28).round(decimals=1)  # with equal values in a window
    x[:16] = 0  # and windows in which nothing else stands
    x = x.contiguous(memory_format=memory_format)
    told = []
    for forward in (model, as_the_lecture):
        model.zero_grad()
        loss = F.cross_entropy(forward(x), torch.arange(64) % 10)
        loss.backward()
        told.append([loss.detach(), *(p.grad for p in model.parameters())])
    assert all(torch.equal(*pair) for pair in zip(*told, strict=True))


@pytest.mark.parametrize(("shape", "padding"), [((3, 16, 16), 0), ((1, 12, 12), 2), ((3, 41, 64), 0), ((2, 28, 28), 1)])
def test_lenet_adapts_to_channels_and_size(shape: tuple[int, ...], padding: int) -> None:
    model = make({"name": "LeNet", "padding": padding}, shape, 7)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


def test_too_small_images_are_an_error_that_names_the_least_size() -> None:
    assert "at least 16×16, these are 8×8" in findings({"name": "LeNet"}, (1, 8, 8))[0]
    assert "at least 12×12, these are 11×40" in findings({"name": "LeNet", "padding": 2}, (1, 11, 40))[0]
    assert "at least 67×67" in findings({"name": "AlexNet"}, (3, 66, 66))[0]


def test_lecture_alexnet_has_the_lectures_parameters() -> None:
    with torch.device("meta"):
        model = make({"name": "AlexNet"}, (1, 224, 224))
        assert model(torch.zeros(2, 1, 224, 224)).shape == (2, 10)
        small = make({"name": "AlexNet"}, (3, 67, 90))
        assert small(torch.zeros(2, 3, 67, 90)).shape == (2, 10)
    assert num_parameters(model) == 46_764_746
    assert model.fc[0].in_features == 6400


def test_mlp_follows_its_options() -> None:
    spec = {
        "name": "MLP",
        "hidden": [64, 32],
        "activation": {"name": "LeakyReLU", "negative_slope": 0.1},
        "dropout": 0.2,
    }
    model = make(spec, (1, 8, 8))
    weights = [list(p.shape) for n, p in model.named_parameters() if n.endswith("weight")]
    assert weights == [[64, 64], [32, 64], [10, 32]]
    x = torch.rand(5, 1, 8, 8)
    model.eval()
    expected = x.flatten(1)
    for linear in model.hidden:
        expected = nn.functional.leaky_relu(linear(expected), 0.1)
    assert torch.equal(model(x), model.output(expected))


def test_every_mistake_of_an_mlp_is_reported_with_its_path() -> None:
    assert findings({"name": "MLP", "hidden": ["64"]})[0].startswith("model.hidden: got ['64']")
    assert findings({"name": "MLP", "hiden": [64]})[0].endswith("did you mean 'hidden'?")
    said = findings({"name": "MLP", "hidden": [64, 0], "dropout": 1.0})
    assert [line.split(":")[0] for line in said] == ["model.hidden[1]", "model.dropout"]
    assert findings({"name": "MLP", "activation": "Relu"})[0].endswith("did you mean 'ReLU'?")


def test_a_misspelt_model_names_the_nearest() -> None:
    assert findings({"name": "LeNett"}) == ["model: there is no model 'LeNett'; did you mean 'LeNet'?"]


def test_a_model_of_images_refuses_a_table() -> None:
    assert "[30]" in findings({"name": "LeNet"}, (30,))[0]


def test_an_option_that_contradicts_the_data_is_an_error() -> None:
    assert "image_size: got 28" in findings({"name": "LeNet", "image_size": 28})[0]
    assert "in_channels: got 3" in findings({"name": "LeNet", "in_channels": 3})[0]


def test_start_values_are_a_function_of_the_seed_and_touch_no_generator() -> None:
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    first = make({"name": "LeNet"}, seed=1)
    torch.rand(3)
    same, other = make({"name": "LeNet"}, seed=1), make({"name": "LeNet"}, seed=2)
    torch.set_rng_state(states[2])
    make({"name": "LeNet"}, seed=3)
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.get_rng_state(), states[2])
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.fc1.weight, other.fc1.weight)


def test_a_models_generators_are_put_back_after_an_error() -> None:
    state = torch.get_rng_state()
    findings({"name": "LeNet"}, (1, 8, 8))
    assert torch.equal(torch.get_rng_state(), state)


class Own(nn.Module):
    """A user's model: takes what the data say, by name."""

    def __init__(self, in_features: int, num_classes: int, width: int = 4) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, width)
        self.out = nn.Linear(width, num_classes)


def no_module() -> int:
    """Returns what is no model."""
    return 3


def failing() -> nn.Module:
    """Fails as a user's code may."""
    raise KeyError("backbone")


@pytest.fixture
def user_module(monkeypatch: pytest.MonkeyPatch) -> str:
    import sys
    import types

    module = types.ModuleType("own_models")
    vars(module).update(Own=Own, no_module=no_module, failing=failing)
    monkeypatch.setitem(sys.modules, "own_models", module)
    return "own_models"


def test_an_import_path_gets_the_datas_numbers(user_module: str) -> None:
    model = make({"name": f"{user_module}:Own", "width": 6}, (2, 3), 5)
    assert model.linear.in_features == 6
    assert model.out.out_features == 5
    assert make({"name": "torch.nn:Identity"}, (3,)) is not None


def test_the_users_value_wins_over_the_datas_for_an_import_path(user_module: str) -> None:
    assert make({"name": f"{user_module}:Own", "num_classes": 2}, (3,)).out.out_features == 2


def test_what_is_no_model_or_cannot_be_built_is_an_error(user_module: str) -> None:
    assert "gives a int" in findings({"name": f"{user_module}:no_module"})[0]
    assert "KeyError: 'backbone'" in findings({"name": f"{user_module}:failing"})[0]
    assert "has no 'Owm'; did you mean 'Own'?" in findings({"name": f"{user_module}:Owm"})[0]


def test_a_module_that_fails_at_its_import_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_at_import.py").write_text("raise RuntimeError('operator x::y does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    said = findings({"name": "failing_at_import:Model"})
    assert "importing 'failing_at_import' fails: RuntimeError: operator x::y" in said[0]


@pytest.mark.parametrize("name", [name for name in MODELS if name != "Sequential"])
def test_every_model_of_the_catalog_can_be_copied_and_loaded(name: str) -> None:
    with torch.device("meta"):
        of_texts = name == "TextCNN"
        shape, num_tokens = ((9,), 5) if of_texts else ((3, 299, 299), None)
        model = build({"name": name}, input_shape=shape, num_outputs=7, seed=0, num_tokens=num_tokens)
        copy.deepcopy(model).load_state_dict(model.state_dict())
