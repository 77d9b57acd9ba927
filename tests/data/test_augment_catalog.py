"""What every augmentation of the catalog keeps to: an entry more is tested by being there."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from torchwork import catalog, rng
from torchwork.data import AUGMENTS
from torchwork.data.augment import boxes, chunks
from torchwork.data.augment.build import Augmentation, build
from torchwork.types import InputError

# Options without a default, and such as make an operation do all that it can.
OPTIONS: dict[str, dict[str, Any]] = {
    "ColorJitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2},
    "FrequencyMasking": {"freq_mask_param": 5},
    "GaussianBlur": {"kernel_size": 5},
    "RandAugment": {"num_ops": 3},
    "RandomAffine": {"degrees": 20, "translate": [0.2, 0.1], "scale": [0.7, 1.3], "shear": 10},
    "RandomCrop": {"size": [20, 18], "padding": 2},
    "RandomResizedCrop": {"size": [14, 17]},
    "RandomRotation": {"degrees": 40},
    "TimeMasking": {"time_mask_param": 5},
}
# The same operation by its other ways.
OTHERS: dict[str, list[dict[str, Any]]] = {
    "RandAugment": [{"interpolation": "bilinear", "fill": [1, 2, 3]}],
    "RandomAffine": [{"degrees": 20, "interpolation": "bilinear", "fill": 9}],
    "RandomCrop": [{"size": 30, "pad_if_needed": True, "padding_mode": "reflect"}],
    "RandomErasing": [{"p": 1.0, "value": "random"}, {"value": [1, 2, 3]}],
    "RandomResizedCrop": [{"size": 9, "interpolation": "bicubic"}, {"size": 40, "interpolation": "nearest"}],
    "RandomRotation": [{"degrees": [90, 90]}, {"degrees": 180, "interpolation": "bilinear", "center": [3, 4]}],
}
SIDES = (19, 24)
COUNT = 23


def _made(name: str, options: dict[str, Any]) -> Augmentation:
    return build([{"name": name, **options}])[0]


def _all(*, mixing: bool) -> list[Any]:
    found = []
    for name in AUGMENTS:
        for options in [OPTIONS.get(name, {}), *OTHERS.get(name, [])]:
            augmentation = _made(name, options)
            if augmentation.mixes == mixing:
                found.append(pytest.param(augmentation, id=repr(augmentation)))
    return found


def _samples(augmentation: Augmentation, seed: int = 0) -> Tensor:
    """Return images, or spectrograms for what is for sounds."""
    random = np.random.default_rng(seed)
    if "spectrogram" in AUGMENTS[augmentation.name]:
        return torch.from_numpy(random.normal(size=(COUNT, 1, *SIDES)).astype(np.float32))
    smooth = torch.from_numpy(random.integers(0, 256, (COUNT, 3, 4, 4)).astype(np.float32))
    images = torch.nn.functional.interpolate(smooth, SIDES, mode="bicubic").clamp(0, 255).to(torch.uint8)
    images[-3:] = torch.from_numpy(random.integers(0, 256, (3, 3, *SIDES)).astype(np.uint8))
    images[-4] = 77  # of one level only
    return images


def _keys(seed: int = 0) -> np.ndarray:
    return rng.keys(seed, np.arange(COUNT))


@pytest.mark.parametrize("augmentation", _all(mixing=False))
def test_a_new_tensor_of_one_size_and_type_comes_out_and_the_input_stays(augmentation: Augmentation) -> None:
    images = _samples(augmentation)
    before = images.clone()
    found = augmentation(images, _keys())
    assert torch.equal(images, before)
    assert found.dtype == images.dtype
    assert found.shape[:2] == images.shape[:2]
    assert found.data_ptr() != images.data_ptr()
    assert torch.equal(augmentation(images, _keys()), found)
    assert not torch.equal(augmentation(images, _keys(1)), found) or "[90, 90]" in repr(augmentation)


@pytest.mark.parametrize("augmentation", _all(mixing=False))
def test_a_sample_comes_out_the_same_alone_in_any_batch_and_order(augmentation: Augmentation) -> None:
    images, keys = _samples(augmentation), _keys()
    together = augmentation(images, keys)
    order = np.random.default_rng(1).permutation(COUNT)
    assert torch.equal(augmentation(images[order], keys[order]), together[order])
    for size in (1, 7):
        cuts = [slice(at, at + size) for at in range(0, COUNT, size)]
        assert torch.equal(torch.cat([augmentation(images[cut], keys[cut]) for cut in cuts]), together)
    assert len(augmentation(images[:0], keys[:0])) == 0


@pytest.mark.parametrize("augmentation", _all(mixing=False))
def test_chunks_threads_and_the_order_in_memory_change_no_byte(
    augmentation: Augmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, keys = _samples(augmentation), _keys()
    together = augmentation(images, keys)
    assert torch.equal(augmentation(images.contiguous(memory_format=torch.channels_last), keys), together)
    wide = torch.zeros(COUNT, images.shape[1], SIDES[0] + 3, SIDES[1] + 5, dtype=images.dtype)
    wide[..., 2:-1, 1:-4] = images
    assert torch.equal(augmentation(wide[..., 2:-1, 1:-4], keys), together)
    monkeypatch.setattr(chunks, "VALUES", 3 * images[0].numel())
    assert torch.equal(augmentation(images, keys), together)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(augmentation(images, keys), together)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("augmentation", _all(mixing=True))
def test_mixing_is_a_function_of_each_sample_its_partner_and_its_key(augmentation: Augmentation) -> None:
    x, keys = torch.rand(COUNT, 3, *SIDES), _keys()
    partner = x.flip(0)
    before = x.clone()
    operation: Any = augmentation.operation
    mixed = operation.draw(keys, *SIDES)
    found = operation.apply(x, partner, mixed)
    assert torch.equal(x, before)
    assert found.dtype == x.dtype
    assert ((mixed.lam >= 0) & (mixed.lam <= 1)).all()
    for row in range(COUNT):
        cut = slice(row, row + 1)
        alone = operation.draw(keys[cut], *SIDES)
        np.testing.assert_array_equal(alone.lam, mixed.lam[cut])
        assert torch.equal(operation.apply(x[cut], partner[cut], alone), found[cut])


@pytest.mark.parametrize("name", AUGMENTS)
def test_every_option_is_described_and_can_be_left_out_or_is_named(name: str) -> None:
    component = catalog.load(name, AUGMENTS, "augmentation", "")
    known = catalog.parameters(component)
    text = inspect.getdoc(component) or ""
    assert all(f"{option}: " in text for option in known)
    needed = [option for option, parameter in known.items() if parameter.default is parameter.empty]
    assert set(needed) <= set(OPTIONS.get(name, {}))
    if needed:
        with pytest.raises(InputError, match=needed[0]):
            build([{"name": name}])
    else:
        build([{"name": name}])


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("RandomHorizontalFlip", {}),
        ("RandomVerticalFlip", {}),
        ("RandomErasing", {}),
        ("MixUp", {}),
        ("CutMix", {}),
    ],
)
def test_p_is_a_probability_from_never_to_always(name: str, ways: dict[str, Any]) -> None:
    keys = rng.keys(0, np.arange(400))
    images = torch.randint(1, 256, (400, 1, 9, 8), dtype=torch.uint8)
    shares = []
    for p in (0.0, 0.3, 1.0):
        augmentation = _made(name, {"p": p, **ways})
        operation: Any = augmentation.operation
        if augmentation.mixes:
            found = operation.apply(images.float(), torch.zeros(400, 1, 9, 8), operation.draw(keys, 9, 8))
        else:
            found = augmentation(images, keys)
        shares.append((found != images).flatten(1).any(1).double().mean().item())
    assert shares[0] == 0
    assert 0.2 < shares[1] < 0.4
    assert shares[2] > 0.8  # a rectangle may be empty


def test_the_way_for_other_devices_puts_changed_images_at_the_same_places() -> None:
    images = torch.randint(0, 256, (9, 3, *SIDES), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    rows, other = np.array([7, 0, 3]), images.clone()
    changed = 255 - images[rows]
    chunks.put_on_host(images, rows, changed)
    chunks.put_on_device(other, rows, changed)
    assert torch.equal(images, other)
    assert torch.equal(images[rows], changed)


def test_the_way_for_other_devices_pastes_the_same_boxes() -> None:
    images, other = torch.rand(5, 3, 8, 9), torch.rand(5, 3, 8, 9)
    where = np.array([[0, 0, 0, 0], [0, 0, 8, 9], [2, 3, 4, 5], [7, 8, 1, 1], [1, 1, 0, 4]])
    found = boxes.paste_on_host(images, where, other)
    assert torch.equal(boxes.paste_on_device(images, where, other), found)
    assert torch.equal(found[0], images[0])
    assert torch.equal(found[1], other[1])
    assert torch.equal(found[2, :, 2:6, 3:8], other[2, :, 2:6, 3:8])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 3]), st.integers(0, 99))
def test_images_of_any_size_and_of_one_channel_pass_every_operation(
    height: int, width: int, channels: int, seed: int
) -> None:
    images = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, channels, height, width), np.uint8))
    keys = rng.keys(seed, np.arange(3))
    for name in AUGMENTS:
        options = OPTIONS.get(name, {}) | ({"size": 5, "pad_if_needed": True} if name == "RandomCrop" else {})
        augmentation = _made(name, options | ({"kernel_size": 1} if name == "GaussianBlur" else {}))
        if not augmentation.mixes and "spectrogram" not in AUGMENTS[name]:
            assert augmentation(images, keys).shape[:2] == images.shape[:2]
