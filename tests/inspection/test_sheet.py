"""A sheet shows every pixel in its place, and every label in a form that can be read."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from torchwork.inspection import lettering
from torchwork.inspection.sheet import LARGEST, levels, sheet


def page(*arguments: object, **options: object) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(sheet(*arguments, **options))).convert("RGB"))


def shown(text: str, size: int = 14) -> str:
    return "".join(run for run, _ in lettering.legible(text, size))


def test_small_pictures_are_enlarged_pixel_by_pixel_and_stand_side_by_side():
    random = torch.Generator().manual_seed(0)
    before = torch.randint(0, 256, (3, 3, 8, 8), generator=random, dtype=torch.uint8)
    after = 255 - before
    found = page([before, after], ["before", "after"], ["a", "b", "c"])
    first = before[0].repeat_interleave(12, 1).repeat_interleave(12, 2).permute(1, 2, 0).numpy()
    top = next(y for y in range(60) if (found[y, 10:106] == first[0]).all())
    np.testing.assert_array_equal(found[top : top + 96, 10:106], first)
    np.testing.assert_array_equal(found[top : top + 96, 108:204], 255 - first)


def test_large_pictures_are_made_smaller_and_grey_ones_stay_grey():
    found = page([torch.full((1, 1, 900, 600), 100, dtype=torch.uint8)], [""], ["x"])
    assert (found == 100).all(2).sum() == LARGEST * LARGEST * 2 // 3


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_any_number_of_samples_finds_room(count):
    pictures = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    found = page([pictures] * 3, ["anchor", "positive", "negative"], [f"class {i}" for i in range(count)], "caption")
    assert (found == 0).all(2).sum() >= count * 3 * 112 * 112
    assert found.shape[1] <= 1500


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_no_label_is_too_long_or_breaks_the_sheet(label):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page([torch.zeros(1, 1, 8, 8, dtype=torch.uint8)], ["before"], [label], label)
    assert lettering.length(lettering.fitted(label, 14, 100)) <= 100 or len(label) == 0


def test_letters_that_cannot_be_drawn_become_escapes(monkeypatch):
    monkeypatch.setattr(lettering, "_fonts_of_the_system", lambda: ())
    lettering._drawn.cache_clear()
    try:
        assert shown("a猫b\n\udce9") == "a\\u732bb\\n\\udce9"
        assert shown("Ελλη Привет é") == "Ελλη Привет é"
    finally:
        lettering._drawn.cache_clear()


def test_a_font_of_the_system_serves_what_dejavu_lacks():
    if not any(ord("猫") in lettering._characters(path) for path in lettering._fonts_of_the_system()):
        pytest.skip("no font of this system has Chinese characters")
    runs = lettering.legible("cat 猫咪 2", 14)
    assert [text for text, _ in runs] == ["cat ", "猫咪", " 2"]
    found = page([torch.zeros(1, 1, 8, 8, dtype=torch.uint8)], [""], ["猫"])
    other = page([torch.zeros(1, 1, 8, 8, dtype=torch.uint8)], [""], ["狗"])
    assert (found != other).any()


def test_levels_span_the_range_of_a_sample_and_of_its_other_pictures():
    x = torch.tensor([[0.0, 1.0], [5.0, 5.0]]).view(2, 1, 1, 2)
    assert levels(x).flatten().tolist() == [0, 255, 0, 0]
    assert levels(x, alike=[x + 1]).flatten().tolist() == [0, 128, 0, 0]
