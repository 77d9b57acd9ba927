"""Masks and warps of spectrograms: each sample by its key alone, as a plain loop over samples gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchwork import rng
from torchwork.data.augment.build import build
from torchwork.data.augment.spectrogram import FrequencyMasking, FrequencyWarp, TimeMasking, TimeWarp
from torchwork.types import InputError

Operation = Callable[[torch.Tensor, np.ndarray], torch.Tensor]


def spectrograms(count: int, bands: int = 12, frames: int = 20, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 1, bands, frames)).astype(np.float32))


def masked(image: np.ndarray, param: float, u: float, v: float, value: float) -> np.ndarray:
    """torchaudio's mask_along_axis on the last axis of [F, T], with its two draws given."""
    width = u * param
    start = v * (image.shape[1] - width)
    image = image.copy()
    image[:, int(start) : int(start) + int(width)] = value
    return image


def warped(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A frame at a time: linear between neighbours, 0 beyond both ends."""
    framed = np.pad(image, [(0, 0), (1, 1)])
    columns = [np.clip(place, -1, image.shape[1]) + 1 for place in places]
    return np.stack([[np.interp(at, np.arange(framed.shape[1]), row) for at in columns] for row in framed])


def by_time_mask(image: np.ndarray, u: float, v: float) -> np.ndarray:
    return masked(image, min(9, int(image.shape[1] * 0.8)), u, v, -2.0)


def by_frequency_mask(image: np.ndarray, u: float, v: float) -> np.ndarray:
    return masked(image.T, min(15, image.shape[0]), u, v, 1.5).T


def by_time_warp(image: np.ndarray, u: float, v: float) -> np.ndarray:
    return warped(image, np.arange(image.shape[1]) * 1.3 ** (2 * u - 1) - 3 * (2 * v - 1))


def by_frequency_warp(image: np.ndarray, u: float, v: float) -> np.ndarray:
    places = np.arange(image.shape[0]) * 1.2 ** (2 * u - 1) - 2 * (2 * v - 1)
    return warped(image.T, np.clip(places, 0, image.shape[0] - 1)).T


CASES: dict[str, tuple[Operation, Callable[[np.ndarray, float, float], np.ndarray]]] = {
    "TimeMasking": (TimeMasking(9, p=0.8, mask_value=-2.0), by_time_mask),
    "FrequencyMasking": (FrequencyMasking(15, mask_value=1.5), by_frequency_mask),
    "TimeWarp": (TimeWarp(1.3, 3), by_time_warp),
    "FrequencyWarp": (FrequencyWarp(1.2, 2), by_frequency_warp),
}


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 5), bands=st.integers(1, 14), frames=st.integers(1, 24))
def test_each_operation_equals_a_loop_over_samples(name: str, seed: int, count: int, bands: int, frames: int) -> None:
    operation, reference = CASES[name]
    x, keys = spectrograms(count, bands, frames, seed), rng.keys(seed, np.arange(count))
    found = operation(x, keys)
    for image, result, (u, v) in zip(x.numpy(), found.numpy(), rng.uniform(keys, 2), strict=True):
        np.testing.assert_allclose(result[0], reference(image[0], u, v), atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_sample_has_the_same_bytes_in_any_company(name: str) -> None:
    operation, _ = CASES[name]
    x, keys = spectrograms(40), rng.keys(7, np.arange(40))
    before = x.clone()
    whole = operation(x, keys)
    assert x.equal(before)
    assert whole.dtype == torch.float32
    for size in (1, 7, 39):
        parts = [operation(x[at : at + size], keys[at : at + size]) for at in range(0, 40, size)]
        assert torch.cat(parts).equal(whole)
    order = np.random.default_rng(0).permutation(40)
    assert operation(x[order], keys[order]).equal(whole[order])


def test_masks_cover_all_but_the_last_place_and_widths_stay_below_the_parameter() -> None:
    x = torch.ones(4000, 1, 3, 16)
    kept = TimeMasking(6)(x, rng.keys(0, np.arange(4000)))[:, 0, 0]
    widths = (kept == 0).sum(1)
    assert sorted(set(widths.tolist())) == [0, 1, 2, 3, 4, 5]
    covered = (kept == 0).sum(0)
    assert bool((covered[:-1] > 100).all())
    assert covered[-1] == 0  # as in torchaudio: start and width are rounded down, each for itself
    counts = torch.bincount(widths).double()
    assert bool(((counts - 4000 / 6).abs() < 5 * (4000 / 6) ** 0.5).all())


def test_no_warp_is_the_sample_itself() -> None:
    x = spectrograms(5)
    for operation in (TimeWarp(1.0, 0), FrequencyWarp(1.0, 0)):
        assert operation(x, rng.keys(0, np.arange(5))).equal(x)


def test_rates_are_as_likely_fast_as_slow() -> None:
    ramp = torch.arange(64.0).expand(2000, 1, 1, 64)
    rates = TimeWarp(1.25)(ramp, rng.keys(0, np.arange(2000)))[:, 0, 0, 20] / 20
    assert 0.8 <= float(rates.min()) < 0.81
    assert 1.24 < float(rates.max()) <= 1.25
    assert abs(float(rates.log().mean())) < 0.01


def test_two_masks_of_one_kind_are_drawn_apart() -> None:
    first, second = build([{"name": "TimeMasking", "time_mask_param": 9}] * 2)
    ids = np.arange(50)
    x = torch.ones(50, 1, 2, 30)
    one, other = (augmentation(x, augmentation.keys(0, 1, ids)) for augmentation in (first, second))
    assert not one.equal(other)


WRONG = [
    {"name": "TimeMasking", "time_mask_param": 0, "p": 1.5},
    {"name": "FrequencyMasking", "freq_mask_param": 0},
    {"name": "TimeWarp", "max_rate": 0.5, "max_shift": -1.0},
    {"name": "FrequencyWarp", "max_rate": 0.9},
]


@pytest.mark.parametrize("spec", WRONG, ids=lambda spec: spec["name"])
def test_options_out_of_range_are_refused_all_at_once(spec: dict[str, object]) -> None:
    with pytest.raises(InputError) as raised:
        build([spec])
    wrong = [name for name in spec if name != "name"]
    assert [finding.where for finding in raised.value.findings] == [f"data.augment[0].{name}" for name in wrong]


@pytest.mark.parametrize("name", CASES)
def test_images_of_levels_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is for spectrograms"):
        CASES[name][0](torch.zeros(2, 1, 8, 8, dtype=torch.uint8), rng.keys(0, np.arange(2)))
