"""The keys of data.split: what goes together and what contradicts, all at once and before any data are opened."""

from __future__ import annotations

import pytest

from torchwork import config
from torchwork.types import InputError

GOOD = [
    {},
    {"by": "grouped", "group": "patient"},
    {"pattern": "_(.+)_", "test_groups": ["ann", 7], "val": 0.1},
    {"group": "patient", "by": "hash", "test": 0.2},
    {"by": "given", "group": "patient"},
    {"time": "date", "train": 0.8, "test": 0.2},
    {"by": "manifest", "file": "runs/x/1/split.csv"},
    {"folds": 5},
    {"folds": 5, "fold": 5, "test": 0.2, "by": "stratified"},
    {"folds": 3, "pattern": "_(.+)_", "test_groups": ["ann"]},
    {"train": 0.3, "val": 0.3, "test": 0.3},  # fine where the data come with splits
]
BAD = [
    ({"by": "grouped"}, ["data.split.by"]),
    ({"by": "time"}, ["data.split.by"]),
    ({"by": "manifest"}, ["data.split.by"]),
    ({"by": "random", "group": "a", "time": "b"}, ["data.split.group", "data.split.time"]),
    ({"by": "time", "time": "a", "pattern": "(b)"}, ["data.split.pattern"]),
    ({"group": "a", "pattern": "(b)"}, ["data.split.pattern"]),
    ({"by": "stratified", "file": "x.csv"}, ["data.split.file"]),
    ({"file": "x.csv", "group": "a"}, ["data.split.group"]),
    ({"test_groups": ["a"]}, ["data.split.test_groups"]),
    ({"group": "g", "test_groups": ["a", 1], "val_groups": ["1"]}, ["data.split.test_groups"]),
    ({"fold": 2}, ["data.split.fold"]),
    ({"folds": 3, "fold": 4}, ["data.split.fold"]),
    ({"folds": 1}, ["data.split.folds"]),
    ({"folds": 3, "time": "date"}, ["data.split.folds"]),
    ({"folds": 3, "group": "g", "val_groups": ["a"]}, ["data.split.val_groups"]),
    ({"folds": 3, "test": 1.0}, ["data.split.test"]),
    ({"by": "hash", "train": 0.5, "val": 0.1, "test": 0.1}, ["data.split"]),
    ({"group": "g", "val": 0.5, "test": 0.5}, ["data.split.train"]),
    (
        {"by": "random", "group": "a", "fold": 2, "train": 0.5, "val": 0.1},
        ["data.split", "data.split.group", "data.split.fold"],
    ),
]


def _load(split: dict[str, object]) -> config.Config:
    return config.load({"data": {"source": "Digits", "split": split}, "model": "LeNet", "optimizer": "Adam"})


@pytest.mark.parametrize("split", GOOD, ids=str)
def test_what_goes_together_is_taken_and_survives_writing_and_reading(split: dict[str, object]) -> None:
    loaded = _load(split)
    assert config.load(config.dump(loaded)) == loaded


@pytest.mark.parametrize(("split", "places"), BAD, ids=str)
def test_what_contradicts_is_told_by_key_and_all_at_once(split: dict[str, object], places: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        _load(split)
    assert [finding.where for finding in caught.value.findings] == places
    assert all(finding.fix or finding.where == "data.split.folds" for finding in caught.value.findings)
