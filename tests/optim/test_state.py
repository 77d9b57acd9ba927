"""Loading a state into what is not quite the same says what could not be matched, and loads the rest."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from torchwork.optim import state
from torchwork.optim.build import build
from torchwork.optim.encoding import decode, encode
from torchwork.types import InputError


def network(*layers: str, width: int = 4) -> nn.Module:
    return nn.ModuleDict({name: nn.Linear(3, width) for name in layers})


def stepped(model: nn.Module, spec: dict | list) -> torch.optim.Optimizer:
    made = build(spec, model)
    for index, parameter in enumerate(model.parameters()):
        parameter.grad = torch.full_like(parameter, index + 1.0)
    made.step(lambda: 1.0)
    return made


def codes(findings) -> list[str]:
    return [finding.code for finding in findings]


def test_an_added_layer_starts_afresh_and_the_rest_goes_on():
    old, new = network("fc1"), network("fc0", "fc1")
    tensors, values = state.save(stepped(old, {"name": "Adam", "lr": 0.5}), old)
    made = build({"name": "Adam", "lr": 0.1}, new)
    findings = state.load(made, new, tensors, values)
    assert codes(findings) == ["parameter-without-state"]
    assert "fc0.weight, fc0.bias has no saved state" in str(findings[0])
    assert made.state[new["fc0"].weight] == {}
    assert torch.equal(made.state[new["fc1"].weight]["exp_avg"], tensors["fc1.weight/exp_avg"])
    assert made.param_groups[0]["lr"] == 0.5


def test_a_removed_layer_is_told():
    old, new = network("fc0", "fc1"), network("fc1")
    tensors, values = state.save(stepped(old, {"name": "Adam"}), old)
    findings = state.load(build({"name": "Adam"}, new), new, tensors, values)
    assert codes(findings) == ["state-without-parameter"]
    assert "fc0.weight, fc0.bias" in str(findings[0])


def test_a_weight_of_another_shape_starts_afresh():
    old, new = network("body", "head"), network("body", "head")
    new["head"] = nn.Linear(3, 7)
    tensors, values = state.save(stepped(old, {"name": "Adam"}), old)
    made = build({"name": "Adam"}, new)
    findings = state.load(made, new, tensors, values)
    assert "head.weight, head.bias had another shape" in str(findings[0])
    assert new["head"].weight not in made.state


def test_groups_in_another_order_keep_their_own_options():
    model = network("a", "b", "c")
    groups = [{"match": "a.*", "lr": 0.5}, {"match": "b.*", "lr": 0.25}]
    made = stepped(model, {"name": "SGD", "momentum": 0.9, "lr": 1, "groups": groups})
    for group in made.param_groups:
        group["lr"] /= 10  # what a schedule did
    tensors, values = state.save(made, model)
    again = build({"name": "SGD", "momentum": 0.9, "lr": 1, "groups": groups[::-1]}, model)
    assert state.load(again, model, tensors, values) == []
    assert {group["match"]: group["lr"] for group in again.param_groups} == {"b.*": 0.025, "a.*": 0.05, "*": 0.1}
    for parameter in model.parameters():
        ours, theirs = (one.state[parameter]["momentum_buffer"] for one in (made, again))
        assert torch.equal(ours, theirs)


def test_a_parameter_that_changed_its_group_is_told_and_keeps_its_state():
    model = network("a", "b")
    tensors, values = state.save(stepped(model, {"name": "Adam", "groups": [{"match": "a.*", "lr": 0.5}]}), model)
    again = build({"name": "Adam", "groups": [{"match": ["a.*", "b.bias"], "lr": 0.5}]}, model)
    findings = state.load(again, model, tensors, values)
    assert codes(findings) == ["moved-parameter"]
    assert "b.bias came from another group" in str(findings[0])
    assert torch.equal(again.state[model["b"].bias]["exp_avg"], tensors["b.bias/exp_avg"])


def test_a_group_of_new_parameters_keeps_its_own_options():
    old, new = network("a"), network("a", "b")
    tensors, values = state.save(stepped(old, {"name": "Adam", "lr": 0.5}), old)
    made = build({"name": "Adam", "lr": 0.5, "groups": [{"match": "b.*", "lr": 0.25}]}, new)
    findings = state.load(made, new, tensors, values)
    assert sorted(codes(findings)) == ["new-group", "parameter-without-state"]
    assert [group["lr"] for group in made.param_groups] == [0.25, 0.5]


def test_another_optimizers_state_is_refused():
    model = network("a")
    tensors, values = state.save(stepped(model, {"name": "Adam"}), model)
    with pytest.raises(InputError, match="of Adam, fits no parameter"):
        state.load(build({"name": "SGD"}, model), model, tensors, values)


def test_a_state_that_lost_a_tensor_is_refused():
    model = network("a")
    tensors, values = state.save(stepped(model, {"name": "Adam"}), model)
    del tensors["a.bias/exp_avg"]
    with pytest.raises(InputError, match=r"a\.bias/exp_avg"):
        state.load(build({"name": "Adam"}, model), model, tensors, values)


def test_lbfgs_takes_its_history_back_for_the_same_parameters_only():
    old, new = network("a"), network("a", "b")
    tensors, values = state.save(stepped(old, {"name": "LBFGS"}), old)
    made = build({"name": "LBFGS"}, new)
    findings = state.load(made, new, tensors, values)
    assert codes(findings) == ["state-of-others"]
    assert not made.state
    again = build({"name": "LBFGS"}, old)
    assert state.load(again, old, tensors, values) == []
    assert again.state


def test_a_parameter_may_move_from_one_optimizer_to_another():
    model = network("a", "b")
    both = [{"name": "Adam", "match": "a.*"}, {"name": "SGD", "momentum": 0.9}]
    tensors, values = state.save(stepped(model, both), model)
    again = build([{"name": "Adam", "match": ["a.*", "b.bias"]}, {"name": "SGD", "momentum": 0.9}], model)
    findings = state.load(again, model, tensors, values)
    assert [str(finding) for finding in findings] == [
        "optimizer: b.bias was trained by SGD, not by Adam; it starts afresh"
    ]


def test_a_parameter_of_no_model_is_saved_by_its_place():
    model, margin = network("a"), nn.Parameter(torch.zeros(1))

    def made() -> torch.optim.Optimizer:
        return torch.optim.SGD([{"params": model.parameters()}, {"params": [margin]}], lr=0.1, momentum=0.9)

    first = made()
    margin.grad = torch.ones(1)
    first.step()
    tensors, values = state.save(first, model)
    second = made()
    assert state.load(second, model, tensors, values) == []
    assert torch.equal(second.state[margin]["momentum_buffer"], torch.ones(1))


def test_a_state_that_cannot_be_written_down_is_refused_by_name():
    model = network("a")
    made = stepped(model, {"name": "Adam"})
    made.state[model["a"].weight]["hook"] = print
    with pytest.raises(InputError, match=r"a\.weight/hook"):
        state.save(made, model)


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text(), inner)
        | st.dictionaries(st.integers(), st.integers()).map(Counter)
    ),
    max_leaves=12,
)


@given(plain_values)
def test_encoding_survives_json_exactly(value):
    back = decode(json.loads(json.dumps(encode(value, "value"), allow_nan=False)))
    assert back == value
    assert repr(back) == repr(value)
