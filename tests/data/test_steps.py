"""Deterministic steps against Pillow, with torchvision's sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from torchwork.data.steps import CenterCrop, Grayscale, Resize

Smooth = Callable[..., np.ndarray]


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def _torchvision_size(size: int, height: int, width: int) -> tuple[int, int]:
    """torchvision.transforms.functional._compute_resized_output_size of version 0.20, for one number."""
    short, long = (width, height) if width <= height else (height, width)
    new_short, new_long = size, int(size * long / short)
    new_w, new_h = (new_short, new_long) if width <= height else (new_long, new_short)
    return new_h, new_w


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
    ],
)
def test_values_out_of_range_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()
