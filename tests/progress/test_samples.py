"""A step says how many samples were read for it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torchwork


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [8, 8, 3]),
        ({"accumulate": 2}, [16, 3]),
        ({"drop_last": True}, [8, 8]),
        ({"batch_size": 19}, [19]),
    ],
)
def test_the_samples_of_an_epoch_are_counted_with_a_short_last_batch(options, expected):
    x, seen = torch.rand(19, 2), []
    settings = {"loss": nn.MSELoss(), "optimizer": "SGD", "epochs": 2, "batch_size": 8, **options}
    torchwork.fit(nn.Linear(2, 1), (x, x[:, :1]), watchers=[lambda step: seen.append(step.samples)], **settings)
    assert seen == expected * 2


def test_samples_that_do_not_count_in_the_loss_are_counted_as_read():
    x, target = torch.rand(6, 2), torch.tensor([0, -100, 1, -100, -100, 1])
    seen = []
    torchwork.fit(
        nn.Linear(2, 2),
        (x, target),
        loss=nn.CrossEntropyLoss(),
        optimizer="SGD",
        epochs=1,
        batch_size=6,
        watchers=[lambda step: seen.append((step.samples, step.weight))],
    )
    assert seen == [(6, 3.0)]
