"""What is searched: how it is written, and how values reach the config."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchwork import config
from torchwork.sweeps import space
from torchwork.sweeps.trials import settings_of

CONFIG = {"data": {"source": "Iris"}, "model": {"name": "MLP", "hidden": [8]}, "optimizer": "Adam"}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (3, "got 3; write one of {choice"),
        ({}, "got {}; write one of {choice"),
        ({"choice": [1], "int": [1, 2]}, "write one of {choice"),
        ({"normal": [0, 1]}, "write one of {choice"),
        ({"choice": []}, "expected a list of values"),
        ({"choice": "Adam"}, "expected a list of values"),
        ({"choice": [[1], [1]]}, "names [1] twice"),
        ({"uniform": [1, 0]}, "expected two numbers, the lower one first"),
        ({"uniform": [0, 0]}, "expected two numbers, the lower one first"),
        ({"uniform": [0, True]}, "expected two numbers"),
        ({"uniform": [0, float("inf")]}, "expected two numbers"),
        ({"uniform": [0, float("nan")]}, "expected two numbers"),
        ({"log_uniform": [0, 1]}, "expected two numbers above 0"),
        ({"int": [0, 1.5]}, "expected two whole numbers"),
        ({"int": [1, 2, 3]}, "expected two whole numbers"),
        ({"log_int": [0, 4]}, "expected two whole numbers above 0"),
    ],
)
def test_a_rule_that_is_none_is_a_mistake_at_its_place(rule, said):
    dimensions, (finding,) = space.parse({"optimizer.lr": rule}, "val_loss")
    assert dimensions == []
    assert finding.where.startswith("search.optimizer.lr")
    assert said in str(finding)


@pytest.mark.parametrize("place", ["seed", "name", "data.split.val", "data.source", "train.monitor", "log[0].name"])
def test_what_would_make_trials_incomparable_is_not_searched(place):
    (finding,) = space.parse({place: {"choice": [1, 2]}}, "val_accuracy")[1]
    assert (finding.where, finding.code) == (f"search.{place}", "not-searched")


def test_the_loss_is_searched_only_where_trials_are_judged_by_something_else():
    search = {"loss": {"choice": ["CrossEntropyLoss", "NLLLoss"]}}
    assert "judge by another column" in space.parse(search, "val_loss")[1][0].fix
    assert space.parse(search, "val_accuracy")[1] == []


def test_keys_that_overlap_are_a_mistake_and_those_that_only_begin_alike_are_none():
    search = {key: {"choice": [1]} for key in ("model", "model.hidden", "models", "augment[1].p", "augment[10]")}
    assert [found.where for found in space.parse(search, "val_loss")[1]] == ["search.model.hidden"]


scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=5)


@given(st.lists(scalars | st.lists(st.integers(0, 3), max_size=2), min_size=1, max_size=6))
def test_every_value_of_a_choice_has_a_label_of_its_own(values):
    dimensions, findings = space.parse({"model.hidden": {"choice": values}}, "val_loss")
    if findings:
        assert "twice" in findings[0].message
    else:
        assert len(set(dimensions[0].labels)) == len(values)


def test_values_reach_the_config_and_the_search_and_test_do_not():
    values = {"optimizer.lr": 0.1, "model.hidden": [4, 4], "data.transform[0]": "Normalize", "train.epochs": 3}
    made = settings_of(config.load({**CONFIG, "search": {"optimizer.lr": {"uniform": [0, 1]}}}), values)
    assert made.optimizer == {"name": "Adam", "lr": 0.1}
    assert made.model["hidden"] == [4, 4]
    assert made.data.transform == [{"name": "Normalize"}]
    assert made.train.epochs == 3
    assert made.search == {}
    assert made.train.evaluate_test is False
