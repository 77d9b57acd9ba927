"""Which modules are units of a large model, and that computing them again changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from torchwork.training.units import recompute, units


class Backbone(nn.Module):
    """Holds most of a model, and a parameter beside its blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(4))
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(3))
        self.attention = nn.MultiheadAttention(4, 1)


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = Backbone(), nn.Linear(4, 2)
        self.tied = nn.Linear(4, 4)
        self.other = nn.Linear(4, 4)
        self.other.weight = self.tied.weight


def test_units_are_the_blocks_of_what_holds_most_and_what_stands_beside_it():
    blocks = [f"backbone.blocks.{number}.0" for number in range(3)]
    assert units(Whole(), smallest=1) == [*blocks, "backbone.attention", "head"]


def test_what_is_small_or_shares_a_parameter_is_no_unit():
    assert units(Whole(), smallest=20) == [
        *(f"backbone.blocks.{number}.0" for number in range(3)),
        "backbone.attention",
    ]
    assert units(nn.Linear(500, 500)) == []


def test_torchs_own_modules_are_not_taken_apart():
    assert units(nn.Sequential(nn.TransformerEncoderLayer(8, 1, 16)), smallest=1) == ["0"]
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 1, 16), 2, enable_nested_tensor=False)
    assert units(nn.Sequential(encoder), smallest=1) == ["0.layers.0", "0.layers.1"]


class Counting(nn.Module):
    """Counts how often it is gone through."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm, self.times = nn.Linear(6, 6), nn.BatchNorm1d(6), 0

    def forward(self, x):
        self.times += 1
        return nn.functional.dropout(self.norm(self.fc(x)), 0.5, self.training)


@pytest.mark.parametrize("again", [False, True])
def test_units_are_gone_through_once_more_and_gradients_and_statistics_are_the_same_bits(again):
    found = []
    for recomputed in (again, False):
        torch.manual_seed(0)
        model = nn.Sequential(Counting(), nn.Tanh(), Counting())
        if recomputed:
            assert recompute(model, smallest=1) == ["0", "2"]
        for _ in range(2):
            model(torch.randn(5, 6)).square().sum().backward()
        found.append((list(model.state_dict().values()), [p.grad for p in model.parameters()]))
        assert model[0].times == (4 if recomputed else 2)
        model.eval()
        model(torch.randn(5, 6)).sum().backward()
        assert model[0].times == (5 if recomputed else 3)
    for one, other in zip(*found, strict=True):
        for tensor, wanted in zip(one, other, strict=True):
            assert torch.equal(tensor, wanted)
