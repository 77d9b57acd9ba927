"""What is said about a model's start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchwork.models import LAYERS, named_layer
from torchwork.models.build import build
from torchwork.models.init import initialise
from torchwork.models.layers import Correlation2d, ParameterListDense
from torchwork.models.lenet import LeNet
from torchwork.models.start import measure, weight_findings


def codes(model: nn.Module) -> dict[str, str]:
    return {finding.where: finding.code for finding in weight_findings(model)}


def loss_on(*shape: int) -> Callable[[nn.Module], Tensor]:
    x = torch.randn(16, *shape, generator=torch.Generator().manual_seed(0))
    return lambda model: nn.functional.cross_entropy(model(x), torch.arange(16) % 10)


@pytest.mark.parametrize("value", [0.0, 0.01, 0.1])
def test_weights_that_are_all_equal_are_a_finding(value: float) -> None:
    model = LeNet()
    initialise(model, {"fc1*": {"name": "constant_", "val": value}, "conv2*": {"name": "constant_", "val": value}}, 0)
    assert codes(model) == {"conv2.weight": "equal-weights", "fc1.weight": "equal-weights"}
    assert f"are {value:g}" in weight_findings(model)[0].message


def test_the_lectures_own_start_is_found() -> None:
    class Lecture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Conv2d(1, 1, 3)
            self.output = nn.Linear(100, 1)

    model = Lecture()
    lecture = {
        "Conv2d": {"weight": "zeros_", "bias": {"name": "constant_", "val": 0.3}},
        "Linear": {"weight": {"name": "normal_", "mean": 0.1}, "bias": "zeros_"},
    }
    initialise(model, lecture, seed=0)
    assert codes(model) == {"hidden.weight": "equal-weights", "output.weight": "weight-spread"}
    assert "calls for mean 0 and std about 0.1" in weight_findings(model)[1].message


@pytest.mark.parametrize(
    ("method", "options"), [("normal_", {"mean": 0.1}), ("normal_", {"std": 1e-4}), ("uniform_", {}), ("normal_", {})]
)
def test_a_spread_far_from_what_fan_in_calls_for_is_a_finding(method: str, options: dict[str, float]) -> None:
    model = LeNet()
    initialise(model, {"fc1*": {"name": method, **options}}, seed=0)
    assert codes(model) == {"fc1.weight": "weight-spread"}


def test_a_mean_far_from_zero_is_a_finding_though_the_spread_is_right() -> None:
    model = nn.Sequential(nn.Linear(400, 100))
    initialise(model, {"Linear": {"name": "normal_", "mean": 0.05, "std": 0.05}}, seed=0)
    assert codes(model) == {"0.weight": "weight-spread"}


def test_biases_norm_scales_dirac_and_eye_are_no_findings() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(40, 40), nn.LayerNorm([2, 20]), nn.Linear(9, 300)
    )
    spec = {
        "Conv2d": {"weight": "dirac_", "bias": {"name": "constant_", "val": 5.0}},
        "BatchNorm2d": {"weight": {"name": "constant_", "val": 7.0}, "bias": "zeros_"},
        "Linear": {"weight": "eye_", "bias": "ones_"},
        "LayerNorm": {"weight": "ones_", "bias": "zeros_"},
    }
    initialise(model, spec, seed=0)
    assert codes(model) == {}


@pytest.mark.parametrize("inputs", [1, 9, 400, 4096])
@pytest.mark.parametrize("outputs", [10, 400, 4096])
@pytest.mark.parametrize(
    "method",
    [
        "kaiming_normal_",
        {"name": "kaiming_uniform_", "mode": "fan_out", "nonlinearity": "relu"},
        {"name": "xavier_normal_", "gain": {"name": "calculate_gain", "nonlinearity": "tanh"}},
        "orthogonal_",
        "eye_",
    ],
)
def test_the_usual_methods_are_no_findings(method: Any, inputs: int, outputs: int) -> None:
    model = nn.Sequential(nn.Linear(inputs, outputs))
    assert codes(model) == {}
    if inputs * outputs > 4e6 and method == "orthogonal_":
        return  # seconds of a decomposition
    if inputs > outputs and "mode" in method:
        return  # a fan-out far below the fan-in does give a spread that the fan-in does not call for
    initialise(model, {"Linear": method}, seed=0)
    assert codes(model) == {}


SMALL = ["MLP", "LeNet", "LSTM", "resnet18", "googlenet", "densenet121", "inception_v3"]


@pytest.mark.parametrize("name", SMALL)
def test_the_models_of_the_catalog_start_well(name: str) -> None:
    options = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    model = build({"name": name, **options}, input_shape=(3, 80, 80), num_outputs=10, seed=0)
    assert codes(model) == {}


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "ConvTranspose2d", "in_channels": 32, "out_channels": 16, "kernel_size": 4, "stride": 2, "groups": 4},
        {"name": "Conv2d", "in_channels": 32, "out_channels": 32, "kernel_size": 3, "groups": 32},
        {"name": "Conv1d", "in_channels": 3, "out_channels": 8, "kernel_size": 9},
        {"name": "Correlation2d", "in_channels": 3, "out_channels": 8, "kernel_size": 9},
        {"name": "Embedding", "num_embeddings": 100, "embedding_dim": 8},
        {"name": "TransformerEncoderLayer", "d_model": 16, "nhead": 2},
        "ParameterListDense",
        "ParameterDictDense",
        "PReLU",
    ],
)
def test_torchs_own_starts_are_no_findings(spec: Any) -> None:
    assert named_layer.read(spec, "")[0] in LAYERS
    torch.manual_seed(0)
    assert codes(nn.Sequential(named_layer.make(spec, ""))) == {}


def test_own_layers_are_looked_at_too() -> None:
    correlation, dense = Correlation2d(8, 8, 5), ParameterListDense()
    nn.init.normal_(correlation.weight)
    nn.init.constant_(dense.params[1], 0.5)
    assert codes(nn.Sequential(correlation, dense)) == {"0.weight": "weight-spread", "1.params.1": "equal-weights"}


def test_a_spread_before_a_norm_and_frozen_weights_are_no_findings() -> None:
    model = nn.Sequential(nn.Linear(100, 100), nn.ReLU(), nn.BatchNorm1d(100), nn.Linear(100, 10))
    nn.init.normal_(model[0].weight)
    nn.init.zeros_(model[3].weight)
    model[3].weight.requires_grad_(False)
    assert codes(model) == {}


def test_the_table_shows_what_hand_computed_numbers_are() -> None:
    torch.manual_seed(0)
    model = LeNet()
    loss = loss_on(1, 32, 32)
    rows = {row["name"]: row for row in measure(model, loss).rows}
    assert list(rows) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    loss(model).backward()
    output = model.conv1(torch.randn(16, 1, 32, 32, generator=torch.Generator().manual_seed(0))).detach()
    assert rows["conv1"]["activation_std"] == pytest.approx(float(output.std(correction=0)), rel=1e-4)
    for name, row in rows.items():
        weight = model.get_parameter(f"{name}.weight")
        slope = weight.grad
        assert slope is not None
        weight = weight.detach()
        assert row["mean"] == pytest.approx(float(weight.mean()), abs=1e-6)
        assert row["std"] == pytest.approx(float(weight.std(correction=0)), rel=1e-4)
        assert row["gradient_std"] == pytest.approx(float(slope.std(correction=0)), rel=1e-4)


class Unused(nn.Module):
    """A layer that forward forgets, one behind a detach, and one that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.forgotten, self.cut, self.frozen = (nn.Linear(10, 10) for _ in range(4))
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(self.frozen(x)) + self.cut(x).detach()


def test_a_parameter_without_gradient_is_a_finding_and_a_frozen_one_is_none() -> None:
    torch.manual_seed(0)
    found = {finding.where: finding.code for finding in measure(Unused(), loss_on(10)).findings}
    assert found == dict.fromkeys(("forgotten.weight", "forgotten.bias", "cut.weight", "cut.bias"), "no-gradient")


def test_a_gradient_of_exactly_zero_is_a_finding() -> None:
    model = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10))
    nn.init.constant_(model[0].bias, -100.0)
    found = {finding.where for finding in measure(model, loss_on(10)).findings if finding.code == "zero-gradient"}
    assert found == {"0.weight", "0.bias", "2.weight"}


def test_a_last_bias_that_cancels_between_two_outputs_is_told_so() -> None:
    model = nn.Linear(4, 1)
    x = torch.randn(8, 2, 4)
    found = measure(model, lambda net: (net(x)[:, 0] - net(x)[:, 1]).sum()).findings
    assert [(finding.where, "a last bias cancels" in finding.fix) for finding in found] == [("bias", True)]


def test_measuring_leaves_no_trace() -> None:
    model = nn.Sequential(nn.Linear(10, 10), nn.BatchNorm1d(10), nn.Dropout(), nn.Linear(10, 10)).train()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    measure(model, loss_on(10))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(bool((p.grad == 1).all()) for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_wholly_frozen_model_has_a_table_without_gradients() -> None:
    model = nn.Sequential(nn.Linear(10, 10)).requires_grad_(False)
    start = measure(model, loss_on(10))
    assert start.findings == []
    assert start.rows[0]["gradient_std"] is None
    assert start.rows[0]["activation_std"] > 0


def test_a_last_layer_that_was_set_by_its_name_may_have_the_scale_of_its_targets():
    model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 1))
    nn.init.normal_(model[2].weight, std=9.0)
    assert [finding.where for finding in weight_findings(model)] == ["2.weight"]
    assert not weight_findings(model, meant={"2.weight": "normal_"})
    nn.init.normal_(model[0].weight, std=9.0)
    assert [finding.where for finding in weight_findings(model, meant={"0.weight", "2.weight"})] == ["0.weight"]
