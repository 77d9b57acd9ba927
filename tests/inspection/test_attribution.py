"""Grad-CAM and gradients equal what plain torch gives, and leave no trace in the model."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchwork.inspection.attribution import grad_cam, input_gradient, map_layer, token_gradient
from torchwork.inspection.calls import calls
from torchwork.inspection.guard import UnavailableError, untouched
from torchwork.inspection.maps import pictured
from torchwork.models.lenet import LeNet
from torchwork.models.recurrent import LSTM
from torchwork.models.resnet import resnet18
from torchwork.models.textcnn import TextCNN
from torchwork.models.vgg import vgg11


def greatest(outputs: Tensor) -> Tensor:
    return outputs.amax(1)


def images(count: int = 3, channels: int = 1, side: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(seed))


def test_grad_cam_equals_its_formula_computed_in_two_halves_of_the_model():
    torch.manual_seed(0)
    model, x = LeNet().eval(), images()
    found = grad_cam(model, x, greatest)
    maps = model.conv2(F.max_pool2d(F.relu(model.conv1(x)), 2)).detach().requires_grad_()
    rest = F.max_pool2d(F.relu(maps), 2).flatten(1)
    scores = model.fc3(F.relu(model.fc2(F.relu(model.fc1(rest)))))
    for number in range(len(x)):
        (gradient,) = torch.autograd.grad(scores[number].max(), maps, retain_graph=True)
        alpha = gradient[number].sum((1, 2)) / gradient[number, 0].numel()
        expected = torch.relu(torch.einsum("k,kij->ij", alpha, maps[number]))
        torch.testing.assert_close(found.values[number], expected.detach())
    assert found.layer == "conv2"
    assert found.values.any()


def test_grad_cam_takes_a_residual_block_as_a_whole_and_steps_in_place_change_nothing():
    torch.manual_seed(0)
    model = resnet18(num_classes=4).eval()
    x = images(2, 3, 64)
    found = grad_cam(model, x, greatest)
    assert found.layer == "layer4"
    maps = nn.Sequential(*list(model.children())[:-2])(x).detach().requires_grad_()
    scores = model.fc(maps.mean((2, 3)))
    (gradient,) = torch.autograd.grad(scores.amax(1).sum(), maps)
    expected = torch.relu((gradient.mean((2, 3), keepdim=True) * maps).sum(1))
    torch.testing.assert_close(found.values, expected.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(_maps_of_small(inplace=True), _maps_of_small(inplace=False))


def _maps_of_small(*, inplace: bool) -> Tensor:
    torch.manual_seed(1)
    layers = [
        nn.Conv2d(1, 4, 3),
        nn.ReLU(inplace),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(inplace),
        nn.Flatten(),
        nn.Linear(64, 2),
    ]
    return grad_cam(nn.Sequential(*layers).eval(), images(2, 1, 8), greatest).values


def test_a_pooling_that_copies_the_only_place_is_not_taken_for_a_map():
    with torch.device("meta"):
        model = vgg11(num_classes=2, in_channels=3, dropout=0.0).eval()
    chosen = map_layer(calls(model, torch.zeros(1, 3, 32, 32, device="meta")))
    assert chosen.name == "features.19"  # the ReLU after the last convolution, of 2×2 places
    assert chosen.shape == (1, 512, 2, 2)


def test_a_layer_that_is_called_twice_is_caught_at_the_right_call():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.again = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.again(self.act(self.conv(x)))).flatten(1)

    torch.manual_seed(0)
    model, x = Twice().eval(), images(1, 1, 6)
    found = grad_cam(model, x, lambda outputs: outputs.sum(1))
    maps = F.relu(model.again(F.relu(model.conv(x))))[0, 0].detach()
    torch.testing.assert_close(found.values[0], maps)  # its gradient is 1 everywhere, and so is the weight


def test_the_input_gradient_is_that_of_each_sample_alone():
    torch.manual_seed(0)
    model, x = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)),
        images(4, 1, 8),
    )
    model(x)  # running statistics that are not those of the start
    found = input_gradient(model, x, greatest)
    model.eval()
    for number in range(4):
        alone = x[number : number + 1].clone().requires_grad_()
        (expected,) = torch.autograd.grad(model(alone).max(), alone)
        torch.testing.assert_close(found[number], expected[0])


def test_a_frozen_model_has_maps_too():
    model = LeNet().requires_grad_(False)
    assert grad_cam(model, images(1), greatest).values.shape == (1, 10, 10)
    assert input_gradient(model, images(1), greatest).any()
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    "made",
    [lambda: TextCNN(20, 2, 8, (2, 3), 4), lambda: LSTM((6,), 2, 8, num_embeddings=20, embedding_dim=4)],
    ids=["TextCNN", "LSTM"],
)
def test_token_gradients_are_those_of_the_vectors_times_the_vectors(made):
    torch.manual_seed(0)
    model = made().double()
    tokens = torch.tensor([[3, 4, 5, 3, 0, 0], [7, 8, 9, 10, 11, 12]])
    found = token_gradient(model, tokens, greatest)
    model.eval()
    table = model.embedding.weight
    for number in range(2):
        for place in range(6):
            step = torch.zeros_like(table)
            token = tokens[number, place]
            if token and (tokens[number] == token).sum() == 1:
                step[token] = table[token] * 1e-6
                with torch.no_grad():
                    table += step
                    above = model(tokens[number : number + 1]).amax()
                    table -= 2 * step
                    below = model(tokens[number : number + 1]).amax()
                    table += step
                assert float(found[number, place]) == pytest.approx(float(above - below) / 2e-6, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("axes", [1, 3])
def test_grad_cam_of_signals_and_volumes_equals_its_formula(axes):
    convolution, norm = {1: (nn.Conv1d, nn.BatchNorm1d), 3: (nn.Conv3d, nn.BatchNorm3d)}[axes]
    torch.manual_seed(0)
    first = nn.Sequential(convolution(2, 5, 3), norm(5), nn.ReLU()).eval()
    last = nn.Sequential(nn.Flatten(), nn.Linear(5 * 6**axes, 3)).eval()
    x = torch.randn(4, 2, *[8] * axes)
    found = grad_cam(nn.Sequential(first, last), x, greatest)
    assert found.values.shape == (4, *[6] * axes)
    maps = first(x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(last(maps).max(1).values.sum(), maps)
    alpha = gradient.flatten(2).mean(2)
    expected = torch.relu((alpha[:, :, None] * maps.flatten(2)).sum(1))
    torch.testing.assert_close(found.values.flatten(1), expected.detach())
    assert found.values.any()


def test_of_a_volume_the_slice_is_shown_that_counts_and_of_a_signal_its_channels():
    weight = torch.zeros(1, 1, 5, 4, 4)
    weight[0, 0, 3] = 1.0  # nothing but the fourth slice counts
    model = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(160, 1))
    with torch.no_grad():
        model[0].weight.zero_()[:, :, 1, 1, 1] = 1.0
        model[0].bias.zero_()
        model[2].weight.copy_(weight.repeat(1, 2, 1, 1, 1).flatten(1))
    x = torch.rand(2, 1, 5, 4, 4)
    arrays, told = pictured(model, x, lambda y: y[:, 0], sounds=False)
    assert told["slices"] == [[4, 5], [4, 5]]
    assert arrays["picture"].shape == (2, 4, 4, 3)
    torch.testing.assert_close(torch.from_numpy(arrays["cam"]), (x[:, 0, 3] * 2) / 5, rtol=1e-5, atol=1e-6)
    signals = torch.randn(3, 6, 2000)
    model = nn.Sequential(nn.Conv1d(6, 2, 9, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(996, 2))
    arrays, told = pictured(model, signals, greatest, sounds=False)
    assert {name: part.shape for name, part in arrays.items()} == {
        "signal": (3, 4, 500),
        "gradient": (3, 500),
        "cam": (3, 498),
    }
    assert told["layer"] == "1"


def test_what_cannot_be_had_says_why():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(UnavailableError, match="no convolution"):
        grad_cam(linear, images(1, 1, 8), greatest)
    with pytest.raises(UnavailableError, match="more than one place"):
        grad_cam(nn.Sequential(nn.Conv2d(1, 2, 8), nn.Flatten()), images(1, 1, 8), greatest)
    with pytest.raises(UnavailableError, match="no tensor of floats"):
        input_gradient(linear, {"a": images()}, greatest)
    with pytest.raises(UnavailableError, match=r"no nn\.Embedding"):
        token_gradient(nn.Linear(3, 2), torch.ones(1, 3), greatest)
    with pytest.raises(UnavailableError, match="pictures"):
        grad_cam(linear, torch.zeros(2, 3), greatest)


def test_nothing_that_a_pass_may_move_is_moved():
    class Restless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
            self.register_buffer("seen", torch.zeros(1))
            self.fc = nn.Linear(72, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.seen += 1
            random.random(), np.random.random(), torch.rand(1)
            return self.fc(F.dropout(self.norm(self.conv(x)), training=True).flatten(1))

    model = Restless()
    model.norm.eval()
    for parameter in model.conv.parameters():
        parameter.requires_grad_(False)
    model.fc.weight.grad = torch.ones_like(model.fc.weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    modes = [module.training for module in model.modules()]
    grad_cam(model, images(2, 1, 8), greatest)
    input_gradient(model, images(2, 1, 8), greatest)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.get_rng_state(), states[2])
    assert [module.training for module in model.modules()] == modes
    assert bool((model.fc.weight.grad == 1).all())
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True, True, True]
    assert not any(module._forward_hooks for module in model.modules())


def test_everything_is_put_back_after_a_failure_too():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(3, 1))
    with pytest.raises(RuntimeError), untouched(model):
        model(torch.ones(2, 2))
    assert model.training
    with pytest.raises(RuntimeError):
        input_gradient(model, torch.ones(2, 2), greatest)
    assert not any(module._forward_hooks for module in model.modules())
