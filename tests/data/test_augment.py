"""Augmentation is a function of the sample's key, and each outcome as likely as torchvision makes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from torchwork import rng
from torchwork.data.augment import crop
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


@pytest.mark.parametrize("side", [8, 52, 53, 64])  # 52×52 of three channels is the largest whose images go in one call
def test_images_of_any_size_are_mirrored_whose_number_says_so(side):
    images = torch.arange(len(IDS) * 3 * side * side).to(torch.uint8).view(-1, 3, side, side)
    keys = rng.keys(0, IDS)
    wanted = rng.uniform(keys, 1)[:, 0] < 0.5
    expected = torch.stack([image.flip(-1) if mirror else image for image, mirror in zip(images, wanted, strict=True)])
    assert 0 < wanted.sum() < len(IDS)
    assert torch.equal(RandomHorizontalFlip()(images, keys), expected)


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
    windows = images.unfold(2, 3, 1).unfold(3, 4, 1)
    top, left = np.arange(20) % 3, np.arange(20) % 2
    assert torch.equal(crop.take_on_device(windows, top, left), crop.take_on_host(windows, top, left))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_images_smaller_than_the_window_are_padded_on_both_sides_if_asked(mode: str) -> None:
    images = _numbered(40, 5, 9)
    cropped = RandomCrop([7, 6], pad_if_needed=True, fill=[7, 8], padding_mode=mode)(images, rng.keys(0, IDS[:40]))
    ways = {"constant": {"constant_values": [7, 8]}}.get(mode, {})
    padded = [
        np.pad(channel, ((2, 2), (0, 0)), mode, **{name: given[place] for name, given in ways.items()})
        for place, channel in enumerate(images[0].numpy())
    ]
    windows = torch.from_numpy(np.stack(padded)).unfold(1, 7, 1).unfold(2, 6, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    found = torch.stack([(cropped == window).flatten(1).all(1) for window in windows], 1)
    assert (found.sum(1) == 1).all()
    assert found.any(0).sum() > 8


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
                {"name": "ColorJitter", "brightness": -1, "contrast": [2, 1], "saturation": 1, "hue": 0.6},
                {"name": "RandomAffine", "degrees": -1, "translate": [0, 2], "scale": [0, 1], "shear": [1, 2, 3]},
                {"name": "RandomErasing", "p": -1, "scale": [0, 2], "ratio": [0, 1], "value": 256},
                {"name": "RandomResizedCrop", "size": [1, 0], "scale": [0.5, 0.1]},
                {"name": "RandAugment", "magnitude": 31, "fill": [-1]},
                {"name": "GaussianBlur", "kernel_size": 4, "sigma": 0},
                {"name": "RandomRotation", "degrees": 3, "center": [1.0], "interpolation": "lanczos"},
                {"name": "MixUp", "alpha": 0, "p": 2},
            ]
        )
    found = [(finding.code, finding.where) for finding in caught.value.findings]
    assert found == [
        ("unknown-name", "data.augment[0]"),
        ("missing-option", "data.augment[1]"),
        ("wrong-value", "data.augment[2].padding"),
        ("wrong-value", "data.augment[3].p"),
        *(("wrong-value", f"data.augment[4].{option}") for option in ("brightness", "contrast", "hue")),
        *(("wrong-value", f"data.augment[5].{option}") for option in ("degrees", "translate", "scale", "shear")),
        *(("wrong-value", f"data.augment[6].{option}") for option in ("p", "scale", "ratio", "value")),
        *(("wrong-value", f"data.augment[7].{option}") for option in ("size", "scale")),
        *(("wrong-value", f"data.augment[8].{option}") for option in ("magnitude", "fill")),
        *(("wrong-value", f"data.augment[9].{option}") for option in ("kernel_size", "sigma")),
        ("wrong-type", "data.augment[10].interpolation"),
        *(("wrong-value", f"data.augment[11].{option}") for option in ("alpha", "p")),
    ]
    assert "data.augment[4].hue: is 0.6; expected a number from 0 to 0.5, or [low, high] from -0.5 to 0.5" in str(
        caught.value
    )


def test_what_sets_the_size_stands_first_and_what_mixes_stands_last() -> None:
    first, second, third = build(
        [{"name": "RandomResizedCrop", "size": 4}, {"name": "RandomCrop", "size": 4}, {"name": "MixUp"}]
    )
    assert [(a.sizes, a.mixes) for a in (first, second, third)] == [(True, False), (False, False), (False, True)]
    with pytest.raises(InputError) as caught:
        build([{"name": "CutMix"}, {"name": "MixUp"}, {"name": "RandomResizedCrop", "size": 4}])
    assert [(finding.code, finding.where) for finding in caught.value.findings] == [
        ("order", "data.augment[0]"),
        ("order", "data.augment[1]"),
        ("order", "data.augment[2]"),
    ]


@pytest.mark.parametrize("name", ["ColorJitter", "RandAugment", "RandomErasing"])
def test_floats_and_odd_channels_are_refused_by_what_takes_levels(name: str) -> None:
    options = (
        {"brightness": 0.4} if name == "ColorJitter" else {"p": 1.0, "value": [1, 2]} if name == "RandomErasing" else {}
    )
    (augmentation,) = build([{"name": name, **options}])
    keys = augmentation.keys(0, 1, np.arange(2))
    images = torch.zeros(2, 4, 8, 8, dtype=torch.uint8)
    with pytest.raises(InputError, match=r"data.augment\[0\].*channels"):
        augmentation(images, keys)
    if name != "RandomErasing":
        with pytest.raises(InputError, match="takes uint8 images, not torch"):
            augmentation(images[:, :3].float(), keys)


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
    (tmp_path / "darkening.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    (darken,) = build([{"name": "darkening:Darken", "by": 0.5}])
    keys = darken.keys(0, 1, np.arange(4))
    expected = 0.5 + torch.from_numpy((keys % 2).astype(np.float32)).view(-1, 1, 1, 1).expand(4, 1, 2, 2)
    assert torch.equal(darken(torch.ones(4, 1, 2, 2), keys), expected)
