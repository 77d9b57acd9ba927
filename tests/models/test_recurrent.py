"""The classifier of sequences."""

from __future__ import annotations

import pytest
import torch

from torchwork.models.build import build
from torchwork.models.recurrent import LSTM
from torchwork.types import InputError


def test_the_last_state_of_both_directions_is_classified() -> None:
    torch.manual_seed(0)
    model = LSTM((7, 3), 4, hidden_size=5, num_layers=2, bidirectional=True).eval()
    x = torch.rand(6, 7, 3)
    outputs, _ = model.lstm(x)
    last = torch.cat([outputs[:, -1, :5], outputs[:, 0, 5:]], 1)
    assert torch.allclose(model(x), model.fc(last), atol=1e-6)


def test_an_image_is_read_row_by_row() -> None:
    model = LSTM((2, 4, 3), 5, hidden_size=6)
    image = torch.rand(1, 2, 4, 3)
    rows = torch.stack([torch.cat([image[0, 0, row], image[0, 1, row]]) for row in range(4)])[None]
    assert model.lstm.input_size == 6
    assert torch.equal(model(image), LSTM.forward(model, rows))


@pytest.mark.parametrize("shape", [(9,), (9, 4), (3, 8, 8)])
def test_every_shape_of_sequence_builds_and_runs(shape: tuple[int, ...]) -> None:
    spec = {"name": "LSTM", "hidden_size": 8, "dropout": 0.1}
    model = build(spec, input_shape=shape, num_outputs=3, seed=0)
    assert model(torch.rand(2, *shape)).shape == (2, 3)


def test_every_mistake_is_reported_at_once() -> None:
    spec = {"name": "LSTM", "hidden_size": 0, "num_layers": 0, "dropout": 1.0}
    with pytest.raises(InputError) as caught:
        build(spec, input_shape=(2, 2, 2, 2), num_outputs=3, seed=0)
    assert [finding.where for finding in caught.value.findings] == [
        "model.hidden_size",
        "model.num_layers",
        "model.dropout",
        "model",
    ]
