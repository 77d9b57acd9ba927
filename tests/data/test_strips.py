"""Strips of digits show what their record says, and no digit stands on two sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchwork.data.builtin import Digits
from torchwork.data.fingerprint import fingerprints
from torchwork.data.source import open_source
from torchwork.data.split import split
from torchwork.data.strips import DigitStrips
from torchwork.types import InputError

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15, "by": None}
SHAPES = st.fixed_dictionaries(
    {
        "max_digits": st.integers(1, 9),
        "min_digits": st.integers(0, 1),
        "height": st.integers(12, 24),
        "width": st.sampled_from([None, 108, 130]),
        "seed": st.integers(0, 2**40),
    }
)


@given(SHAPES)
@settings(deadline=None, max_examples=12)
def test_a_strip_shows_the_digits_of_its_record_side_by_side_and_nothing_else(shape) -> None:
    source = DigitStrips(num_strips=30, **shape)
    placed, images = source.placed, source.inputs.numpy()
    assert images.dtype == np.uint8
    assert images.shape == (30, 1, shape["height"], shape["width"] or 12 * shape["max_digits"] + 4)
    assert (placed.left >= 0).all()
    assert (placed.top >= 0).all()
    assert (placed.left + placed.size <= images.shape[3]).all()
    assert (placed.top + placed.size <= images.shape[2]).all()
    following = placed.strip[1:] == placed.strip[:-1]
    assert (placed.left[1:] >= (placed.left + placed.size)[:-1])[following].all()
    outside = images.copy()
    for strip, left, top, size in zip(placed.strip, placed.left, placed.top, placed.size, strict=True):
        assert images[strip, 0, top : top + size, left : left + size].max() >= 70
        outside[strip, 0, top : top + size, left : left + size] = 0
    assert not outside.any()
    numbers = np.bincount(placed.strip, minlength=30)
    assert shape["min_digits"] <= numbers.min()
    assert numbers.max() <= shape["max_digits"]


def test_a_digit_of_its_own_size_and_full_brightness_is_the_real_one() -> None:
    source, digits = DigitStrips(num_strips=400), Digits()
    placed = source.placed
    plain = np.flatnonzero(placed.size == 8)
    assert len(plain) > 100
    for at in plain.tolist():
        top, left = placed.top[at], placed.left[at]
        pasted = source.inputs[placed.strip[at], 0, top : top + 8, left : left + 8].double()
        assert (pasted - digits.inputs[placed.digit[at], 0] * placed.brightness[at]).abs().max() <= 0.5


def test_no_digit_stands_in_two_splits() -> None:
    source = DigitStrips()
    parts = split(source, SHARES, seed=0)
    assert {part: len(ids) for part, ids in parts.items()} == {"train": 2100, "val": 450, "test": 450}
    placed = source.placed
    digits = {part: set(placed.digit[np.isin(placed.strip, ids)].tolist()) for part, ids in parts.items()}
    assert not digits["train"] & digits["val"]
    assert not digits["train"] & digits["test"]
    assert not digits["val"] & digits["test"]
    assert len(set.union(*digits.values())) > 1700


def test_place_size_brightness_and_number_vary_over_their_whole_range() -> None:
    source = DigitStrips()
    placed = source.placed
    numbers = np.bincount(placed.strip, minlength=3000)
    assert np.bincount(numbers).min() > 400
    assert np.bincount(placed.size)[8:].min() > 1000
    assert (placed.brightness.min() < 0.41, placed.brightness.max() > 0.99) == (True, True)
    assert set(placed.top.tolist()) == set(range(9))
    assert (placed.left == 0).any()
    assert (placed.left + placed.size == 64).any()


def test_the_three_targets_say_the_same_of_the_same_strips() -> None:
    text, labels, count = (DigitStrips(target, num_strips=200) for target in ("sequence", "labels", "count"))  # type: ignore[arg-type]
    assert np.array_equal(text.inputs, labels.inputs)
    assert np.array_equal(text.inputs, count.inputs)
    values = Digits().targets
    for strip in range(200):
        read = "".join(str(values[digit]) for digit in text.placed.digit[text.placed.strip == strip])
        assert text.targets[strip] == read
        assert count.targets[strip].tolist() == [len(read)]
        assert labels.targets[strip].tolist() == [float(digit in read) for digit in "0123456789"]
    assert "" in text.targets.tolist()
    assert (text.schema.target, labels.schema.target, count.schema.target) == ("sequence", "number", "number")
    assert labels.schema.target_names == tuple("0123456789")
    assert count.schema.target_names == ("count",)


def test_a_strip_is_a_function_of_the_seed() -> None:
    one, same, other = (DigitStrips(num_strips=50, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.inputs, same.inputs)
    assert not np.array_equal(one.inputs, other.inputs)


@pytest.mark.parametrize(
    ("options", "where", "message"),
    [
        ({"max_digits": 0}, "max_digits", "got 0"),
        ({"max_digits": 2, "min_digits": 3}, "max_digits", "min_digits 3"),
        ({"num_strips": 5, "val": 3, "test": 2}, "num_strips", "train 0, val 3, test 2"),
        ({"val": 0}, "num_strips", "val 0"),
        ({"width": 25}, "width", "get 5 pixels each"),
        ({"height": 4}, "width", "get 4 pixels each"),
        ({"target": "digits"}, "target", "digits"),
    ],
)
def test_a_strip_that_cannot_be_is_refused(options, where: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_source({"name": "DigitStrips", **options})
    assert [finding.where for finding in caught.value.findings] == [f"data.source.{where}"]


def test_a_split_of_few_strips_has_a_digit_at_least() -> None:
    source = DigitStrips(num_strips=2000, val=1, test=1, min_digits=1)
    assert {part: len(ids) for part, ids in source.given.items()} == {"train": 1998, "val": 1, "test": 1}


def test_strips_without_digits_are_no_leak_and_all_others_are_told_apart_by_their_pixels() -> None:
    source = DigitStrips("count", num_strips=400)
    found = np.array(fingerprints(source, np.arange(400)))
    counts = source.targets[:, 0]
    assert (counts == 0).sum() > 10
    np.testing.assert_array_equal(found == "", counts == 0)
    there = found[found != ""]
    assert len(set(there)) == len({image.numpy().tobytes() for image in source.inputs[counts > 0]})
