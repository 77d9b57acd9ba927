"""Two optimizers at once on real text: SparseAdam for a sparse embedding beside Adam for the rest."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn

import torchwork
from torchwork import rng

pytestmark = pytest.mark.slow
WORDS = 60
BUCKETS = 20_000


class Spam(nn.Module):
    """The mean of a message's word vectors, and a line through it."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(BUCKETS, 16, mode="mean", sparse=True, padding_idx=0)
        self.output = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.words(x))


def messages():
    folder = os.environ.get("TORCHWORK_TEST_DATA")
    if not folder or not (Path(folder) / "sms-spam.tsv").is_file():
        pytest.skip("needs sms-spam.tsv in the folder that TORCHWORK_TEST_DATA names")
    lines = (Path(folder) / "sms-spam.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t", 1) for line in lines]
    return np.array([label == "spam" for label, _ in pairs]).astype(int), [text for _, text in pairs]


def tokens(text):
    found = re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9]", text.lower())[:WORDS]
    ids = [1 + rng.seed(word if not word.isdigit() else f"number {len(word)}") % (BUCKETS - 1) for word in found]
    return ids + [0] * (WORDS - len(ids))


def test_spam_is_found_by_sparse_adam_beside_adam(capsys):
    labels, texts = messages()
    x, y = torch.tensor([tokens(text) for text in texts]), torch.tensor(labels)
    side = torch.tensor([rng.seed("side", text) % 5 for text in texts])  # repeated texts stand on one side
    train, test = side != 0, side == 0
    torch.manual_seed(0)
    model = Spam()
    torchwork.fit(
        model,
        (x[train], y[train]),
        loss=nn.CrossEntropyLoss(),
        optimizer=[{"name": "SparseAdam", "lr": 1e-2, "match": "words.*"}, {"name": "Adam", "lr": 1e-2}],
        epochs=10,
    )
    with torch.no_grad():
        score = f1_score(y[test], model(x[test]).argmax(1))
    with capsys.disabled():
        print(
            f"\n{'SparseAdam and Adam':22s} {'spam, F1 with repeated texts on one side':48s} {score:8.4f} >= 0.9",
            end="",
        )
    assert score >= 0.90
