"""Augmentation is a function of the sample's key, and each outcome as likely as torchvision makes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from torchwork import rng
from torchwork.data.augment import crop, flip
from torchwork.data.augment.build import build
from torchwork.data.augment.crop import RandomCrop
from torchwork.data.augment.flip import RandomHorizontalFlip
from torchwork.types import InputError

IDS = np.arange(600)


def _numbered(count: int, height: int, width: int) -> torch.Tensor:
    """Images whose pixels tell where they stood: float [B, 2, H, W], from 1."""
    pixels = torch.arange(1.0, height * width + 1).view(1, height, width)
    return torch.stack([torch.cat([pixels, pixels + 1000])] * count)


@pytest.mark.parametrize(
    ("size", "padding", "borders"),
    [(4, None, (0, 0, 0, 0)), (5, 1, (1, 1, 1, 1)), ([3, 6], [1, 2], (1, 2, 1, 2)), (5, [0, 1, 2, 3], (0, 1, 2, 3))],
)
def test_every_window_of_the_padded_image_is_as_likely(
    size: int | list[int], padding: int | list[int] | None, borders: tuple[int, int, int, int]
) -> None:
    images = _numbered(len(IDS), 5, 6)
    left, top, right, bottom = borders
    padded = F.pad(images[0], [left, right, top, bottom], value=7.0)
    height, width = (size, size) if isinstance(size, int) else size
    windows = padded.unfold(1, height, 1).unfold(2, width, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    cropped = RandomCrop(size, padding, fill=7.0)(images, rng.keys(0, IDS))
    assert cropped.shape == (len(IDS), 2, height, width)
    assert cropped.is_contiguous()
    counts = torch.stack([(cropped == window).flatten(1).all(1).sum() for window in windows])
    assert counts.sum() == len(IDS)
    expected = len(IDS) / len(windows)
    assert ((counts - expected).abs() < 5 * expected**0.5 + 1).all()


def test_half_of_the_images_are_mirrored_and_the_input_stays_as_it_was() -> None:
    images = _numbered(len(IDS), 3, 4)
    before = images.clone()
    flipped = RandomHorizontalFlip()(images, rng.keys(0, IDS))
    assert torch.equal(images, before)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    assert torch.equal(flipped[~mirrored], images[~mirrored])
    assert 240 < int(mirrored.sum()) < 360
    assert torch.equal(RandomHorizontalFlip(p=0.0)(images, rng.keys(0, IDS)), images)
    assert torch.equal(RandomHorizontalFlip(p=1.0)(images, rng.keys(0, IDS)), images.flip(-1))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("operation", [RandomCrop(4, padding=2), RandomHorizontalFlip()], ids=repr)
def test_a_sample_is_augmented_alike_alone_and_in_any_batch(operation: object, dtype: torch.dtype) -> None:
    images = torch.randint(0, 256, (20, 3, 5, 6)).to(dtype)
    keys = rng.keys(0, np.arange(20))
    together = operation(images, keys)
    assert together.dtype == dtype
    order = np.array([13, 2, 7])
    assert torch.equal(operation(images[order], keys[order]), together[order])


def test_the_way_for_other_devices_gives_the_same() -> None:
    images = torch.randint(0, 256, (20, 3, 5, 6), dtype=torch.uint8)
    mirrored = np.arange(20) % 3 == 0
    assert torch.equal(flip.mirror_on_device(images, mirrored), flip.mirror_on_host(images, mirrored))
    windows = images.unfold(2, 3, 1).unfold(3, 4, 1)
    top, left = np.arange(20) % 3, np.arange(20) % 2
    assert torch.equal(crop.take_on_device(windows, top, left), crop.take_on_host(windows, top, left))


def test_the_keys_depend_on_seed_epoch_sample_place_and_name() -> None:
    first, second = build([{"name": "RandomHorizontalFlip"}, {"name": "RandomHorizontalFlip"}])
    (cropping,) = build([{"name": "RandomCrop", "size": 3}])
    base = first.keys(0, 1, IDS)
    for other in (first.keys(1, 1, IDS), first.keys(0, 2, IDS), second.keys(0, 1, IDS), cropping.keys(0, 1, IDS)):
        assert not (base == other).any()
    assert len(np.unique(base)) == len(IDS)
    np.testing.assert_array_equal(first.keys(0, 1, IDS[5:9]), base[5:9])


def test_mistakes_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        build(
            [
                {"name": "RandomCorp", "size": 3},
                {"name": "RandomCrop"},
                {"name": "RandomCrop", "size": 3, "padding": [1, 2, 3]},
                {"name": "RandomHorizontalFlip", "p": 1.5},
            ]
        )
    found = [(finding.code, finding.where) for finding in caught.value.findings]
    assert found == [
        ("unknown-name", "data.augment[0]"),
        ("missing-option", "data.augment[1]"),
        ("wrong-value", "data.augment[2]"),
        ("wrong-value", "data.augment[3]"),
    ]


def test_a_crop_over_the_image_and_samples_that_are_no_images_are_refused() -> None:
    (cropping,) = build([{"name": "RandomCrop", "size": 9, "padding": 1}])
    keys = cropping.keys(0, 1, np.arange(2))
    with pytest.raises(InputError, match=r"data.augment\[0\].*9×9 does not fit into images of 7×8"):
        cropping(torch.zeros(2, 3, 5, 6), keys)
    with pytest.raises(InputError, match="is for images"):
        cropping(torch.zeros(2, 3), keys)


def test_a_users_augmentation_gets_whole_batches_and_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
import torch
class Darken:
    def __init__(self, by: float): self.by = by
    def __call__(self, images, keys): return images * self.by + torch.from_numpy(keys % 2).view(-1, 1, 1, 1)
"""
    (tmp_path / "own_augments.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    (darken,) = build([{"name": "own_augments:Darken", "by": 0.5}])
    keys = darken.keys(0, 1, np.arange(4))
    expected = 0.5 + torch.from_numpy((keys % 2).astype(np.float32)).view(-1, 1, 1, 1).expand(4, 1, 2, 2)
    assert torch.equal(darken(torch.ones(4, 1, 2, 2), keys), expected)
