"""Models of texts: padding has no part in what they say, and the number of tokens follows from the data."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from torchwork.models import MODELS
from torchwork.models.build import build
from torchwork.models.textcnn import TextCNN
from torchwork.types import InputError

SPECS = {
    "TextCNN": {"name": "TextCNN", "embedding_dim": 5, "out_channels": 4, "kernel_sizes": [1, 3, 4]},
    "LSTM": {"name": "LSTM", "embedding_dim": 5, "hidden_size": 6},
    "both ways": {"name": "LSTM", "embedding_dim": 5, "hidden_size": 6, "bidirectional": True, "num_layers": 2},
    "bag": {
        "name": "Sequential",
        "layers": [{"name": "EmbeddingBag", "embedding_dim": 5, "padding_idx": 0}, "Linear"],
    },
}
TEXTS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 0, 0, 0], [7, 0, 0, 0, 0], [0, 0, 0, 0, 0]])


def _built(spec: dict[str, object]) -> nn.Module:
    return build(spec, input_shape=(5,), num_outputs=3, seed=0, num_tokens=10).eval()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_padding_has_no_part_in_the_outputs_and_gets_no_gradient(spec: dict[str, object]) -> None:
    model = _built(spec)
    for parameter in model.parameters():  # biases too, as after training
        nn.init.normal_(parameter)
    table = next(parameter for parameter in model.parameters() if parameter.shape == (10, 5))
    output = model(TEXTS)
    assert torch.isfinite(output).all()
    torch.testing.assert_close(model(F.pad(TEXTS, (0, 9))), output)
    alone = [model(row[row != 0][None]) for row in TEXTS[:3]]
    torch.testing.assert_close(torch.cat(alone), output[:3])
    output.sum().backward()
    assert not table.grad[0].any()
    with torch.no_grad():
        table[0] += 1
    torch.testing.assert_close(model(TEXTS)[:3], output[:3])


def test_textcnn_is_what_its_formula_says() -> None:
    torch.manual_seed(0)
    model = TextCNN(10, 3, embedding_dim=4, kernel_sizes=[2, 3], out_channels=6, output_activation="LogSoftmax").eval()
    row = TEXTS[1]
    vectors = [model.embedding.weight[token] for token in row if token] + [torch.zeros(4)] * 2
    found = []
    for size, convolution in zip((2, 3), model.convolutions, strict=True):
        windows = [torch.stack(vectors[place : place + size], 1) for place in range(2)]
        values = [(convolution.weight * window).sum((1, 2)) + convolution.bias for window in windows]
        found.append(torch.stack(values).relu().amax(0))
    expected = F.log_softmax(model.fc(torch.cat(found)), -1)
    torch.testing.assert_close(model(TEXTS)[1], expected)


def test_lstm_reads_a_texts_vectors_and_no_more() -> None:
    model = _built(SPECS["LSTM"])
    vectors = model.embedding(torch.tensor([[9, 2]]))
    _, (state, _) = model.lstm(vectors)
    torch.testing.assert_close(model(TEXTS)[1:2], model.fc(state[-1]))


def test_the_number_of_tokens_follows_from_the_data() -> None:
    assert _built({"name": "TextCNN"}).embedding.num_embeddings == 10
    assert _built({"name": "LSTM"}).embedding.num_embeddings == 10
    layers = [{"name": "Embedding", "embedding_dim": 4}, "Flatten", "Linear"]
    assert _built({"name": "Sequential", "layers": layers})(TEXTS).shape == (4, 3)
    assert build({"name": "LSTM"}, input_shape=(5,), num_outputs=3, seed=0).embedding is None
    with pytest.raises(InputError, match="num_embeddings: got 9, but the data have 10"):
        _built({"name": "TextCNN", "num_embeddings": 9})


def test_a_model_of_ones_own_gets_the_number_of_tokens_too() -> None:
    model = build(
        {"name": "torch.nn:Embedding", "embedding_dim": 3}, input_shape=(5,), num_outputs=2, seed=0, num_tokens=7
    )
    assert model.weight.shape == (7, 3)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in SPECS and name != "Sequential"])
def test_every_other_model_of_the_catalog_refuses_texts(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} takes numbers, and texts are tokens"):
        _built({"name": name})


def test_every_mistake_is_reported_at_once() -> None:
    spec = {"name": "TextCNN", "embedding_dim": 0, "out_channels": -1, "kernel_sizes": [3, 0], "dropout": 1.0}
    with pytest.raises(InputError) as caught:
        _built(spec)
    places = ["embedding_dim", "out_channels", "kernel_sizes[1]", "dropout"]
    assert [finding.where for finding in caught.value.findings] == [f"model.{place}" for place in places]
    with pytest.raises(InputError, match="the list is empty"):
        _built({"name": "TextCNN", "kernel_sizes": []})
    with pytest.raises(InputError, match=r"LSTM reads samples of shape \[steps\], tokens"):
        build({"name": "LSTM"}, input_shape=(5, 2), num_outputs=3, seed=0, num_tokens=7)
