"""Groups, lists of optimizers, and everything that is refused before training."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from torchwork.optim import OPTIMIZERS
from torchwork.optim.build import build, ungrouped
from torchwork.optim.check import check
from torchwork.optim.several import Optimizers
from torchwork.types import InputError


def network() -> nn.Module:
    return nn.ModuleDict({"conv1": nn.Conv2d(3, 4, 3), "fc1": nn.Linear(4, 4), "fc2": nn.Linear(4, 2)})


def texts() -> nn.Module:
    return nn.ModuleDict({"words": nn.EmbeddingBag(9, 4, sparse=True), "head": nn.Linear(4, 2)})


def names_of(optimizer, model: nn.Module) -> list[list[str]]:
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    return [[known[id(p)] for p in group["params"]] for group in optimizer.param_groups]


def refusal(spec, model: nn.Module) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        build(spec, model)
    for finding in caught.value.findings:
        assert finding.severity == "error"
        assert finding.fix
    return [(finding.code, finding.where) for finding in caught.value.findings]


def test_without_groups_it_is_the_optimizer_that_torch_would_make():
    model = network()
    made = build({"name": "AdamW", "lr": 0.01, "betas": [0.8, 0.9]}, model)
    by_hand = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.8, 0.9), fused=True)
    assert type(made) is torch.optim.AdamW
    assert made.state_dict() == by_hand.state_dict()
    assert made.defaults == by_hand.defaults


def test_first_matching_group_wins_and_the_rest_comes_last():
    model = network()
    groups = [{"match": "fc1.bias", "lr": 1}, {"match": ["fc*", "conv1.bias"], "lr": 2.0, "weight_decay": 0.5}]
    made = build({"name": "SGD", "lr": 3.0, "groups": groups}, model)
    assert names_of(made, model) == [
        ["fc1.bias"],
        ["conv1.bias", "fc1.weight", "fc2.weight", "fc2.bias"],
        ["conv1.weight"],
    ]
    assert [(g["match"], g["lr"], g["weight_decay"]) for g in made.param_groups] == [
        ("fc1.bias", 1.0, 0),
        ("fc*, conv1.bias", 2.0, 0.5),
        ("*", 3.0, 0),
    ]


def test_groups_that_take_everything_leave_no_last_group():
    model = network()
    made = build({"name": "SGD", "groups": [{"match": "conv*"}, {"match": "*", "lr": 0.5}]}, model)
    assert [len(group["params"]) for group in made.param_groups] == [2, 4]


patterns = st.sampled_from(["*", "fc*", "fc1.*", "*.bias", "conv1.weight", "*1*", "fc[12].weight"])


@given(st.lists(patterns, min_size=1, max_size=4), st.sets(st.integers(0, 5), max_size=5))
def test_every_trainable_parameter_is_in_exactly_one_group_and_no_frozen_one(wanted, frozen):
    model = network()
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index not in frozen)
    try:
        made = build({"name": "SGD", "groups": [{"match": pattern} for pattern in wanted]}, model)
    except InputError as error:
        assert {f.code for f in error.findings} <= {"late-match", "closed-match", "no-match"}  # noqa: PT017
        return
    found = [name for names in names_of(made, model) for name in names]
    assert sorted(found) == sorted(name for name, p in model.named_parameters() if p.requires_grad)
    assert len(set(found)) == len(found)


def test_capital_letters_count_in_patterns():
    assert refusal({"name": "SGD", "groups": [{"match": "FC*"}]}, network()) == [
        ("no-match", "optimizer.groups[0].match")
    ]


def test_a_tied_weight_answers_to_each_of_its_names():
    model = network()
    model["fc2"] = nn.Linear(4, 4, bias=False)
    model["fc2"].weight = model["fc1"].weight
    made = build({"name": "SGD", "groups": [{"match": "fc2.*"}]}, model)
    assert names_of(made, model)[0] == ["fc1.weight"]


def test_patterns_that_match_nothing_come_too_late_or_are_frozen_are_each_named():
    model = network()
    model["conv1"].requires_grad_(False)
    groups = [{"match": "fc*"}, {"match": "fc1.bias"}, {"match": "conv1.*"}, {"match": ["fc1.bais", "nothing"]}]
    assert refusal({"name": "SGD", "groups": groups}, model) == [
        ("late-match", "optimizer.groups[1].match"),
        ("closed-match", "optimizer.groups[2].match"),
        ("no-match", "optimizer.groups[3].match[0]"),
        ("no-match", "optimizer.groups[3].match[1]"),
    ]
    with pytest.raises(InputError, match=r"the nearest is 'fc1.bias'"):
        build({"name": "SGD", "groups": groups}, model)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"name": "Adma"}, [("unknown-name", "optimizer.name")]),
        ({"name": "SGD", "momentun": 0.9}, [("unknown-option", "optimizer.momentun")]),
        ({"name": "SGD", "lr": -1.0}, [("bad-value", "optimizer.lr")]),
        ({"name": "SGD", "lr": math.nan}, [("not-a-number", "optimizer.lr")]),
        ({"name": "SGD", "lr": math.inf}, [("wrong-type", "optimizer.lr")]),
        ({"name": "SGD", "lr": [0.1]}, [("wrong-type", "optimizer.lr")]),
        ({"name": "SGD", "lr": "0.1"}, [("wrong-type", "optimizer.lr")]),
        ({"name": "SGD", "nesterov": True}, [("bad-value", "optimizer.nesterov")]),
        ({"name": "SGD", "foreach": True}, [("hidden-option", "optimizer.foreach")]),
        ({"name": "Adam", "differentiable": True}, [("hidden-option", "optimizer.differentiable")]),
        ({"name": "Adam", "params": []}, [("hidden-option", "optimizer.params")]),
        ({"name": "Adam", "betas": [0.9]}, [("wrong-type", "optimizer.betas")]),
        ({"name": "Adam", "betas": [0.9, math.nan]}, [("not-a-number", "optimizer.betas")]),
        (
            {"name": "Adam", "betas": [1.5, 0.9], "eps": -1},
            [("bad-value", "optimizer.betas"), ("bad-value", "optimizer.eps")],
        ),
        ({"name": "Adam", "match": "fc*"}, [("lone-match", "optimizer.match")]),
        ({"name": "Adam", "groups": {"fc*": 1}}, [("wrong-type", "optimizer.groups")]),
        ({"name": "Adam", "groups": [{"lr": 1}]}, [("missing-option", "optimizer.groups[0]")]),
        ({"name": "Adam", "groups": [{"match": 3}]}, [("wrong-type", "optimizer.groups[0].match")]),
        ({"name": "Adam", "groups": [{"match": []}]}, [("wrong-type", "optimizer.groups[0].match")]),
        ({"name": "Adam", "groups": [{"match": "fc*", "lr": -1}]}, [("bad-value", "optimizer.groups[0].lr")]),
        ({"name": "Adam", "groups": [{"match": "fc*", "mat": 1}]}, [("unknown-option", "optimizer.groups[0].mat")]),
        (
            {"name": "SGD", "lr": -1, "momentun": 0.9, "nesterov": True},
            [("unknown-option", "optimizer.momentun"), ("bad-value", "optimizer.lr")],
        ),
        (
            {"name": "Adam", "lr": -1, "eps": "a", "groups": [{"match": "no", "lr": -2}, {"match": "fc*", "wd": 1}]},
            [
                ("wrong-type", "optimizer.eps"),
                ("bad-value", "optimizer.lr"),
                ("no-match", "optimizer.groups[0].match"),
                ("bad-value", "optimizer.groups[0].lr"),
                ("unknown-option", "optimizer.groups[1].wd"),
            ],
        ),
        (
            {"name": "Adam", "groups": [{"match": "fc*", "wd": 1, "lr": -1}, {"match": "conv1.*", "betas": [2, 0.9]}]},
            [
                ("unknown-option", "optimizer.groups[0].wd"),
                ("bad-value", "optimizer.groups[0].lr"),
                ("bad-value", "optimizer.groups[1].betas"),
            ],
        ),
        (
            {"name": "Adam", "lr": -1, "groups": [{"lr": -2}, {"match": "conv2.*"}]},
            [
                ("bad-value", "optimizer.lr"),
                ("missing-option", "optimizer.groups[0]"),
                ("no-match", "optimizer.groups[1].match"),
                ("bad-value", "optimizer.groups[0].lr"),
            ],
        ),
        (
            [{"name": "SGD", "lr": -1}, {"name": "Adam", "eps": -1}],
            [
                ("missing-option", "optimizer[0].match"),
                ("bad-value", "optimizer[0].lr"),
                ("bad-value", "optimizer[1].eps"),
            ],
        ),
        ({"name": "Adam", "capturable": True}, [("torch-refuses", "optimizer")]),
        ({"name": "LBFGS", "line_search_fn": "armijo"}, [("torch-refuses", "optimizer")]),
        (
            {"name": "Adagrad", "groups": [{"match": "fc*", "initial_accumulator_value": 1}]},
            [("not-by-group", "optimizer.groups[0].initial_accumulator_value")],
        ),
        ({"name": "tests.optim.test_build:network"}, [("bad-value", "optimizer")]),
        ({"name": "tests.optim.test_build:not_an_optimizer"}, [("no-optimizer", "optimizer.name")]),
        ([], [("no-optimizer", "optimizer")]),
        ([{"name": "SGD"}, {"name": "Adam"}], [("missing-option", "optimizer[0].match")]),
        ([{"name": "SGD", "match": "fc1.*"}, {"name": "Adam", "match": "fc2.*"}], [("no-owner", "optimizer")]),
        ([{"name": "SGD", "match": "*"}, {"name": "Adam"}], [("late-match", "optimizer[1].match")]),
        (
            [{"name": "SGD", "match": "fc*", "groups": [{"match": "conv*"}]}, {"name": "Adam", "lr": -1}],
            [("closed-match", "optimizer[0].groups[0].match"), ("bad-value", "optimizer[1].lr")],
        ),
    ],
)
def test_mistakes_are_refused_with_their_path(spec, expected):
    assert refusal(spec, network()) == expected


def not_an_optimizer(params: object) -> dict:
    return {}


def test_a_model_without_trainable_parameters_is_refused():
    assert refusal({"name": "SGD"}, network().requires_grad_(False)) == [("nothing-to-train", "optimizer")]


class Decaying(torch.optim.SGD):
    """A user's own optimizer, which has a required option."""

    def __init__(self, params: object, lr: float, strength: float) -> None:
        super().__init__(params, lr=lr, weight_decay=strength)


def test_an_optimizer_of_the_users_own_by_import_path():
    spec = {"name": "tests.optim.test_build:Decaying", "lr": 1, "strength": 0.5, "groups": [{"match": "fc*", "lr": 2}]}
    made = build(spec, network())
    assert isinstance(made, Decaying)
    assert [(group["lr"], group["weight_decay"]) for group in made.param_groups] == [(2.0, 0.5), (1.0, 0.5)]
    del spec["strength"]
    assert refusal(spec, network()) == [("missing-option", "optimizer")]


def test_ungrouped_names_trainable_parameters_that_nothing_trains():
    model = network()
    model["fc2"].requires_grad_(False)
    assert ungrouped(torch.optim.SGD(model["fc1"].parameters()), model) == ["conv1.weight", "conv1.bias"]
    assert ungrouped(build({"name": "SGD"}, model), model) == []


# several optimizers


def test_a_list_gives_each_optimizer_its_own_parameters():
    model = texts()
    spec = [
        {"name": "SparseAdam", "match": "words.*", "lr": 0.1},
        {"name": "Adam", "groups": [{"match": "*.bias", "lr": 1}]},
    ]
    made = build(spec, model)
    assert isinstance(made, Optimizers)
    assert [type(one).__name__ for one in made] == ["SparseAdam", "Adam"]
    assert names_of(made, model) == [["words.weight"], ["head.bias"], ["head.weight"]]
    assert [group["match"] for group in made.param_groups] == ["words.*", "*.bias", "*"]


def test_several_are_stepped_as_the_one_after_the_other():
    ours, theirs = texts(), texts()
    theirs.load_state_dict(ours.state_dict())
    made = build([{"name": "SparseAdam", "match": "words.*", "lr": 0.1}, {"name": "Adam"}], ours)
    by_hand = [torch.optim.SparseAdam(theirs["words"].parameters(), 0.1), torch.optim.Adam(theirs["head"].parameters())]
    calls = []
    for step in range(5):
        ids = torch.tensor([[step, 3], [4, 4]])

        def closure(ids: torch.Tensor = ids) -> torch.Tensor:
            made.zero_grad()
            loss = ours["head"](ours["words"](ids)).square().sum()
            loss.backward()
            calls.append(loss)
            return loss

        made.step(closure)
        for one in by_hand:
            one.zero_grad()
        theirs["head"](theirs["words"](ids)).square().sum().backward()
        for one in by_hand:
            one.step()
    assert len(calls) == 5
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert set(made.state) == set(ours.parameters())


# what torch cannot do


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_trains_a_dense_model_or_says_why_not(name):
    refused = {"SparseAdam": "dense-gradients", "Muon": "muon-shape"}
    findings = check({"name": name}, network())
    assert [finding.code for finding in findings] == ([refused[name]] if name in refused else [])


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own, of how Adagrad makes sparse tensors
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_trains_a_sparse_weight_or_says_why_not(name):
    model = nn.Embedding(9, 4, sparse=True)
    findings = check({"name": name}, model)
    takes = {"SGD", "Adagrad", "SparseAdam", "LBFGS"}
    assert [finding.code for finding in findings] == ([] if name in takes else ["sparse-gradients"])
    model(torch.tensor([1, 2])).sum().backward()
    by_hand = getattr(torch.optim, name)(model.parameters())
    if name in takes:
        by_hand.step(lambda: 0.0)
    else:
        with pytest.raises(RuntimeError, match="sparse"):
            by_hand.step(lambda: 0.0)


def test_sparse_adam_names_the_dense_parameters_and_the_mend():
    [finding] = check({"name": "SparseAdam"}, texts())
    assert "head.weight, head.bias" in finding.message
    assert "match for the sparse embedding" in finding.fix


def test_a_sparse_embedding_tied_to_a_dense_layer_counts_as_dense():
    model = nn.ModuleDict({"words": nn.Embedding(9, 4, sparse=True), "head": nn.Linear(4, 9, bias=False)})
    model["head"].weight = model["words"].weight
    model["head"](model["words"](torch.tensor([1]))).sum().backward()
    assert not model["words"].weight.grad.is_sparse
    assert [finding.code for finding in check({"name": "SparseAdam"}, model)] == ["dense-gradients"]


@pytest.mark.parametrize("name", ["Adam", "SGD", "Adagrad"])
def test_fused_kernels_on_sparse_gradients_are_refused(name):
    assert refusal({"name": name, "fused": True}, texts()) == [("fused-sparse", "optimizer.fused")]
    groups = [{"match": "words.*", "fused": True}]
    assert refusal({"name": name, "groups": groups}, texts()) == [("fused-sparse", "optimizer.groups[0].fused")]


def test_weight_decay_on_sparse_gradients_is_refused():
    [(code, _)] = refusal({"name": "Adagrad", "weight_decay": 0.1}, nn.Embedding(9, 4, sparse=True))
    assert code == "sparse-gradients"


def test_lbfgs_refuses_groups_others_beside_it_scalers_and_channels_last():
    assert refusal({"name": "LBFGS", "groups": [{"match": "fc*", "lr": 0.5}]}, network()) == [
        ("lbfgs-groups", "optimizer.groups")
    ]
    assert refusal([{"name": "LBFGS", "match": "fc*"}, {"name": "SGD"}], network()) == [
        ("lbfgs-several", "optimizer[0]")
    ]
    assert [finding.code for finding in check({"name": "LBFGS"}, network(), scaler=True)] == ["lbfgs-scaler"]
    strided = network().to(memory_format=torch.channels_last)
    assert refusal({"name": "LBFGS"}, strided) == [("lbfgs-channels-last", "optimizer")]
    strided["conv1"](torch.ones(1, 3, 5, 5).to(memory_format=torch.channels_last)).sum().backward()
    with pytest.raises(RuntimeError, match="view"):  # the crash in torch that this is about
        torch.optim.LBFGS(strided.parameters()).step(lambda: 1.0)
    assert len(build([{"name": "LBFGS"}], network())) == 1


def test_lbfgs_warns_of_batch_norm_and_dropout_and_still_builds():
    model = nn.Sequential(
        nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Dropout(0.0), nn.LSTM(4, 2, 2, dropout=0.1)
    )
    findings = check({"name": "LBFGS"}, model)
    assert [(finding.code, finding.severity) for finding in findings] == [
        ("lbfgs-statistics", "warning"),
        ("lbfgs-dropout", "warning"),
    ]
    assert "(2, 4)" in findings[1].message
    build({"name": "LBFGS"}, model)
    still = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False))
    assert check({"name": "LBFGS"}, still) == []


def test_muon_names_what_is_no_matrix():
    [finding] = check({"name": "Muon"}, network())
    assert "conv1.weight [4, 3, 3, 3]" in finding.message
    spec = [{"name": "Muon", "match": "fc*.weight"}, {"name": "AdamW"}]
    assert [len(one.param_groups[0]["params"]) for one in build(spec, network())] == [2, 4]


def test_checking_changes_neither_the_model_nor_the_random_numbers():
    model = network()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    state = torch.get_rng_state()
    for name in sorted(OPTIMIZERS):
        check({"name": name}, model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], parameter) for name, parameter in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
