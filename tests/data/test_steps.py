"""Deterministic steps against Pillow, with torchvision's sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from torchwork.data.steps import CenterCrop, Grayscale, Lambda, Pad, Resize
from torchwork.types import InputError

Smooth = Callable[..., np.ndarray]


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def _torchvision_size(size: int, height: int, width: int) -> tuple[int, int]:
    """torchvision.transforms.functional._compute_resized_output_size of version 0.20, for one number."""
    short, long = (width, height) if width <= height else (height, width)
    new_short, new_long = size, int(size * long / short)
    new_w, new_h = (new_short, new_long) if width <= height else (new_long, new_short)
    return new_h, new_w


SIDES = st.integers(1, 90)


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 1000), st.sampled_from([1, 3]), st.booleans())
def test_any_size_from_any_size_is_pillows(
    height: int, width: int, new_height: int, new_width: int, seed: int, channels: int, planar: bool
) -> None:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(64, 192, (5, 5, 3), dtype=np.uint8))
    pixels = np.array(small.resize((width, height), Image.Resampling.BILINEAR))[..., :channels]
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    picture = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
    for interpolation, most in (("bilinear", 1), ("bicubic", 2), ("nearest", 0)):
        step = Resize([new_height, new_width], interpolation)  # type: ignore[arg-type]
        resized = step(images.contiguous() if planar else images)
        way = getattr(Image.Resampling, interpolation.upper())
        expected = np.asarray(picture.resize((new_width, new_height), way)).reshape(new_height, new_width, channels)
        assert np.abs(resized[0].permute(1, 2, 0).numpy().astype(int) - expected).max() <= most


def test_noise_is_scaled_as_pillow_does_but_for_a_pixel_in_ten_thousand() -> None:
    random = np.random.default_rng(0)
    differences = []
    for _ in range(40):
        height, width, new_height, new_width = random.integers(1, 150, 4).tolist()
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        expected = np.asarray(Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.BILINEAR))
        resized = Resize([new_height, new_width])(_tensor(pixels)[None])[0]
        differences.append(np.abs(resized.permute(1, 2, 0).numpy().astype(int) - expected).reshape(-1))
    assert (np.concatenate(differences) <= 1).mean() > 0.9999
    assert np.concatenate(differences).max() <= 2


@given(st.integers(1, 60), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90))
def test_the_longer_side_is_kept_below_max_size_as_in_torchvision(
    size: int, more: int, height: int, width: int
) -> None:
    step = Resize(size, max_size=size + more)
    new_height, new_width = _torchvision_size(size, height, width)
    if max(new_height, new_width) > size + more:
        short = max(1, int((size + more) * min(new_height, new_width) / max(new_height, new_width)))
        new_height, new_width = (short, size + more) if height <= width else (size + more, short)
    assert step.output_size(height, width) == (new_height, new_width)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize(
    ("padding", "sides"), [(2, (2, 2, 2, 2)), ([1, 3], (1, 3, 1, 3)), ([0, 1, 2, 3], (0, 1, 2, 3))]
)
def test_pad_is_numpys(smooth: Smooth, mode: str, padding: int | list[int], sides: tuple[int, int, int, int]) -> None:
    images = torch.stack([_tensor(smooth(seed)) for seed in range(3)])
    left, top, right, bottom = sides
    step = Pad(padding, padding_mode=mode)  # type: ignore[arg-type]
    padded = step(images)
    expected = np.pad(images.numpy(), ((0, 0), (0, 0), (top, bottom), (left, right)), mode)  # type: ignore[call-overload]
    np.testing.assert_array_equal(padded.numpy(), expected)
    assert step.output_size(12, 16) == tuple(padded.shape[-2:])
    assert torch.equal(torch.stack(step(list(images))), padded)


def test_pad_fills_with_a_level_or_one_for_each_channel(smooth: Smooth) -> None:
    images = _tensor(smooth(0))[None]
    assert (Pad(1, fill=9)(images)[:, :, 0] == 9).all()
    padded = Pad([1, 0], fill=[1, 2, 3])(images)
    assert padded[0, :, 0, 0].tolist() == [1, 2, 3]
    assert torch.equal(padded[..., 1:-1], images)
    with pytest.raises(ValueError, match="2 numbers for 3 channels"):
        Pad(1, fill=[1, 2])(images)


@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("math", "import-path"),
        ("math:pi", "not-callable"),
        ("math:pie", "no-attribute"),
        ("no_such:f", "import-failed"),
    ],
)
def test_lambda_says_what_is_wrong_with_its_function(function: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        Lambda(function)
    assert [(finding.code, finding.where) for finding in caught.value.findings] == [(code, "function")]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_an_int_is_the_shorter_side_as_in_torchvision(size: int, height: int, width: int) -> None:
    assert Resize(size).output_size(height, width) == _torchvision_size(size, height, width)


@pytest.mark.parametrize("size", [5, 12, 40, [7, 9], [30, 8]])
@pytest.mark.parametrize("shape", [(12, 16), (33, 20), (64, 64)])
def test_resize_equals_pillows_within_one_level(smooth: Smooth, size: int | list[int], shape: tuple[int, int]) -> None:
    pixels = smooth(0, *shape)
    resized = Resize(size)(_tensor(pixels)[None])[0]
    height, width = Resize(size).output_size(*shape)
    expected = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
    assert resized.dtype == torch.uint8
    assert tuple(resized.shape) == (3, height, width)
    assert np.abs(resized.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1


def test_a_batch_is_resized_as_each_image_alone_bit_for_bit(smooth: Smooth) -> None:
    images = torch.stack([_tensor(smooth(seed, 37, 53)) for seed in range(20)])
    step = Resize([21, 18])
    together = step(images)
    assert torch.equal(together, torch.stack([step(image[None])[0] for image in images]))
    assert torch.equal(together, torch.stack(step(list(images))))
    channels_last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(together, step(channels_last))


def test_resize_to_the_same_size_changes_nothing(smooth: Smooth) -> None:
    images = _tensor(smooth(0))[None]
    assert torch.equal(Resize(12)(images), images)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 9), st.integers(0, 9))
def test_center_crop_starts_where_torchvisions_does(height: int, width: int, more_rows: int, more_columns: int) -> None:
    rows, columns = height + more_rows, width + more_columns
    images = torch.arange(rows * columns).reshape(1, 1, rows, columns)
    top, left = round((rows - height) / 2.0), round((columns - width) / 2.0)
    cropped = CenterCrop([height, width])(images)
    assert cropped.shape == (1, 1, height, width)
    assert cropped[0, 0, 0, 0] == top * columns + left


def test_center_crop_pads_nothing() -> None:
    with pytest.raises(ValueError, match="smaller than the crop"):
        CenterCrop(9)(torch.zeros(1, 3, 8, 20, dtype=torch.uint8))


@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale_equals_pillow(smooth: Smooth, channels: int) -> None:
    pixels = smooth(0)
    grey = Grayscale(channels)(_tensor(pixels)[None])
    expected = np.asarray(Image.fromarray(pixels).convert("L"))
    assert grey.shape == (1, channels, 12, 16)
    for channel in grey[0]:
        np.testing.assert_array_equal(channel.numpy(), expected)
    assert torch.equal(Grayscale(channels)(grey[:, :1]), grey)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Resize(0),
        lambda: Resize([3]),
        lambda: Resize([3, 0]),
        lambda: CenterCrop([1, 2, 3]),
        lambda: Grayscale(2),
        lambda: Resize(5, max_size=5),
        lambda: Resize([5, 5], max_size=9),
        lambda: Pad(-1),
        lambda: Pad([1, 2, 3]),
    ],
)
def test_values_out_of_range_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()
