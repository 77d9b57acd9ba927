"""Models that end in an activation of choice."""

import pytest
import torch

from torchwork.models.build import build
from torchwork.types import InputError

SHAPES = {"MLP": (6,), "LSTM": (5, 6)}


def made(name, **options):
    return build({"name": name, **options}, input_shape=SHAPES[name], num_outputs=3, seed=0)


@pytest.mark.parametrize("name", SHAPES)
def test_the_outputs_go_through_it_and_the_parameters_are_the_same(name):
    x = torch.randn(4, *SHAPES[name])
    plain, ends = made(name), made(name, output_activation="LogSoftmax")
    assert list(plain.state_dict()) == list(ends.state_dict())
    assert torch.equal(ends(x), plain(x).log_softmax(-1))
    assert torch.allclose(
        made(name, output_activation={"name": "Softplus", "beta": 2.0})(x),
        torch.nn.functional.softplus(plain(x), beta=2.0),
    )


@pytest.mark.parametrize("name", SHAPES)
def test_an_unknown_one_is_an_error_with_the_nearest_name(name):
    with pytest.raises(InputError, match=r"model.output_activation.*Sigmod.*did you mean 'Sigmoid'"):
        made(name, output_activation="Sigmod")
