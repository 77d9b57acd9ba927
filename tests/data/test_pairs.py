"""Partners are legal, keyed by (seed, epoch, sample), equally likely; a user's rows are taken or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from torchwork.data.memory import InMemory
from torchwork.data.pairs import companions, read_pairs
from torchwork.types import InputError, Schema

CLASSES = st.lists(st.integers(0, 4), min_size=2, max_size=40).map(np.array)
SEEDS = st.tuples(st.integers(0, 2**40), st.integers(0, 50))


def _ids(count: int) -> np.ndarray:
    return np.arange(count) * 7 + 3


@given(CLASSES, SEEDS, st.integers(0, 3))
@settings(deadline=None)
def test_a_triplet_is_another_of_the_class_and_one_of_another_class(
    drawn: np.ndarray, key: tuple[int, int], more: int
) -> None:
    assume(len(set(drawn.tolist())) > 1)
    classes = np.concatenate([drawn, drawn[::-1], drawn[:more]])  # two of each class at least
    seed, epoch = key
    rows = np.arange(len(classes))
    found = companions("triplets", classes, _ids(len(classes)), seed).draw(epoch, rows)
    assert found.shape == (len(classes), 2)
    assert found.dtype == np.int64
    positive, negative = found.T
    assert (classes[positive] == classes).all()
    assert (positive != rows).all()
    assert (classes[negative] != classes).all()


@given(CLASSES, SEEDS)
@settings(deadline=None)
def test_a_pair_is_no_sample_with_itself_and_a_lone_one_gets_one_of_another_class(
    classes: np.ndarray, key: tuple[int, int]
) -> None:
    assume(len(set(classes.tolist())) > 1)
    seed, epoch = key
    rows = np.arange(len(classes))
    found = companions("pairs", classes, _ids(len(classes)), seed).draw(epoch, rows)
    assert found.shape == (len(classes), 1)
    assert (found[:, 0] != rows).all()
    alone = np.bincount(classes)[classes] == 1
    assert (classes[found[alone, 0]] != classes[alone]).all()


@given(CLASSES.map(lambda values: values / 4), SEEDS, st.booleans())
@settings(deadline=None)
def test_a_partner_to_rank_with_has_another_value(values: np.ndarray, key: tuple[int, int], wide: bool) -> None:
    assume(len(set(values.tolist())) > 1)
    targets = np.stack([values, np.ones_like(values)], 1) if wide else values[:, None]
    seed, epoch = key
    found = companions("ranking", targets, _ids(len(values)), seed).draw(epoch, np.arange(len(values)))
    assert (values[found[:, 0]] != values).all()


@given(CLASSES, SEEDS, st.sampled_from(["pairs", "ranking"]), st.data())
@settings(deadline=None)
def test_a_draw_does_not_depend_on_which_rows_are_asked_for(
    classes: np.ndarray, key: tuple[int, int], kind: Any, data: st.DataObject
) -> None:
    assume(len(set(classes.tolist())) > 1)
    rows = np.array(data.draw(st.lists(st.integers(0, len(classes) - 1), min_size=1)))
    drawn = companions(kind, classes, _ids(len(classes)), key[0])
    everything = drawn.draw(key[1], np.arange(len(classes)))
    np.testing.assert_array_equal(drawn.draw(key[1], rows), everything[rows])
    np.testing.assert_array_equal(drawn.members(key[1], rows), np.column_stack([rows, everything[rows]]))


def test_draws_differ_by_seed_epoch_and_sample() -> None:
    classes, rows = np.arange(60) % 2, np.arange(60)
    draws = {
        companions("triplets", classes, ids, seed).draw(epoch, rows).tobytes()
        for seed in (0, 1)
        for epoch in (0, 1)
        for ids in (rows, rows + 60)
    }
    assert len(draws) == 8


def test_every_legal_partner_is_equally_likely_and_half_of_the_pairs_are_alike() -> None:
    classes = np.array([1, 0, 1, 2, 1, 0])
    rows, epochs = np.arange(6), 4000
    triplets = companions("triplets", classes[[0, 1, 2, 4, 5]], np.arange(5), 0)
    pairs = companions("pairs", classes, rows, 0)
    drawn = np.stack([triplets.draw(epoch, np.arange(5))[0] for epoch in range(epochs)])
    for column, places in ((0, [2, 3]), (1, [1, 4])):
        seen = np.bincount(drawn[:, column], minlength=5) / epochs
        np.testing.assert_allclose(seen[places], 0.5, atol=0.03)
    partners = np.stack([pairs.draw(epoch, rows)[:, 0] for epoch in range(epochs)])
    same = (classes[partners] == classes).mean(0)
    np.testing.assert_allclose(same, [0.5, 0.5, 0.5, 0, 0.5, 0.5], atol=0.03)
    first = np.bincount(partners[:, 0], minlength=6) / epochs
    np.testing.assert_allclose(first, [0, 1 / 6, 1 / 4, 1 / 6, 1 / 4, 1 / 6], atol=0.03)


def test_a_class_with_one_sample_has_no_triplet_and_is_named() -> None:
    with pytest.raises(InputError, match="val has one sample only of 'c'") as caught:
        companions("triplets", np.array([0, 0, 1, 1, 2]), np.arange(5), 0, classes=("a", "b", "c"), part="val")
    assert caught.value.findings[0].where == "data.split"


@pytest.mark.parametrize("kind", ["ranking", "pairs", "triplets"])
def test_equal_targets_have_no_partners(kind: Any) -> None:
    with pytest.raises(InputError, match=r"all equal|all of one class"):
        companions(kind, np.ones(5), np.arange(5), 0)


def _source(values: Any = (1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)) -> InMemory:
    targets = np.array(values)[:, None]
    names = [f"image {letter}" for letter in "abcdefgh"]
    return InMemory(torch.zeros(8, 2), targets, Schema("array", "number", target_names=("t",)), names=names)


SPLITS = {"train": np.array([0, 2, 4, 6]), "val": np.array([1, 3, 5, 7])}


def _file(tmp_path: Path, text: str, name: str = "pairs.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_rows_of_a_file_belong_to_the_split_that_holds_their_members(tmp_path: Path) -> None:
    found = read_pairs(
        _file(tmp_path, "anchor,other\n0,4\nimage h,3\n\n 6 ,image a\n0,2\n"), "pairs", _source(), SPLITS
    )
    assert list(found) == ["train", "val"]
    train = found["train"]
    assert train.members(3, np.arange(3)).tolist() == [[0, 2], [3, 0], [0, 1]]  # places in the split
    assert train.members(9, np.array([2, 0])).tolist() == [[0, 1], [0, 2]]
    assert found["val"].members(0, np.arange(1)).tolist() == [[3, 1]]
    assert train.signs is None


def test_signs_and_triplets_of_a_file_are_told_apart_by_what_the_loss_asks_for(tmp_path: Path) -> None:
    path = _file(tmp_path, "0\t2\t4\n4\t6\t0\n", "triplets.tsv")
    assert read_pairs(path, "triplets", _source(), SPLITS)["train"].members(0, np.arange(2)).tolist() == [
        [0, 1, 2],
        [2, 3, 0],
    ]
    with pytest.raises(InputError, match=r"neither 1 nor -1: '4' \(line 1\), '0' \(line 2\)"):
        read_pairs(path, "pairs", _source(), SPLITS)
    signed = read_pairs(_file(tmp_path, "0,2,1\n4,6,-1\n1,3,-1.0"), "ranking", _source(), SPLITS)
    assert [part.signs.tolist() for part in signed.values() if part.signs is not None] == [[1.0, -1.0], [-1.0]]


def test_rows_across_splits_are_counted_and_named(tmp_path: Path) -> None:
    path = _file(tmp_path, "a,b\n0,1\n0,2\n3,4\n5,7\n")
    with pytest.raises(InputError, match="2 of 4 rows stand in no split as a whole: lines 2, 4"):
        read_pairs(path, "pairs", _source(), SPLITS)
    with pytest.raises(InputError, match="3 of 4 rows"):
        read_pairs(path, "pairs", _source(), {"train": SPLITS["train"]})


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("", "pairs", "has no rows"),
        ("a,b\n", "pairs", "no sample called 'a'"),
        ("0,2\n0,8\n-1,image z", "pairs", r"3 cells tell no sample: '8' \(line 2\), '-1' \(line 3\), 'image z'"),
        ("0,2\n0\n", "pairs", "line 2 differs"),
        ("0,2,1,1\n", "pairs", "there are 4"),
        ("0,2\n", "triplets", "there are 2"),
        ("0,2,0\n", "triplets", "1 row names a sample twice: line 1"),
        ("0,2\n2,2\n", "pairs", "1 row names a sample twice: line 2"),
        ("1,3\n5,7\n", "pairs", "no rows of training samples"),
        ("0,2\n1,2\n", "ranking", "1 pair has equal targets: line 2"),
        ("0,2,0\n", "pairs", r"neither 1 nor -1: '0' \(line 1\)"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, kind: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_pairs(_file(tmp_path, text), kind, _source(), SPLITS)
    assert caught.value.findings[0].where == "data.pairs.file"


def test_a_file_that_is_not_there_or_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there"):
        read_pairs(tmp_path / "no.csv", "pairs", _source(), SPLITS)
    with pytest.raises(InputError, match="is a folder"):
        read_pairs(tmp_path, "pairs", _source(), SPLITS)
    (tmp_path / "image.csv").write_bytes(b"\xff\xd8\xff\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "image.csv", "pairs", _source(), SPLITS)
