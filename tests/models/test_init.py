"""Start values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from torchwork import catalog, rng
from torchwork.models import INITS
from torchwork.models.init import initialise
from torchwork.models.lenet import LeNet
from torchwork.types import InputError


def findings(model: nn.Module, spec: dict[str, Any]) -> list[str]:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError) as caught:
        initialise(model, spec, seed=0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items()), "it changed something"
    return [str(finding) for finding in caught.value.findings]


OPTIONS: dict[str, dict[str, Any]] = {"constant_": {"val": 0.3}, "sparse_": {"sparsity": 0.5}}


@pytest.mark.parametrize("name", [name for name in INITS if name != "calculate_gain"])
def test_each_method_is_torchs_drawn_from_seed_and_name(name: str) -> None:
    layer = nn.Sequential(nn.Conv2d(2, 4, 3)) if name == "dirac_" else nn.Sequential(nn.Linear(6, 4))
    options = OPTIONS.get(name, {})
    initialise(layer, {type(layer[0]).__name__: {"name": name, **options}}, seed=5)
    method = catalog.load(INITS[name], {}, "init", "")
    with torch.random.fork_rng():
        torch.manual_seed(rng.seed(5, "init", "0.weight"))
        expected = method(torch.empty_like(layer[0].weight.data), **options)
    assert torch.equal(layer[0].weight.data, expected)


def test_a_single_method_leaves_the_biases() -> None:
    model = LeNet()
    biases = {name: p.clone() for name, p in model.named_parameters() if "bias" in name}
    initialise(model, {"fc*": "xavier_uniform_", "Conv2d": {"name": "constant_", "val": 0.25}}, seed=0)
    assert all(torch.equal(p, biases[name]) for name, p in model.named_parameters() if "bias" in name)
    assert torch.all(model.conv1.weight == 0.25)
    assert float(model.fc1.weight.detach().abs().max()) <= (6 / (400 + 120)) ** 0.5


def test_a_pattern_that_says_bias_sets_biases() -> None:
    model = LeNet()
    weight = model.fc1.weight.clone()
    initialise(model, {"*.bias": "zeros_"}, seed=0)
    assert all(not p.any() for name, p in model.named_parameters() if "bias" in name)
    assert torch.equal(model.fc1.weight, weight)


def test_each_parameter_of_a_layer_can_have_its_method() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.LSTM(3, 4))
    spec = {
        "Conv2d": {"weight": "zeros_", "bias": {"name": "constant_", "val": 0.3}},
        "BatchNorm2d": {"weight": {"name": "constant_", "val": 2.0}, "bias": "ones_"},
        "LSTM": {"weight": "orthogonal_", "bias": "zeros_"},
    }
    initialise(model, spec, seed=0)
    assert not model[0].weight.any()
    assert torch.all(model[0].bias == 0.3)
    assert torch.all(model[1].weight == 2)
    assert torch.all(model[1].bias == 1)
    assert not model[2].bias_hh_l0.any()
    columns = model[2].weight_hh_l0.T @ model[2].weight_hh_l0
    assert torch.allclose(columns, torch.eye(4), atol=1e-5)


def test_the_first_matching_key_wins() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    initialise(model, {"1.*": "ones_", "Linear": "zeros_"}, seed=0)
    assert not model[0].weight.any()
    assert torch.all(model[1].weight == 1)
    assert "already set by init.Linear" in findings(model, {"Linear": "zeros_", "1.*": "ones_"})[0]


def test_adding_a_layer_does_not_change_the_others_start() -> None:
    short, long = nn.Sequential(nn.Linear(3, 3)), nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    for model in (short, long):
        initialise(model, {"Linear": {"weight": "normal_", "bias": "normal_"}}, seed=1)
    assert torch.equal(short[0].weight, long[0].weight)
    assert not torch.equal(long[0].weight, long[1].weight)


def test_the_global_generator_is_not_moved() -> None:
    state = torch.get_rng_state()
    model = nn.Sequential(nn.Linear(4, 4), nn.PReLU())
    moved = torch.get_rng_state()
    assert not torch.equal(state, moved)
    initialise(model, {"Linear": {"name": "sparse_", "sparsity": 0.5}, "PReLU": "uniform_"}, seed=0)
    assert torch.equal(moved, torch.get_rng_state())


def test_a_rank_that_a_method_cannot_take_names_the_layer() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Conv2d(1, 2, 3))
    spec = {"0.*": {"bias": "xavier_uniform_"}, "BatchNorm1d": "kaiming_normal_", "Conv2d": "eye_"}
    said = findings(model, spec)
    assert [line.split(":")[0] for line in said] == ["init.0.*.bias", "init.BatchNorm1d", "init.Conv2d"]
    assert "xavier_uniform_ cannot set 0.bias [3] of Linear" in said[0]
    assert "cannot set 1.weight [3] of BatchNorm1d" in said[1]
    assert "cannot set 2.weight [2, 1, 3, 3] of Conv2d" in said[2]


def test_every_mistake_is_reported_at_once() -> None:
    spec = {
        "Conv3d": "zeros_",
        "Conv2d": "kaiming_normal",
        "fc*": {"name": "xavier_uniform_", "gian": 2.0},
        "conv9*": {"weight": "zeros_"},
        "Linear": {"name": "normal_", "generator": 3},
    }
    said = findings(LeNet(), spec)
    assert [line.split(":")[0] for line in said] == [
        f"init.{key}" for key in ("Conv3d", "Conv2d", "fc*.gian", "conv9*.weight", "Linear.generator")
    ]
    assert "did you mean 'Conv2d'?" in said[0]
    assert "did you mean 'kaiming_normal_'?" in said[1]
    assert "did you mean 'gain'?" in said[2]


def test_calculate_gain_stands_for_a_number_and_sets_nothing() -> None:
    one, other = nn.Sequential(nn.Linear(5, 5)), nn.Sequential(nn.Linear(5, 5))
    gain = {"name": "calculate_gain", "nonlinearity": "leaky_relu", "param": 0.2}
    initialise(one, {"Linear": {"name": "xavier_normal_", "gain": gain}}, seed=0)
    initialise(other, {"Linear": {"name": "xavier_normal_", "gain": (2 / (1 + 0.2**2)) ** 0.5}}, seed=0)
    assert torch.equal(one[0].weight, other[0].weight)
    assert "sets nothing" in findings(one, {"Linear": "calculate_gain"})[0]
    wrong = {"name": "xavier_normal_", "gain": {"name": "calculate_gain", "nonlinearity": "rely"}}
    assert findings(one, {"Linear": wrong})[0].startswith("init.Linear.gain.nonlinearity: got 'rely'")
