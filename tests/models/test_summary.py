"""The layer table."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from torchwork import catalog
from torchwork.models import MODELS
from torchwork.models.lenet import LeNet
from torchwork.models.summary import layer_table, num_parameters, summarise

# Thousand millions of multiply-adds for one image, as torchvision 0.26 states them beside its weights (GFLOPS); images
# of 224 x 224 pixels, for inception_v3 of 299 x 299.
PUBLISHED = {
    "alexnet": 0.714,
    "vgg11": 7.609,
    "vgg16": 15.47,
    "resnet18": 1.814,
    "resnet50": 4.089,
    "resnet152": 11.514,
    "googlenet": 1.498,
    "inception_v3": 5.713,
    "densenet121": 2.834,
}


def test_the_table_of_lenet_is_in_the_order_of_calls() -> None:
    rows = layer_table(LeNet(), torch.zeros(4, 1, 32, 32))
    assert [(row["name"], row["type"], row["output_shape"], row["parameters"]) for row in rows] == [
        ("conv1", "Conv2d", [4, 6, 28, 28], 156),
        ("conv2", "Conv2d", [4, 16, 10, 10], 2416),
        ("fc1", "Linear", [4, 120], 48_120),
        ("fc2", "Linear", [4, 84], 10_164),
        ("fc3", "Linear", [4, 10], 850),
    ]


class Odd(nn.Module):
    """Calls its layers out of order, shares a weight, owns parameters, and leaves one layer uncalled."""

    def __init__(self) -> None:
        super().__init__()
        self.never = nn.Linear(2, 2)
        self.second = nn.Linear(3, 3, bias=False)
        self.first = nn.Linear(3, 3, bias=False)
        self.first.weight = self.second.weight
        self.scale = nn.Parameter(torch.ones(3))
        self.more = nn.ParameterList([nn.Parameter(torch.ones(3), requires_grad=False)])
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        x = self.norm(self.second(self.first(x)) * self.scale + self.more[0])
        return x, {"twice": self.first(x)}


def test_the_rows_sum_up_to_the_model() -> None:
    model = Odd()
    rows = {row["name"]: row for row in layer_table(model, torch.rand(4, 3))}
    assert list(rows) == ["first", "second", "norm", "Odd", "never"]
    assert sum(row["parameters"] for row in rows.values()) == num_parameters(model) == 6 + 9 + 6 + 6
    assert sum(row["trainable"] for row in rows.values()) == num_parameters(model, trainable=True) == 24
    assert rows["never"]["output_shape"] is None
    assert rows["Odd"]["output_shape"] == [4, 3]


def test_the_model_is_left_as_it_was() -> None:
    model = Odd().train()
    model.second.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer_table(model, torch.rand(4, 3))
    assert model.training
    assert model.norm.training
    assert not model.second.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_the_multiply_adds_of_lenet_are_those_counted_by_hand() -> None:
    found = summarise(LeNet(), torch.zeros(4, 1, 32, 32))
    by_hand = [28 * 28 * 6 * 25, 10 * 10 * 16 * 6 * 25, 400 * 120, 120 * 84, 84 * 10]
    assert [row["multiply_adds"] for row in found.layers] == by_hand
    assert found.multiply_adds == sum(by_hand) == 416_520
    assert found.batch_size == 4


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_multiply_adds_of_known_models_are_the_published_ones(name: str) -> None:
    size = 299 if name == "inception_v3" else 224
    with torch.device("meta"):  # shapes alone
        found = summarise(catalog.load(name, MODELS, "model", "")(), torch.zeros(2, 3, size, size))
    assert found.multiply_adds is not None
    assert found.multiply_adds / 1e9 == pytest.approx(PUBLISHED[name], abs=6e-4 if name != "vgg16" else 6e-3)
    assert sum(row["multiply_adds"] or 0 for row in found.layers) == found.multiply_adds


def _work(layer: nn.Module, *shape: int) -> int | None:
    return summarise(layer, torch.rand(shape)).multiply_adds


RECURRENT = {"RNN": (nn.RNN, 1), "GRU": (nn.GRU, 3), "LSTM": (nn.LSTM, 4)}


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("both", [False, True])
def test_a_recurrent_layer_takes_each_weight_of_its_matrices_once_a_token(name: str, both: bool) -> None:
    kind, gates = RECURRENT[name]
    layer = kind(8, 5, num_layers=2, bidirectional=both, batch_first=True)
    ways = 1 + both
    of_a_token = ways * gates * 5 * (8 + 5) + ways * gates * 5 * (5 * ways + 5)
    assert _work(layer, 3, 6, 8) == 6 * of_a_token


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(input=pack_padded_sequence(x, torch.tensor([5, 1]), batch_first=True))[1][0]


def test_the_padding_of_packed_sequences_is_not_counted() -> None:
    assert _work(Packed(), 2, 5, 4) == (5 + 1) * 4 * 3 * (4 + 3) / 2


def test_attention_is_counted_with_and_without_the_weights_that_it_returns() -> None:
    projections, products = 6 * 8 * (3 * 8 + 8), 2 * 6 * 6 * 8
    x = torch.rand(2, 6, 8)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)

    class Asked(nn.Module):
        def __init__(self, weights: bool) -> None:
            super().__init__()
            self.inner, self.weights = attention, weights

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x, x, x, need_weights=self.weights)[0]

    for weights in (False, True):
        assert summarise(Asked(weights), x).multiply_adds == projections + products
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert summarise(layer, x).multiply_adds == projections + products + 2 * 6 * 8 * 16


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Linear(3, 2), (5, 7, 3), 7 * 6),
        (nn.Conv1d(4, 6, 3, groups=2), (5, 4, 10), 8 * 6 * 2 * 3),
        (nn.ConvTranspose2d(2, 3, 2, stride=2), (5, 2, 4, 4), 4 * 4 * 2 * 3 * 4),
        (nn.LSTMCell(4, 3), (5, 4), 4 * 3 * (4 + 3)),
        (nn.BatchNorm1d(4), (5, 4), 0),
        (nn.ReLU(), (5, 4), 0),
    ],
)
def test_the_multiply_adds_of_single_layers(layer: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    assert _work(layer, *shape) == expected


class Twice(nn.Module):
    """Uses one layer twice, a product of its own, a result in place and a view."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.relu, self.flat = nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.shared(self.shared(x)))
        return self.flat(x @ torch.ones(3, 2))


def test_a_layer_that_is_used_twice_works_twice_and_has_its_parameters_once() -> None:
    found = summarise(Twice(), torch.rand(4, 3))
    shared, relu, flat = found.layers
    assert (shared["calls"], shared["parameters"], shared["multiply_adds"]) == (2, 12, 18)
    assert shared["weight_bytes"] == 12 * 4
    assert shared["output_bytes"] == 2 * 4 * 3 * 4
    assert found.parameters == 12
    assert (relu["output_bytes"], flat["output_bytes"]) == (0, 0)
    assert found.multiply_adds == 18 + 6, "the product outside of the layers counts in the whole"


def test_buffers_and_other_precisions_take_their_bytes() -> None:
    norm = summarise(nn.BatchNorm1d(3).double(), torch.rand(4, 3, dtype=torch.float64)).layers[0]
    assert norm["weight_bytes"] == 2 * 3 * 8 + 2 * 3 * 8 + 8  # weights; mean and variance; the count of batches
    assert norm["output_bytes"] == 4 * 3 * 8


class Uncountable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        if torch.utils._python_dispatch._len_torch_dispatch_stack():
            raise NotImplementedError("nobody may look on")
        return self.layer(x)


def test_a_model_that_runs_only_unobserved_has_its_table_without_multiply_adds() -> None:
    found = summarise(Uncountable(), torch.rand(4, 3))
    assert found.multiply_adds is None
    row = found.layers[0]
    assert (row["output_shape"], row["parameters"], row["calls"], row["multiply_adds"]) == ([4, 2], 8, 1, None)


def test_a_model_that_fails_says_its_own_mistake_and_is_left_as_it_was() -> None:
    model = LeNet().train()
    with pytest.raises(RuntimeError, match="channels"):
        summarise(model, torch.zeros(4, 3, 32, 32))
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()
