"""The layer table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from torchwork.models.lenet import LeNet
from torchwork.models.summary import layer_table, num_parameters


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
