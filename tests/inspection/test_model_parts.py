"""Kernels are those of the state dict; activations, embeddings and dead units what plain torch and scikit-learn say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from torchwork.inspection.activity import QUANTILES, activity
from torchwork.inspection.calls import calls, caught, computing, multiply_adds
from torchwork.inspection.embedding import principal
from torchwork.inspection.guard import UnavailableError
from torchwork.inspection.kernels import convolutions, kernels, spread
from torchwork.models.layers import Correlation2d
from torchwork.models.lenet import LeNet
from torchwork.models.recurrent import LSTM
from torchwork.models.resnet import resnet18


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_kernels_are_the_weights_of_the_state_dict():
    model = LeNet()
    rows, arrays = kernels(model)
    assert [row["layer"] for row in rows] == ["conv1", "conv2"]
    for row in rows:
        weight = model.state_dict()[f"{row['layer']}.weight"]
        assert row["shape"] == list(weight.shape)
        np.testing.assert_array_equal(arrays[row["layer"]], weight[:64, :16].numpy())


def test_of_many_convolutions_four_are_taken_and_those_of_one_place_passed_over():
    rows, arrays = kernels(resnet18())
    assert len(rows) == 4
    assert rows[0]["layer"] == "conv1"
    assert rows[-1]["layer"] == "layer4.1.conv2"
    assert all(row["shape"][2:] != [1, 1] for row in rows)
    assert arrays["layer4.1.conv2"].shape == (64, 16, 3, 3)
    only = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1))
    assert [row["layer"] for row in kernels(only)[0]] == ["0", "1"]


def test_own_layers_and_parametrised_weights_are_kernels_too():
    model = nn.Sequential(Correlation2d(1, 2, 3), parametrizations.weight_norm(nn.Conv2d(2, 2, 3)))
    assert list(convolutions(model)) == ["0", "1"]
    np.testing.assert_array_equal(kernels(model)[1]["1"], model[1].weight.detach().numpy())
    with pytest.raises(UnavailableError, match="no convolution"):
        kernels(nn.Linear(2, 2))


@pytest.mark.parametrize("count", [1, 2, 4, 5, 50])
def test_places_are_spread_from_the_first_to_the_last(count):
    places = spread(count, 4)
    assert places == sorted(set(places))
    assert (places[0], places[-1], len(places)) == (0, count - 1, min(count, 4))


def test_activations_are_those_of_the_layers_over_the_batch():
    torch.manual_seed(0)
    model, x = LeNet().eval(), noise(16, 1, 32, 32)
    rows = {row.layer: row for row in activity(model, x)}
    assert list(rows) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    first = model.conv1(x).detach()
    second = model.conv2(F.max_pool2d(F.relu(first), 2)).detach()
    for name, expected in (("conv1", first), ("conv2", second)):
        values = expected.double()
        assert rows[name].mean == pytest.approx(float(values.mean()))
        assert rows[name].std == pytest.approx(float(values.std(correction=0)))
        np.testing.assert_allclose(rows[name].quantiles, np.quantile(values.numpy(), QUANTILES), atol=0.02)
        assert rows[name].dead == pytest.approx(float((expected <= 0).all((0, 2, 3)).double().mean()))
    assert rows["fc3"].dead is None  # no ReLU behind it


@pytest.mark.parametrize("act", [nn.ReLU(), nn.ReLU(inplace=True), F.relu, torch.relu, torch.Tensor.relu_, nn.ReLU6()])
def test_dead_units_are_found_whichever_way_the_relu_is_called(act):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)
            self.act = act

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.act(self.norm(self.first(x))))

    model = Model()
    with torch.no_grad():
        model.norm.bias.copy_(torch.tensor([-100.0, 100.0, -100.0, -100.0]))
    rows = activity(model, noise(32, 2))
    assert [row.dead for row in rows] == [0.75, None]


def test_recurrent_layers_have_activations_and_embeddings_none():
    rows = activity(LSTM((6,), 2, 8, num_embeddings=20, embedding_dim=4), torch.randint(1, 20, (5, 6)))
    assert [(row.layer, row.units) for row in rows] == [("lstm", 8), ("fc", 2)]


def test_a_layer_that_gives_nothing_but_nan_is_told_by_name():
    model = nn.Sequential(nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.fill_(torch.nan)
    with pytest.raises(UnavailableError, match="all that 0 gives is NaN"):
        activity(model, torch.ones(3, 2))


def test_multiply_adds_are_those_of_convolutions_and_linear_layers():
    model = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Flatten(), nn.Linear(8 * 64, 10))
    assert multiply_adds(calls(model, torch.zeros(1, 3, 8, 8))) == 8 * 3 * 25 * 64 + 512 * 10
    grouped = nn.Conv2d(8, 8, 3, padding=1, groups=8)
    assert multiply_adds(calls(grouped, torch.zeros(1, 8, 4, 4))) == 8 * 9 * 16


def test_what_is_caught_is_what_the_call_gave_or_got():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True), nn.Linear(3, 1))
    x = noise(4, 2)
    found = computing(calls(model, x))
    assert [call.name for call in found] == ["0", "2"]
    with torch.no_grad(), caught(found[0]) as given, caught(found[1], entering=True) as got:
        model(x)
    torch.testing.assert_close(given[0], model[0](x).detach())
    torch.testing.assert_close(got[0], model[0](x).relu().detach())


@pytest.mark.parametrize("features", [5, 1200])
def test_the_plane_is_that_of_scikit_learns_pca(features):
    vectors = noise(40, features).double().numpy()
    points, explained = principal(vectors)
    reference = PCA(2, svd_solver="full").fit(vectors)
    expected = reference.transform(vectors)
    np.testing.assert_allclose(np.abs(points), np.abs(expected), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(explained, reference.explained_variance_ratio_, rtol=1e-6)
    np.testing.assert_array_equal(points, principal(vectors)[0])


@pytest.mark.parametrize(
    ("vectors", "why"),
    [
        (np.zeros((2, 5)), "make no plane"),
        (np.zeros((9, 1)), "make no plane"),
        (np.full((9, 3), np.nan), "NaN"),
        (np.ones((9, 3)), "one point"),
    ],
)
def test_vectors_without_a_plane_say_why(vectors, why):
    with pytest.raises(UnavailableError, match=why):
        principal(vectors)
