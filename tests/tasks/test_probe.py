"""Whether outputs are probabilities is told from what they are made of, never from the luck of small scores."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchwork.tasks import output_rules
from torchwork.tasks.probe import last_operation, probe

FUNCTIONS = {
    "Sigmoid": torch.sigmoid,
    "Softmax": lambda x: x.softmax(1),
    "LogSoftmax": lambda x: x.log_softmax(1),
    "LogSigmoid": F.logsigmoid,
    "Hardsigmoid": F.hardsigmoid,
    "ReLU": F.relu,
    "Softplus": F.softplus,
    "exp": torch.exp,
    "Tanh": torch.tanh,
    "abs": torch.abs,
    "Linear": lambda x: x,
}
VIEWS = [
    lambda x: x,
    lambda x: x.unsqueeze(1).flatten(1),
    lambda x: x.transpose(0, 1).contiguous().T,
    lambda x: x[:, :1].squeeze(1),
    lambda x: x.double(),
    lambda x: torch.cat([x, x], dim=1),
]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("view", range(len(VIEWS)))
def test_the_last_operation_is_seen_past_views_and_copies(name, view):
    output = VIEWS[view](FUNCTIONS[name](nn.Linear(3, 4)(torch.ones(5, 3))))
    assert last_operation(output) == name


def test_a_tensor_without_a_graph_says_nothing():
    assert last_operation(torch.ones(2).sigmoid()) is None


class Doing(nn.Module):
    def __init__(self, width, function, hidden=()):
        super().__init__()
        self.body = nn.Sequential(*hidden)
        self.head, self.function = nn.LazyLinear(width), function

    def forward(self, x):
        return self.function(self.head(self.body(x)))


BY_HAND = {
    "sigmoid": (1, lambda x: 1 / (1 + (-x).exp())),
    "softmax": (3, lambda x: x.exp() / x.exp().sum(1, keepdim=True)),
    "exp of log_softmax": (3, lambda x: x.log_softmax(1).exp()),
    "sigmoids": (4, lambda x: x.sigmoid().clamp(0.0, 1.0)),
}


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("seed", range(5))
def test_probabilities_are_told_however_they_are_made(name, seed):
    torch.manual_seed(seed)
    found = probe(Doing(*BY_HAND[name]), torch.randn(16, 4))
    assert output_rules.are_probabilities(found.output, found)


BODIES = {
    "none": [],
    "tanh": [nn.LazyLinear(16), nn.Tanh()],
    "relu": [nn.LazyLinear(16), nn.ReLU()],
    "norm": [nn.LazyLinear(16), nn.LayerNorm(16)],
    "sigmoid": [nn.LazyLinear(16), nn.Sigmoid()],
}


@pytest.mark.parametrize("body", BODIES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 3), shift=st.floats(0, 1), added=st.booleans())
def test_scores_between_0_and_1_are_no_probabilities(body, seed, width, shift, added):
    """Scores squeezed into [0, 1] by small weights and a bias: what an untrained model may well give."""
    torch.manual_seed(seed)
    model = Doing(width, (lambda x: x + 0.0) if added else (lambda x: x), BODIES[body])
    model(torch.zeros(2, 4))
    with torch.no_grad():
        model.head.weight *= 0.05
        model.head.bias.fill_(shift)
    found = probe(model, torch.rand(16, 4))
    assert not output_rules.are_probabilities(found.output, found)
    assert not output_rules.logits(found.output, found, "BCEWithLogitsLoss")


@pytest.mark.parametrize("seed", range(5))
def test_scores_between_0_and_1_are_refused_where_probabilities_are_wanted(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 1))
    with torch.no_grad():
        model[0].weight *= 0.01
        model[0].bias.fill_(0.5)
    found = probe(model, torch.rand(16, 4))
    assert found.output.min() >= 0
    assert found.output.max() <= 1
    (finding,) = output_rules.probabilities(found.output, found, "BCELoss")
    assert "by chance" in finding.message


def test_a_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2)))
    model[2].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    probe(model, torch.randn(8, 4))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_whole_numbers_and_dicts_are_probed_as_far_as_they_can_be():
    words = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 2), nn.Sigmoid())
    found = probe(words, torch.randint(0, 10, (6, 3)))
    assert found.last == "Sigmoid"
    assert found.far is None

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.linear = words, nn.Linear(2, 2)

        def forward(self, inputs):
            return self.linear(inputs["x"]) + self.words(inputs["words"])

    found = probe(Both(), {"x": torch.ones(6, 2), "words": torch.randint(0, 10, (6, 3))})
    assert found.last is None
    assert found.far.shape == (12, 2)
