"""What is drawn: within its bounds, about uniform over many keys, and by torchvision's rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from torchwork import rng
from torchwork.data.augment.affine import RandomAffine, RandomRotation
from torchwork.data.augment.automatic import OPERATIONS, RandAugment, TrivialAugmentWide
from torchwork.data.augment.blur import GaussianBlur
from torchwork.data.augment.erase import RandomErasing
from torchwork.data.augment.jitter import ColorJitter
from torchwork.data.augment.mix import CutMix, MixUp
from torchwork.data.augment.resized import RandomResizedCrop

COUNT = 6000
KEYS = rng.keys(11, np.arange(COUNT))


def _uniform(values: np.ndarray, low: float, high: float) -> bool:
    """Tell whether numbers may well be uniform; a wrong range or a shared draw is far off."""
    inside = ((values >= low) & (values <= high)).all()
    return bool(inside) and stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-4


def test_angles_scales_shears_and_shifts_fill_their_ranges() -> None:
    assert _uniform(RandomRotation(25).draw(KEYS), -25, 25)
    assert _uniform(RandomRotation([10, 20]).draw(KEYS), 10, 20)
    drawn = RandomAffine(5, translate=[0.5, 0.1], scale=[0.5, 2], shear=[-3, 4, 5, 6]).draw(KEYS, 80, 41)
    angle, right, down, scale, along, across = drawn.T
    assert _uniform(angle, -5, 5)
    assert _uniform(scale, 0.5, 2)
    assert _uniform(along, -3, 4)
    assert _uniform(across, 5, 6)
    assert set(np.unique(right)) == set(range(-20, 21))  # 0.5 · 41 = 20.5, rounded to even
    assert set(np.unique(down)) == set(range(-8, 9))
    assert np.abs(np.corrcoef(drawn.T) - np.eye(6)).max() < 0.06
    assert (RandomAffine(5).draw(KEYS, 80, 41)[:, 1:] == [0, 0, 1, 0, 0]).all()
    assert np.abs(RandomAffine(0, shear=7).draw(KEYS, 8, 8)[:, 4:]).max(0)[1] == 0


def test_factors_of_color_jitter_are_uniform_and_every_order_is_as_likely() -> None:
    drawn = ColorJitter(brightness=0.4, contrast=1.5, saturation=[2, 3], hue=[-0.1, 0.3]).draw(KEYS)
    for column, (low, high) in enumerate([(0.6, 1.4), (0, 2.5), (2, 3), (-0.1, 0.3)]):
        assert _uniform(drawn.factors[:, column], low, high)
    _, counts = np.unique(drawn.order, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


def test_blurs_are_uniform_in_their_deviation() -> None:
    assert _uniform(GaussianBlur(5).draw(KEYS), 0.1, 2.0)
    assert (GaussianBlur(5, sigma=1.5).draw(KEYS) == 1.5).all()


def test_erased_rectangles_have_the_drawn_area_and_aspect() -> None:
    boxes = RandomErasing(p=1.0).draw(KEYS, 1000, 1000)
    top, left, height, width = boxes.T
    assert (height > 0).all()
    assert ((top >= 0) & (top + height <= 1000) & (left >= 0) & (left + width <= 1000)).all()
    # the tallest and widest do not fit and are drawn again, so only rectangles far from the border are uniform
    small = RandomErasing(p=1.0, scale=(0.02, 0.2), ratio=(0.3, 3.3)).draw(KEYS, 4000, 4000)
    area = small[:, 2] * small[:, 3] / 16e6
    assert _uniform(np.clip(area, 0.02, 0.2), 0.02, 0.2)
    assert _uniform(
        np.clip(np.log(small[:, 2] / small[:, 3]), math.log(0.3), math.log(3.3)), math.log(0.3), math.log(3.3)
    )
    assert _uniform(top / (1001 - height), 0, 1)
    assert _uniform(left / (1001 - width), 0, 1)
    half = RandomErasing().draw(KEYS, 50, 60)[:, 2] > 0
    assert abs(half.mean() - 0.5) < 0.03


def test_erasing_gives_up_after_ten_tries() -> None:
    assert (RandomErasing(p=1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0)).draw(KEYS, 9, 9) == 0).all()
    # a tall image, of which most rectangles are too wide: torchvision's loop, one by one
    operation = RandomErasing(p=1.0, scale=(0.1, 0.6), ratio=(0.3, 3.3))
    for key, box in zip(KEYS[:300], operation.draw(KEYS[:300], 90, 8).tolist(), strict=True):
        expected = [0, 0, 0, 0]
        for share, aspect, down, right in rng.uniform(key, 41)[1:].reshape(10, 4).tolist():
            area = 90 * 8 * (0.1 + share * 0.5)
            ratio = math.exp(math.log(0.3) + aspect * (math.log(3.3) - math.log(0.3)))
            height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if height < 90 and width < 8:
                expected = [int(down * (90 - height + 1)), int(right * (8 - width + 1)), height, width]
                break
        assert box == expected


def test_resized_crops_have_the_drawn_area_and_aspect() -> None:
    operation = RandomResizedCrop(8, scale=(0.1, 0.4), ratio=(0.5, 1.5))
    boxes = np.array([operation.box(key, 3000, 3000) for key in KEYS[:2000]])
    top, left, height, width = boxes.T
    assert _uniform(np.clip(height * width / 9e6, 0.1, 0.4), 0.1, 0.4)
    logs = np.log(width / height)
    assert _uniform(np.clip(logs, math.log(0.5), math.log(1.5)), math.log(0.5), math.log(1.5))
    assert _uniform(top / (3001 - height), 0, 1)
    assert _uniform(left / (3001 - width), 0, 1)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 10**6))
def test_a_resized_crop_lies_in_the_image_and_keeps_its_limits_or_is_the_middle(
    height: int, width: int, number: int
) -> None:
    operation = RandomResizedCrop(8)
    top, left, tall, wide = operation.box(rng.keys(number), height, width)
    assert 0 <= top <= height - tall
    assert 0 <= left <= width - wide
    assert tall > 0
    assert wide > 0


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(1000, 10, (493, 0, 13, 10)), (10, 1000, (0, 493, 10, 13)), (40, 40, (0, 0, 40, 40))],
)
def test_where_no_try_fits_the_middle_is_taken(height: int, width: int, expected: tuple[int, ...]) -> None:
    # a share above the whole image would never fit; the limit 1 with a narrow ratio nearly never does
    operation = RandomResizedCrop(8, scale=(1.0, 1.0), ratio=(3 / 4, 4 / 3))
    found = {operation.box(key, height, width) for key in KEYS[:50]}
    assert expected in found
    assert len(found) == 1 or height == width


def test_the_policies_draw_every_operation_and_sign_as_often_and_their_own_magnitudes() -> None:
    chosen, strength = RandAugment(num_ops=2, magnitude=9).draw(KEYS, 331, 662)
    assert stats.chisquare(np.bincount(chosen.reshape(-1), minlength=14)).pvalue > 1e-4
    assert not (chosen[:, 0] == chosen[:, 1]).all()
    expected = {
        "Identity": 0,
        "ShearX": 0.09,
        "ShearY": 0.09,
        "TranslateX": 90,
        "TranslateY": 45,
        "Rotate": 9,
        "Brightness": 0.27,
        "Color": 0.27,
        "Contrast": 0.27,
        "Sharpness": 0.27,
        "Posterize": 7,
        "Solarize": 178.5,
        "AutoContrast": 0,
        "Equalize": 0,
    }
    for place, name in enumerate(OPERATIONS):
        found = strength[chosen == place]
        np.testing.assert_allclose(np.abs(found), expected[name], rtol=1e-6)
        signed = name not in ("Identity", "Posterize", "Solarize", "AutoContrast", "Equalize")
        assert 0.4 < (found < 0).mean() < 0.6 if signed else (found >= 0).all()


def test_trivial_augment_draws_every_magnitude_of_its_wide_ranges() -> None:
    chosen, strength = TrivialAugmentWide().draw(KEYS)
    assert stats.chisquare(np.bincount(chosen, minlength=14)).pvalue > 1e-4
    greatest = {"ShearX": 0.99, "ShearY": 0.99, "TranslateX": 32, "TranslateY": 32, "Rotate": 135}
    greatest |= dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.99)
    for place, name in enumerate(OPERATIONS):
        found = np.unique(strength[chosen == place])
        if name in greatest:
            np.testing.assert_allclose(found, np.linspace(-1, 1, 61) * greatest[name], atol=1e-6)
        elif name == "Posterize":
            assert found.tolist() == [2, 3, 4, 5, 6, 7, 8]
        elif name == "Solarize":
            np.testing.assert_allclose(found, np.linspace(0, 255, 31), atol=1e-4)
        else:
            assert found.tolist() == [0]
    few = TrivialAugmentWide(num_magnitude_bins=2).draw(KEYS)[1]
    assert {0, 135, -135} <= set(few.tolist())


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 3.5])
def test_lam_is_distributed_as_beta(alpha: float) -> None:
    lam = MixUp(alpha).draw(KEYS, 8, 8).lam
    assert ((lam >= 0) & (lam <= 1)).all()
    below, above = lam[lam < 0.5], 1 - lam[lam > 0.5]
    assert abs(len(below) / COUNT - 0.5) < 0.03
    assert _uniform(2 * stats.beta(alpha, alpha).cdf(below), 0, 1)
    assert _uniform(2 * stats.beta(alpha, alpha).cdf(above), 0, 1) or alpha < 0.1  # floats are coarse next to 1


def test_cut_boxes_follow_torchvisions_formula_and_lam_is_the_area_that_is_left() -> None:
    height, width = 31, 44
    operation = CutMix(alpha=0.8, p=0.6)
    mixed = operation.draw(KEYS, height, width)
    assert mixed.boxes is not None
    top, left, tall, wide = mixed.boxes.T
    assert ((top >= 0) & (left >= 0) & (top + tall <= height) & (left + wide <= width)).all()
    np.testing.assert_allclose(mixed.lam, 1 - tall * wide / (height * width))
    draws = rng.uniform(KEYS, 5)
    assert (mixed.lam[draws[:, 2] >= 0.6] == 1).all()
    lam = MixUp(0.8).draw(KEYS, height, width).lam  # the same first draws
    for place in np.flatnonzero(draws[:, 2] < 0.6)[:300]:
        x, y = int(draws[place, 4] * width), int(draws[place, 3] * height)
        half = 0.5 * math.sqrt(1 - lam[place])
        across, down = int(half * width), int(half * height)
        x1, x2, y1, y2 = max(x - across, 0), min(x + across, width), max(y - down, 0), min(y + down, height)
        assert mixed.boxes[place].tolist() == [y1, x1, y2 - y1, x2 - x1]
