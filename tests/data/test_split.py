"""Splits are exact, disjoint and complete, and a function of the seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchwork.data.audit.quick import quick
from torchwork.data.builtin import Iris
from torchwork.data.memory import InMemory
from torchwork.data.split import split
from torchwork.types import InputError, Schema

HUNDREDTHS = st.tuples(st.integers(1, 98), st.integers(0, 50), st.integers(0, 50)).map(
    lambda parts: dict(zip(("train", "val", "test"), (part / sum(parts) for part in parts), strict=True))
)


def _source(targets: np.ndarray, given: dict[str, np.ndarray] | None = None) -> InMemory:
    kind = "number" if targets.ndim == 2 else "class"
    return InMemory(torch.zeros(len(targets), 1), targets, Schema("array", kind), given)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), HUNDREDTHS, st.integers(0, 5))
def test_splits_are_disjoint_complete_and_exact(labels: list[int], shares: dict[str, float], seed: int) -> None:
    targets = np.array(labels)
    for by in ("random", "stratified"):
        try:
            parts = split(_source(targets), {**shares, "by": by}, seed)
        except InputError as error:
            if [finding.code for finding in error.findings] != ["empty-split"]:
                raise
            continue
        together = np.concatenate(list(parts.values()))
        assert sorted(together.tolist()) == list(range(len(labels)))
        assert all(ids.dtype == np.int64 and (np.diff(ids) > 0).all() for ids in parts.values())
        groups = [np.arange(len(labels))] if by == "random" else [np.flatnonzero(targets == k) for k in set(labels)]
        for group in groups:
            for part, ids in parts.items():
                quota = shares[part] * len(group)
                assert np.floor(quota - 1e-6) <= np.isin(ids, group).sum() <= np.ceil(quota + 1e-6)


@given(st.integers(3, 300), HUNDREDTHS)
def test_random_counts_are_those_of_the_largest_remainder(count: int, shares: dict[str, float]) -> None:
    try:
        parts = split(_source(np.arange(count)), {**shares, "by": "random"}, 0)
    except InputError:
        return
    remainder = {part: shares[part] * count - len(ids) for part, ids in parts.items()}
    assert max(remainder.values()) - min(remainder.values()) <= 1 + 1e-6


def test_a_fraction_that_is_whole_is_met_in_spite_of_binary_floats() -> None:
    parts = split(_source(np.arange(20)), {"train": 0.7, "val": 0.15, "test": 0.15, "by": "random"}, 0)
    assert [len(parts[part]) for part in ("train", "val", "test")] == [14, 3, 3]


def test_equal_remainders_take_turns_so_that_no_part_starves() -> None:
    targets = np.repeat(np.arange(10), 3)  # each class leaves 0.45 of a sample for val and for test
    parts = split(_source(targets), {"train": 0.7, "val": 0.15, "test": 0.15, "by": "stratified"}, 0)
    assert [len(parts[part]) for part in ("train", "val", "test")] == [20, 5, 5]


def test_the_seed_decides_and_nothing_else() -> None:
    spec = {"train": 0.5, "val": 0.25, "test": 0.25, "by": None}
    targets = np.arange(100) % 4
    first, again, other = (split(_source(targets), spec, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[part], again[part]) for part in first)
    assert not np.array_equal(first["train"], other["train"])


def test_the_rule_is_given_then_stratified_then_random() -> None:
    spec = {"train": 0.5, "val": 0.0, "test": 0.5, "by": None}
    targets = np.array([0, 1] * 10)
    ours = {"train": np.arange(5), "test": np.arange(5, 8)}
    assert split(_source(targets, ours), spec, 0)["test"].tolist() == [5, 6, 7]
    assert np.bincount(targets[split(_source(targets), spec, 0)["train"]]).tolist() == [5, 5]
    assert len(split(_source(np.zeros((20, 1))), spec, 0)["train"]) == 10


def test_given_splits_may_be_overruled() -> None:
    ours = {"train": np.arange(2), "test": np.arange(2, 20)}
    parts = split(_source(np.arange(20) % 2, ours), {"train": 0.5, "val": 0.0, "test": 0.5, "by": "random"}, 0)
    assert len(parts["train"]) == 10


@pytest.mark.parametrize(("val", "test", "expected"), [(0.2, 0.0, (80, 20, 0)), (0.2, 0.1, (70, 20, 10)), (0, 0, None)])
def test_what_given_splits_lack_is_cut_from_train(val: float, test: float, expected: tuple[int, ...] | None) -> None:
    source = _source(np.arange(120) % 4, {"train": np.arange(20, 120)})
    parts = split(source, {"train": 0.7, "val": val, "test": test, "by": "given"}, 0)
    found = tuple(len(parts.get(part, ())) for part in ("train", "val", "test"))
    assert found == (expected or (100, 0, 0))
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(20, 120))


def test_a_val_that_is_given_stays_as_it_is() -> None:
    ours = {"train": np.arange(80), "val": np.arange(80, 100)}
    parts = split(_source(np.arange(100) % 2, ours), {"train": 0.7, "val": 0.15, "test": 0.15}, 0)
    assert parts["val"].tolist() == list(range(80, 100))
    assert (len(parts["train"]), len(parts["test"])) == (68, 12)


def _codes(targets: np.ndarray, spec: dict[str, object], given: dict[str, np.ndarray] | None = None) -> list[str]:
    with pytest.raises(InputError) as caught:
        split(_source(targets, given), spec, 0)
    return [finding.code for finding in caught.value.findings]


def test_wrong_fractions_and_rules_are_refused() -> None:
    classes, numbers = np.arange(10) % 2, np.zeros((10, 1))
    assert _codes(classes, {"train": 0.8, "val": 0.2, "test": 0.15}) == ["fractions"]
    assert _codes(classes, {"train": 0.5, "val": 0.2, "test": 0.2}) == ["fractions"]
    assert _codes(classes, {"train": 1.2, "val": -0.2, "test": 0}) == ["negative-fraction", "negative-fraction"]
    assert _codes(classes, {"train": 0.0, "val": 0.5, "test": 0.5}) == ["no-train"]
    assert _codes(classes, {"train": 0.5, "val": 0.5, "by": "given"}) == ["no-given-split"]
    assert _codes(numbers, {"train": 0.5, "val": 0.5, "by": "stratified"}) == ["no-classes"]
    assert _codes(classes, {"train": 0.98, "val": 0.01, "test": 0.01, "by": "random"}) == ["empty-split"]
    assert _codes(classes, {"val": 1.0}, {"train": np.arange(10)}) == ["fractions"]
    assert _codes(classes, {}, {"test": np.arange(10)}) == ["no-train"]


@pytest.mark.parametrize(("rare", "advised"), [(3, False), (20, True)])
def test_to_stratify_is_advised_only_where_there_are_enough_for_each_part(rare: int, advised: bool) -> None:
    targets = np.array(["a"] * 100 + ["b"] * rare, object)
    source = InMemory(torch.arange(len(targets), dtype=torch.float32)[:, None], targets, Schema("array", "class"))
    last = np.arange(0, 20)
    (finding,) = (
        finding
        for finding in quick(source, {"train": np.arange(20, len(targets)), "test": last})
        if finding.code == "missing-class"
    )
    assert ("by: stratified" in str(finding)) is advised
    stratified = split(source, {"train": 0.85, "test": 0.15, "by": "stratified"}, 0)
    assert not advised or "b" in targets[stratified["test"]]


def test_how_to_mend_fractions_says_what_is_done_with_those_left_out() -> None:
    with pytest.raises(InputError, match="where one is written, train takes the rest"):
        split(Iris(), {"train": 0.9, "val": 0.0, "test": 0.0}, 0)
