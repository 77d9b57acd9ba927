"""Sequences of symbols as targets: the symbols of train, places padded with -1, unknown symbols refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from torchwork.data.strips import DigitStrips
from torchwork.data.target import Target
from torchwork.types import InputError, Schema

SCHEMA = Schema("array", "sequence")


def backwards(value: str) -> str:
    return value[::-1]


def only_number(value: str) -> int:
    return len(value)


def _raw(values: Any) -> np.ndarray:
    raw = np.empty(len(values), object)
    raw[:] = values
    return raw


def _fit(raw: np.ndarray, transform: str | None = None, **splits: Any) -> Target:
    parts = {name: np.array(ids) for name, ids in (splits or {"train": range(len(raw))}).items()}
    return Target.fit(SCHEMA, raw, parts, lambda index: f"sample {index}", transform)


@given(st.lists(st.one_of(st.text("abcd", max_size=6), st.lists(st.sampled_from("abcd"), max_size=6).map(tuple))))
def test_a_sequence_is_read_back_from_its_places(values: list[Any]) -> None:
    assume(any(values))
    target = _fit(_raw(values))
    assert target.kind == "sequence"
    assert target.classes == tuple(sorted({symbol for value in values for symbol in value}))
    found = target.encode(_raw(values))
    assert found.dtype == torch.int64
    assert found.shape == (len(values), max(map(len, values)))
    for row, value in zip(found.tolist(), values, strict=True):
        assert [target.classes[place] for place in row[: len(value)]] == list(value)
        assert set(row[len(value) :]) <= {-1}


def test_the_width_is_that_of_the_longest_of_all_splits_and_a_batch_alone_has_it_too() -> None:
    target = _fit(_raw(["ab", "b", "abba"]), train=[0, 1], test=[2])
    assert target.encode(_raw(["b"])).tolist() == [[1, -1, -1, -1]]
    assert target.encode(_raw([""])).tolist() == [[-1] * 4]
    assert target.counts(_raw(["abb", "", "b"])) == {"a": 1, "b": 3}


def test_whole_numbers_are_sorted_as_numbers() -> None:
    target = _fit(_raw([(10, 9), (2,)]))
    assert target.classes == ("2", "9", "10")
    assert target.encode(_raw([(9, 10)])).tolist() == [[1, 2]]


def test_a_symbol_that_train_lacks_is_named_with_a_sample() -> None:
    with pytest.raises(InputError, match=r"val has 2 symbols that train lacks: 'c' \(as in sample 1\), 'd'") as caught:
        _fit(_raw(["ab", "ac", "cd"]), train=[0], val=[1, 2])
    assert caught.value.findings[0].where == "data.split"
    target = _fit(_raw(["ab"]))
    with pytest.raises(InputError, match=r"unknown symbol 'x'.*known: 'a', 'b'"):
        target.encode(_raw(["xa"]))
    with pytest.raises(InputError, match="has 3 symbols, the longest at training had 2"):
        target.encode(_raw(["aba"]))


def test_targets_that_are_no_sequences_or_all_empty_are_refused() -> None:
    with pytest.raises(InputError, match="1 target is no sequence, as 3 of sample 1"):
        _fit(_raw(["ab", 3]))
    with pytest.raises(InputError, match="every sequence of the training split is empty"):
        _fit(_raw(["", "a"]), train=[0], val=[1])


def test_a_sequence_target_is_the_same_after_json() -> None:
    target = _fit(_raw(["ab", "cab"]), f"{__name__}:backwards")
    again = Target.from_state(json.loads(json.dumps(target.state())))
    assert again.classes == target.classes
    assert again.encode(_raw(["ab"])).tolist() == target.encode(_raw(["ab"])).tolist() == [[1, 0, -1]]


def test_a_target_transform_of_a_sequence_gives_a_sequence() -> None:
    with pytest.raises(InputError, match="are no sequences"):
        _fit(_raw(["ab", "b"]), f"{__name__}:only_number")


def test_strips_are_encoded_digit_by_digit() -> None:
    source = DigitStrips(num_strips=60)
    target = Target.fit(source.schema, source.targets, source.given, source.name)
    assert target.classes == tuple("0123456789")
    read = ["".join(str(digit) for digit in row if digit >= 0) for row in target.encode(source.targets).tolist()]
    assert read == source.targets.tolist()
