"""The lecture's walk over an optimizer, with its numbers; through Torchwork it is the very same object.

>>> import torch
>>> from torchwork.optim.build import build
>>> model = torch.nn.ParameterDict({"weight": torch.zeros(2, 2)})
>>> optimizer = build({"name": "SGD", "lr": 0.1, "momentum": 0.9}, model)
>>> type(optimizer)
<class 'torch.optim.sgd.SGD'>

``defaults``: the options that a group has unless it says otherwise.

>>> optimizer.defaults["lr"], optimizer.defaults["momentum"], optimizer.defaults["nesterov"]
(0.1, 0.9, False)

``state``: what is kept for each parameter; nothing before the first step.

>>> len(optimizer.state)
0

``param_groups``: dicts with parameters and their options.

>>> len(optimizer.param_groups), optimizer.param_groups[0]["params"][0] is model["weight"]
(1, True)

``step``: each weight moves by -lr times its gradient, so by -0.1 for a gradient of one.

>>> model["weight"].grad = torch.ones(2, 2)
>>> optimizer.step()
>>> model["weight"]
Parameter containing:
tensor([[-0.1000, -0.1000],
        [-0.1000, -0.1000]], requires_grad=True)
>>> optimizer.state[model["weight"]]["momentum_buffer"]
tensor([[1., 1.],
        [1., 1.]])

``zero_grad``: with gradients that are *zero*, the momentum goes on and fades; after 50 steps it is 0.9 to the 50th.

>>> optimizer.zero_grad(set_to_none=False)
>>> for _ in range(50):
...     optimizer.step()
>>> optimizer.state[model["weight"]]["momentum_buffer"]
tensor([[0.0052, 0.0052],
        [0.0052, 0.0052]])
>>> model["weight"][0, 0].item()  # -0.1 times (1 + 0.9 + ... + 0.9 to the 50th)
-0.9953...

Today's ``zero_grad`` sets gradients to None, and a parameter without a gradient is left alone: nothing moves.

>>> before = model["weight"].detach().clone()
>>> optimizer.zero_grad()
>>> model["weight"].grad is None
True
>>> for _ in range(50):
...     optimizer.step()
>>> torch.equal(model["weight"], before)
True
>>> optimizer.state[model["weight"]]["momentum_buffer"][0, 0].item()
0.0051...

``add_param_group``: more parameters, with options of their own.

>>> bias = torch.nn.Parameter(torch.zeros(3))
>>> optimizer.add_param_group({"params": [bias], "lr": 0.01, "nesterov": True})
>>> [(group["lr"], group["nesterov"]) for group in optimizer.param_groups]
[(0.1, False), (0.01, True)]

``state_dict`` and ``load_state_dict``: another optimizer of the same groups goes on where this one stopped.

>>> saved = optimizer.state_dict()
>>> saved["param_groups"][1]["params"], list(saved["state"])
([1], [0])
>>> other = torch.optim.SGD([{"params": [model["weight"]]}, {"params": [bias]}], lr=1.0)
>>> other.load_state_dict(saved)
>>> [(group["lr"], group["momentum"]) for group in other.param_groups]
[(0.1, 0.9), (0.01, 0.9)]
>>> torch.equal(other.state[model["weight"]]["momentum_buffer"], optimizer.state[model["weight"]]["momentum_buffer"])
True
"""

from __future__ import annotations

import pytest
import torch

from torchwork.optim import state
from torchwork.optim.build import build, ungrouped


def walked(zeros: bool) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """One step with gradients of one, then 50 after ``zero_grad``."""
    model = torch.nn.ParameterDict({"weight": torch.zeros(2, 2)})
    optimizer = build({"name": "SGD", "lr": 0.1, "momentum": 0.9}, model)
    model["weight"].grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(model["weight"], torch.full((2, 2), -0.1))
    optimizer.zero_grad(set_to_none=not zeros)
    for _ in range(50):
        optimizer.step()
    return model, optimizer


def test_zero_gradients_let_the_momentum_fade_and_move_the_weights():
    model, optimizer = walked(zeros=True)
    assert optimizer.state[model["weight"]]["momentum_buffer"].round(decimals=4).unique().item() == pytest.approx(
        0.0052
    )
    assert model["weight"].detach().unique().item() == pytest.approx(-(1 - 0.9**51))


def test_gradients_set_to_none_move_nothing():
    model, optimizer = walked(zeros=False)
    assert torch.equal(model["weight"], torch.full((2, 2), -0.1))
    assert torch.equal(optimizer.state[model["weight"]]["momentum_buffer"], torch.ones(2, 2))


def test_the_walk_by_name_says_what_the_walk_by_place_hides():
    model, optimizer = walked(zeros=True)
    tensors, values = state.save(optimizer, model)
    assert list(tensors) == ["weight/momentum_buffer"]
    model["bias"] = torch.nn.Parameter(torch.zeros(3))
    assert ungrouped(optimizer, model) == ["bias"]
    again = build({"name": "SGD", "lr": 1.0}, model)
    findings = state.load(again, model, tensors, values)
    assert ["bias has no saved state" in finding.message for finding in findings] == [True]
    assert again.param_groups[0]["momentum"] == 0.9
