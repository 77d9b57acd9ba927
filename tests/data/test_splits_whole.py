"""Groups, times, equal content and folds: what belongs together stays together, and nothing is lost."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from torchwork import rng
from torchwork.data.cut import cut
from torchwork.data.dataset import DatasetSource
from torchwork.data.fingerprint import fingerprints
from torchwork.data.memory import InMemory
from torchwork.data.split import split
from torchwork.types import InputError, Schema

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def _source(values: Any, targets: Any = None, names: list[str] | None = None, **annotations: Any) -> InMemory:
    inputs = torch.as_tensor(np.asarray(values, np.float32)).reshape(len(values), -1)
    raw = np.arange(len(values)) % 2 if targets is None else np.asarray(targets)
    columns = {name: np.asarray(column) for name, column in annotations.items()}
    return InMemory(inputs, raw, Schema("array", "class"), names=names, annotations=columns)


def _sides(parts: dict[str, np.ndarray], count: int) -> np.ndarray:
    """Return the side of each sample; asserts that each has exactly one."""
    side = np.full(count, "", object)
    for part, ids in parts.items():
        assert ids.dtype == np.int64
        assert (np.diff(ids) > 0).all()
        assert (side[ids] == "").all()
        side[ids] = part
    assert (side != "").all()
    return side


def _findings(*arguments: Any, **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        split(*arguments, **options)
    return [(finding.code, finding.where) for finding in caught.value.findings]


def _tried(source: InMemory, spec: dict[str, Any], seed: int, **options: Any) -> dict[str, np.ndarray]:
    """Return the parts, or none where one would be empty."""
    try:
        return split(source, spec, seed, **options)
    except InputError as error:
        if [finding.code for finding in error.findings] != ["empty-split"]:
            raise
        return {}


def _whole(side: np.ndarray, keys: Any) -> bool:
    return all(len(set(side[np.asarray(keys) == key])) == 1 for key in set(keys))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), min_size=8, max_size=80), st.integers(0, 3))
def test_groups_stay_whole_and_every_part_gets_one(samples: list[tuple[int, int]], seed: int) -> None:
    groups, targets = ([row[place] for row in samples] for place in (0, 1))
    source = _source(range(len(samples)), targets, patient=[f"p{group}" for group in groups])
    if len(set(groups)) < 3:
        assert _findings(source, {**SHARES, "group": "patient"}, seed) == [("empty-split", "data.split")]
        return
    parts = split(source, {**SHARES, "group": "patient"}, seed)
    side = _sides(parts, len(samples))
    assert set(parts) == {"train", "val", "test"}
    assert _whole(side, groups)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=9, max_size=80), st.integers(0, 3))
def test_equal_content_goes_to_one_side_and_counts_stay_as_near_as_that_allows(
    samples: list[tuple[int, int]], seed: int
) -> None:
    values, targets = ([row[place] for row in samples] for place in (0, 1))
    source = _source(values, targets)
    contents = fingerprints(source, np.arange(len(samples)))
    largest = max(Counter(values).values())
    for by in ("random", "stratified"):
        parts = _tried(source, {**SHARES, "by": by}, seed, together=contents)
        if not parts:
            continue
        assert _whole(_sides(parts, len(samples)), values)
        if by == "random":
            assert all(abs(len(ids) - SHARES[part] * len(samples)) <= largest + 1 for part, ids in parts.items())


def test_a_few_repeated_samples_leave_the_counts_of_every_class_exact() -> None:
    random = np.random.default_rng(0)
    targets = np.repeat(np.arange(5), 200)
    values = np.arange(1000.0)
    for row in random.choice(1000, 120, replace=False):
        values[row] = values[random.integers(1000)]
    source = _source(values, targets)
    parts = split(source, {**SHARES, "by": "stratified"}, 1, together=fingerprints(source, np.arange(1000)))
    assert {part: np.bincount(targets[ids]).tolist() for part, ids in parts.items()} == {
        "train": [120] * 5,
        "val": [40] * 5,
        "test": [40] * 5,
    }
    assert _whole(_sides(parts, 1000), values.tolist())
    repeated = np.array([Counter(values.tolist())[value] > 1 for value in values.tolist()])
    shares = [repeated[ids].sum() / repeated.sum() for ids in parts.values()]
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.03)  # they are shared out as all others are


def test_without_repeated_samples_keys_change_nothing() -> None:
    source = _source(range(100))
    expected = split(source, {**SHARES, "by": "stratified"}, 3)
    found = split(source, {**SHARES, "by": "stratified"}, 3, together=fingerprints(source, np.arange(100)))
    assert all(np.array_equal(expected[part], found[part]) for part in expected)


def test_groups_that_share_a_content_are_one_group() -> None:
    source = _source([0, 1, 2, 0, 3, 4, 5, 6], patient=list("aabbccdd"))
    for seed in range(10):
        spec = {"train": 0.5, "val": 0.0, "test": 0.5, "group": "patient"}
        parts = split(source, spec, seed, together=fingerprints(source, np.arange(8)))
        assert _whole(_sides(parts, 8), list("aaaaccdd"))


def test_the_greedy_rule_balances_classes_at_least_as_well_as_scikit_learns() -> None:
    ours, theirs = [], []
    for seed in range(15):
        random = np.random.default_rng(seed)
        count, num_classes = int(random.integers(20, 100)), int(random.integers(2, 6))
        chances = random.dirichlet(np.ones(num_classes), count)
        sizes = np.maximum(1, random.lognormal(2, 1, count).astype(int))
        group = np.repeat(np.arange(count), sizes)
        labels = np.concatenate([random.choice(num_classes, n, p=p) for n, p in zip(sizes, chances, strict=True)])
        target = np.unique(labels, return_inverse=True)[1]
        order = rng.keys(seed, "split", np.arange(len(group)))
        ours.append(_spread(cut(order, np.full(5, 0.2), target, group), target))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes with fewer members than folds
            folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(group, target, group)
            reference = np.zeros(len(group), int)
            for number, (_, ids) in enumerate(folds):
                reference[ids] = number
        theirs.append(_spread(reference, target))
    assert np.mean(ours) <= np.mean(theirs)


def _spread(part: np.ndarray, target: np.ndarray) -> float:
    """The standard deviation over the folds of the share of a class, mean over the classes."""
    table = np.zeros((5, target.max() + 1))
    np.add.at(table, (part, target), 1)
    return float((table / table.sum(0)).std(0).mean())


def test_another_seed_cuts_groups_otherwise() -> None:
    source = _source(range(60), patient=[f"p{index // 3}" for index in range(60)])
    sides = {tuple(split(source, {**SHARES, "group": "patient"}, seed)["test"].tolist()) for seed in range(8)}
    assert len(sides) > 4


NAMES = [f"{digit}_{speaker}_{take}.wav" for digit in range(4) for speaker in ("ann", "bob", "cy") for take in range(5)]


def test_a_pattern_on_the_names_makes_groups_and_named_ones_are_left_out() -> None:
    source = _source(range(60), [name[0] for name in NAMES], names=NAMES)
    spec = {"train": 0.8, "val": 0.2, "test": 0.0, "pattern": "_([a-z]+)_", "test_groups": ["bob"]}
    parts = split(source, spec, 0)
    speakers = {part: {NAMES[index].split("_")[1] for index in ids} for part, ids in parts.items()}
    assert speakers["test"] == {"bob"}
    assert len(speakers["train"]) == len(speakers["val"]) == 1
    parts = split(source, {**spec, "val": 0, "train": 1, "val_groups": ["ann"]}, 0)
    assert {part: len(ids) for part, ids in parts.items()} == {"train": 20, "val": 20, "test": 20}
    assert {NAMES[index].split("_")[1] for index in parts["val"]} == {"ann"}


def test_what_is_wrong_with_groups_is_told_with_the_samples() -> None:
    source = _source(range(60), names=NAMES, patient=["a", None, float("nan"), *["b"] * 57])
    spec = {**SHARES, "by": "grouped"}
    assert _findings(source, {**spec, "group": "patent"}, 0) == [("missing-column", "data.split.group")]
    assert _findings(source, {**spec, "group": "patient"}, 0) == [("missing-cells", "data.split.group")]
    assert _findings(source, {**spec, "pattern": "_[a-z]+_"}, 0) == [("wrong-pattern", "data.split.pattern")]
    assert _findings(source, {**spec, "pattern": "("}, 0) == [("wrong-pattern", "data.split.pattern")]
    with pytest.raises(InputError, match=r"15 names have .*'0_ann_0.wav'"):
        split(source, {**spec, "pattern": "([1-9])_"}, 0)
    wrong = {**spec, "pattern": "_([a-z]+)_", "test_groups": ["bo"], "val_groups": ["dan", 7]}
    assert _findings(source, wrong, 0) == [
        ("no-group", "data.split.val_groups"),
        ("no-group", "data.split.test_groups"),
    ]


def test_whole_floats_and_numbers_name_the_same_group() -> None:
    source = _source(range(6), patient=[1.0, 1.0, 2.0, 2.0, 3.0, 3.0])
    spec = {"train": 1.0, "val": 0.0, "test": 0.0, "group": "patient", "test_groups": [2]}
    assert split(source, spec, 0)["test"].tolist() == [2, 3]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=10, max_size=80), st.booleans())
def test_by_time_the_past_trains_and_equal_times_stay_together(days: list[int], as_dates: bool) -> None:
    column = [f"2024-{day // 28 + 1:02}-{day % 28 + 1:02}" for day in days] if as_dates else days
    source = _source(range(len(days)), date=column)
    parts = _tried(source, {**SHARES, "by": "time", "time": "date"}, 0)
    if not parts:
        assert len(set(days)) < 10
        return
    _sides(parts, len(days))
    moments = {part: np.array(days)[ids] for part, ids in parts.items()}
    assert moments["train"].max() < moments["val"].min()
    assert moments["val"].max() < moments["test"].min()
    most = max(Counter(days).values())
    assert all(abs(len(ids) - SHARES[part] * len(days)) <= most + 1 for part, ids in parts.items())


def test_times_of_one_zone_and_another_are_put_in_order() -> None:
    dates = ["2024-01-01T12:00:00+02:00", "2024-01-01T10:30:00Z", "2024-01-01T11:00:00+00:00", "2024-01-01T09:00:00Z"]
    spec = {"train": 0.25, "val": 0.25, "test": 0.5, "time": "date"}
    parts = split(_source(range(4), date=dates), spec, 0)
    assert {part: ids.tolist() for part, ids in parts.items()} == {"train": [3], "val": [0], "test": [1, 2]}


def test_numbers_that_are_texts_are_ordered_as_numbers() -> None:
    parts = split(_source(range(4), date=["10", "9", "100", "1"]), {"train": 0.5, "test": 0.5, "time": "date"}, 0)
    assert parts["train"].tolist() == [1, 3]


def test_of_equal_content_the_latest_time_counts() -> None:
    source = _source([0, 1, 2, 3, 0, 5], date=[1, 2, 3, 4, 5, 6])
    spec = {"train": 0.5, "test": 0.5, "time": "date"}
    parts = split(source, spec, 0, together=fingerprints(source, np.arange(6)))
    assert parts["test"].tolist() == [0, 4, 5]


def test_cells_that_tell_no_time_are_named() -> None:
    spec = {"train": 0.5, "test": 0.5, "time": "date"}
    with pytest.raises(InputError, match=r"2 cells .* tell no time: '31.12.2024' of sample 1, 'soon' of sample 3"):
        split(_source(range(3), date=["31.12.2024", "2024-01-01", "soon"]), spec, 0)
    with pytest.raises(InputError, match="is empty for 2 samples: sample 1, sample 2"):
        split(_source(range(3), date=["", None, "1"]), spec, 0)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 10_000), min_size=2, max_size=60), st.integers(0, 3), st.data())
def test_by_hash_adding_removing_and_reordering_samples_moves_nobody(values: set[int], seed: int, data: Any) -> None:
    every = data.draw(st.permutations(sorted(values)))
    some = every[: data.draw(st.integers(1, len(every)))]
    sides = []
    for chosen in (every, some):
        found = _tried(_source(chosen), {**SHARES, "by": "hash"}, seed)
        sides.append({chosen[index]: part for part, ids in found.items() for index in ids})
    if all(sides):
        assert all(sides[0][value] == side for value, side in sides[1].items())


def test_by_hash_fractions_hold_within_what_the_docstring_says() -> None:
    source = _source(range(20_000))
    for seed in range(3):
        parts = split(source, {**SHARES, "by": "hash"}, seed)
        for part, ids in parts.items():
            share = SHARES[part]
            assert abs(len(ids) - share * 20_000) < 4 * (20_000 * share * (1 - share)) ** 0.5
    assert not np.array_equal(split(source, {**SHARES, "by": "hash"}, 0)["test"], parts["test"])


def test_by_hash_a_larger_test_takes_samples_in_and_gives_none_away() -> None:
    source = _source(range(500))
    small, large = (
        split(source, {"train": 0.9 - test, "val": 0.1, "test": test, "by": "hash"}, 0) for test in (0.1, 0.3)
    )
    assert set(small["test"].tolist()) < set(large["test"].tolist())


def test_by_hash_of_groups_a_group_keeps_its_side() -> None:
    spec = {**SHARES, "by": "hash", "group": "patient"}
    before = split(_source(range(60), patient=[index // 3 for index in range(60)]), spec, 0)
    after = split(_source(range(100, 200), patient=[index // 5 for index in range(100)]), spec, 0)
    sides = {index // 3: part for part, ids in before.items() for index in ids}
    assert all(sides[index // 5] == part for part, ids in after.items() for index in ids)


def test_a_users_data_set_has_no_content_to_go_by() -> None:
    data = torch.utils.data.TensorDataset(torch.zeros(9, 2), torch.arange(9))
    assert _findings(DatasetSource(data), {**SHARES, "by": "hash"}, 0) == [("no-content", "data.split.by")]


RULES: list[dict[str, Any]] = [
    {"by": "random"},
    {"by": "stratified"},
    {"by": "grouped", "group": "patient"},
    {"by": "hash"},
    {"by": "hash", "group": "patient"},
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "-".join(rule.values()))
def test_folds_have_one_test_and_every_other_sample_is_val_once(rule: dict[str, Any]) -> None:
    patients = [index // 4 for index in range(120)]
    source = _source([index // 2 for index in range(120)], np.arange(120) % 3, patient=patients)
    contents = fingerprints(source, np.arange(120))
    found = [split(source, {**SHARES, **rule, "folds": 4, "fold": fold}, 0, together=contents) for fold in range(1, 5)]
    sides = [_sides(parts, 120) for parts in found]
    assert all(np.array_equal(parts["test"], found[0]["test"]) for parts in found)
    times_val = sum((side == "val").astype(int) for side in sides)
    assert set(times_val[found[0]["test"]]) == {0}
    assert set(np.delete(times_val, found[0]["test"])) == {1}
    assert all(_whole(side, contents) for side in sides)
    if "group" in rule:
        assert all(_whole(side, patients) for side in sides)
    if rule["by"] != "hash":
        counts = [len(parts["val"]) for parts in found]
        assert max(counts) - min(counts) <= 8


def test_folds_of_single_samples_differ_by_one_in_every_class() -> None:
    targets = np.repeat([0, 1, 2], [50, 31, 7])
    source = _source(range(88), targets)
    spec = {"train": 0.7, "val": 0.1, "test": 0.2, "folds": 5}
    counts = [np.bincount(targets[split(source, {**spec, "fold": k}, 0)["val"]], minlength=3) for k in range(1, 6)]
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert split(source, spec, 0)["val"].tolist() == split(source, {**spec, "fold": 1}, 0)["val"].tolist()


def test_folds_of_given_splits_are_cut_from_train_and_val() -> None:
    source = _source(range(40))
    source.given = {"train": np.arange(20), "val": np.arange(20, 30), "test": np.arange(30, 40)}
    found = [split(source, {**SHARES, "folds": 3, "fold": fold}, 0) for fold in (1, 2, 3)]
    assert sorted(np.concatenate([parts["val"] for parts in found]).tolist()) == list(range(30))
    assert all(parts["test"].tolist() == list(range(30, 40)) for parts in found)
    source.given = {"train": np.arange(40)}  # test is cut first
    found = [split(source, {**SHARES, "folds": 3, "fold": fold}, 0) for fold in (1, 2, 3)]
    assert {len(parts["test"]) for parts in found} == {8}


def test_more_folds_than_groups_are_refused() -> None:
    source = _source(range(12), patient=list("aaabbbcccddd"))
    spec = {"train": 1.0, "val": 0.0, "test": 0.0, "group": "patient", "folds": 5}
    with pytest.raises(InputError, match="5 folds of 4 groups"):
        split(source, spec, 0)


@pytest.mark.parametrize("rule", [*RULES, {"by": "time", "time": "date"}, {}], ids=str)
def test_samples_that_are_set_aside_are_in_no_part(rule: dict[str, Any]) -> None:
    source = _source(range(60), patient=[index // 3 for index in range(60)], date=range(60))
    among = np.setdiff1d(np.arange(60), [0, 7, 59])
    found = [split(source, {**SHARES, **rule}, 0, among=ids) for ids in (among, among[::-1])]
    assert sorted(np.concatenate(list(found[0].values())).tolist()) == among.tolist()
    assert all(np.array_equal(found[0][part], found[1][part]) for part in found[0])


def test_when_equal_content_leaves_a_part_empty_the_way_out_is_told() -> None:
    source = _source([0] * 30)
    with pytest.raises(InputError, match=r"1 units in all, the largest of 30.*duplicates: ignore"):
        split(source, {**SHARES, "by": "random"}, 0, together=["same"] * 30)
