"""Every operation, given what was drawn, against Pillow on each image, or the formula that torchvision documents."""

from __future__ import annotations

import colorsys
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from torchwork import rng
from torchwork.data.augment import automatic, colour, levels
from torchwork.data.augment.affine import RandomAffine, RandomRotation
from torchwork.data.augment.automatic import OPERATIONS, RandAugment, TrivialAugmentWide
from torchwork.data.augment.blur import GaussianBlur
from torchwork.data.augment.erase import RandomErasing
from torchwork.data.augment.flip import RandomHorizontalFlip, RandomVerticalFlip
from torchwork.data.augment.jitter import ColorJitter
from torchwork.data.augment.mix import CutMix, MixUp
from torchwork.data.augment.resized import RandomResizedCrop
from torchwork.data.augment.warp import inverse_matrices, warp

HEIGHT, WIDTH, COUNT = 40, 53, 24
KEYS = rng.keys(3, np.arange(COUNT))


def _images() -> list[Image.Image]:
    """Smooth images, noise, and such as have few levels or one."""
    random = np.random.default_rng(0)
    small = [Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)) for _ in range(COUNT - 6)]
    found = [image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC) for image in small]
    shape = (HEIGHT, WIDTH, 3)
    found += [Image.fromarray(random.integers(0, most, shape, dtype=np.uint8)) for most in (256, 256, 20, 2)]
    return [*found, Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9)), Image.new("RGB", (WIDTH, HEIGHT), (0, 255, 4))]


PICTURES = _images()
IMAGES = torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in PICTURES])


def _difference(found: Tensor, expected: list[Image.Image]) -> np.ndarray:
    reference = np.stack([np.asarray(image) for image in expected]).astype(int)
    return np.abs(found.permute(0, 2, 3, 1).numpy().astype(int) - reference)


FACTORS = np.concatenate([[0.0, 1.0, 0.5, 2.0], np.random.default_rng(1).uniform(0, 2.5, COUNT - 4)])


@pytest.mark.parametrize(
    ("ours", "pillows"),
    [
        (colour.brightness, ImageEnhance.Brightness),
        (colour.contrast, ImageEnhance.Contrast),
        (colour.saturation, ImageEnhance.Color),
        (colour.sharpness, ImageEnhance.Sharpness),
    ],
)
def test_blends_equal_pillows_byte_for_byte(ours: Callable[..., Tensor], pillows: Any) -> None:
    expected = [pillows(image).enhance(factor) for image, factor in zip(PICTURES, FACTORS, strict=True)]
    assert _difference(ours(IMAGES, FACTORS), expected).max() == 0
    grey = ours(IMAGES[:, :1], FACTORS)
    pictures = [pillows(image.getchannel(0)).enhance(factor) for image, factor in zip(PICTURES, FACTORS, strict=True)]
    np.testing.assert_array_equal(grey[:, 0].numpy(), np.stack([np.asarray(image) for image in pictures]))


def test_tables_equal_pillows_byte_for_byte() -> None:
    bits = np.arange(COUNT) % 8 + 1
    thresholds = np.linspace(0, 256, COUNT)
    cases = [
        (levels.posterize(bits), [ImageOps.posterize(im, int(n)) for im, n in zip(PICTURES, bits, strict=True)]),
        (levels.solarize(thresholds), [ImageOps.solarize(im, t) for im, t in zip(PICTURES, thresholds, strict=True)]),
        (levels.autocontrast(IMAGES), [ImageOps.autocontrast(image) for image in PICTURES]),
        (levels.equalize(IMAGES), [ImageOps.equalize(image) for image in PICTURES]),
    ]
    for tables, expected in cases:
        assert _difference(levels.look_up(IMAGES, tables), expected).max() == 0


def _turned(image: np.ndarray, shift: float) -> np.ndarray:
    """Return levels [H, W, 3] as floats, the hue of each pixel turned in HSV."""
    found = np.empty(image.shape)
    for place in np.ndindex(image.shape[:2]):
        hue, saturation, value = colorsys.rgb_to_hsv(*(image[place] / 255))
        found[place] = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
    return found * 255


def test_the_hue_is_turned_as_in_hsv_within_rounding() -> None:
    part = IMAGES[::2, :, ::5, ::5]
    shifts = np.linspace(-0.5, 0.5, len(part))
    found = colour.hue(part, shifts).permute(0, 2, 3, 1).numpy()
    expected = np.stack(
        [_turned(image, shift) for image, shift in zip(part.permute(0, 2, 3, 1).numpy(), shifts, strict=True)]
    )
    assert np.abs(found - expected).max() < 0.51
    assert torch.equal(colour.hue(IMAGES, np.zeros(COUNT)), IMAGES)


def test_color_jitter_does_what_was_drawn_in_the_drawn_order() -> None:
    operation = ColorJitter(brightness=0.5, contrast=[0.5, 2], saturation=0.9, hue=0)
    drawn = operation.draw(KEYS)
    parts = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]
    expected = []
    for image, factors, order in zip(PICTURES, drawn.factors, drawn.order, strict=True):
        for part in order[order < 3]:
            image = parts[part](image).enhance(factors[part])
        expected.append(image)
    assert _difference(operation(IMAGES, KEYS), expected).max() == 0
    assert len({tuple(order) for order in drawn.order}) > 8
    assert torch.equal(ColorJitter()(IMAGES, KEYS), IMAGES)


def _inside(matrices: np.ndarray, margin: float = 1.0) -> np.ndarray:
    """Return which pixels [B, H, W, 1] come from a pixel or more within the image."""
    x, y = np.arange(WIDTH) + 0.5, np.arange(HEIGHT)[:, None] + 0.5
    found = []
    for a, b, c, d, e, f in matrices:
        across, down = a * x + b * y + c, d * x + e * y + f
        found.append((across > margin) & (across < WIDTH - margin) & (down > margin) & (down < HEIGHT - margin))
    return np.stack(found)[..., None]


@pytest.mark.parametrize("fill", [0, [7.0, 100.0, 255.0]])
def test_nearest_rotations_and_affine_maps_equal_pillows_byte_for_byte(fill: Any) -> None:
    colours = tuple(map(int, fill)) if isinstance(fill, list) else (fill,) * 3
    rotation = RandomRotation([-180, 180], fill=fill)
    expected = [
        image.rotate(angle, fillcolor=colours) for image, angle in zip(PICTURES, rotation.draw(KEYS), strict=True)
    ]
    assert (_difference(rotation(IMAGES, KEYS), expected) == 0).mean() > 0.9999
    right = np.arange(COUNT) % 4 * 90.0 - 180
    matrices = _matrices(-right, np.tile([0.0, 0, 1, 0, 0], (COUNT, 1)))
    expected = [image.rotate(angle, fillcolor=colours) for image, angle in zip(PICTURES, right, strict=True)]
    assert _difference(warp(IMAGES, matrices, "nearest", fill), expected).max() == 0


def _matrices(angle: np.ndarray, others: np.ndarray, center: tuple[float, float] = (WIDTH / 2, HEIGHT / 2)) -> Any:
    right, down, scale, along, across = np.ascontiguousarray(others.T)
    return inverse_matrices(center, angle, (right, down), scale, (along, across))


@pytest.mark.parametrize("center", [None, [10.0, 31.0]])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_random_affine_is_the_documented_product_of_matrices(interpolation: Any, center: list[float] | None) -> None:
    operation = RandomAffine(
        [-60, 90],
        translate=[0.3, 0.2],
        scale=[0.6, 1.6],
        shear=[-20, 20, -5, 15],
        interpolation=interpolation,
        center=center,
    )
    expected, inverses = [], []
    for image, (angle, right, down, scale, along, across) in zip(
        PICTURES, operation.draw(KEYS, HEIGHT, WIDTH), strict=True
    ):
        r, sx, sy = np.radians([angle, along, across])
        x, y = center or (WIDTH / 2, HEIGHT / 2)
        turn = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
        shear_y = np.array([[1, 0, 0], [-np.tan(sy), 1, 0], [0, 0, 1]])
        shear_x = np.array([[1, -np.tan(sx), 0], [0, 1, 0], [0, 0, 1]])
        move = np.array([[1, 0, x + right], [0, 1, y + down], [0, 0, 1]])
        to_center = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
        whole = move @ turn @ shear_y @ shear_x @ np.diag([scale, scale, 1]) @ to_center
        inverse = np.linalg.inv(whole)[:2].reshape(-1)
        inverses.append(inverse)
        way = Image.Resampling.NEAREST if interpolation == "nearest" else Image.Resampling.BILINEAR
        expected.append(image.transform(image.size, Image.Transform.AFFINE, tuple(inverse), way))
    assert set(operation.draw(KEYS, HEIGHT, WIDTH)[:, 1] % 1) == {0}
    difference = _difference(operation(IMAGES, KEYS), expected)
    inner = np.broadcast_to(_inside(np.array(inverses)), difference.shape)
    assert (difference[inner] <= 1).mean() > 0.999
    assert (difference <= 1).mean() > 0.998


@pytest.mark.parametrize("angles", [np.linspace(-180, 180, COUNT), np.arange(COUNT) * 90.0])
def test_bilinear_rotations_are_within_a_level_of_pillows(angles: np.ndarray) -> None:
    matrices = _matrices(-angles, np.tile([0.0, 0, 1, 0, 0], (COUNT, 1)))
    found = warp(IMAGES, matrices, "bilinear", 31)
    way = Image.Resampling.BILINEAR
    expected = [image.rotate(angle, way, fillcolor=(31,) * 3) for image, angle in zip(PICTURES, angles, strict=True)]
    difference = _difference(found, expected)
    inner = np.broadcast_to(_inside(matrices), difference.shape)
    assert (difference[inner] <= 1).mean() > 0.999
    assert (difference <= 1).mean() > 0.998


def test_a_warp_to_far_away_is_all_fill_and_one_by_nothing_the_image() -> None:
    still = np.tile([0.0, 0, 1, 0, 0], (COUNT, 1))
    for interpolation in ("nearest", "bilinear"):
        assert torch.equal(warp(IMAGES, _matrices(np.zeros(COUNT), still), interpolation), IMAGES)
        for far in (1e5, -1e8):
            assert (
                warp(IMAGES, _matrices(np.zeros(COUNT), still + np.array([far, 0, 0, 0, 0])), interpolation, 3) == 3
            ).all()


def _one_operation(image: Image.Image, name: str, amount: float) -> Image.Image:
    """Do one operation as torchvision does on a Pillow image (``_apply_op``)."""
    if name == "Rotate":
        return image.rotate(amount)
    if name in ("ShearX", "ShearY", "TranslateX", "TranslateY"):
        slope_x, slope_y = amount * (name == "ShearX"), amount * (name == "ShearY")
        right, down = int(amount) * (name == "TranslateX"), int(amount) * (name == "TranslateY")
        return image.transform(
            image.size, Image.Transform.AFFINE, (1, slope_x, -right, slope_y, 1, -down), Image.Resampling.NEAREST
        )
    if name in automatic.BLENDS:
        return getattr(ImageEnhance, name)(image).enhance(1 + amount)
    if name in ("Posterize", "Solarize"):
        return getattr(ImageOps, name.lower())(image, int(amount) if name == "Posterize" else amount)
    return image if name == "Identity" else getattr(ImageOps, name.lower())(image)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_of_the_policies_equals_torchvisions_on_pillow_images(name: str) -> None:
    amounts = {"Posterize": np.arange(COUNT) % 7 + 2.0, "Solarize": np.linspace(0, 255, COUNT)}
    wide = {"TranslateX": 32, "TranslateY": 32, "Rotate": 135}.get(name, 0.99)
    strength = amounts.get(name, np.linspace(-wide, wide, COUNT))
    found = automatic.apply(IMAGES, np.full(COUNT, OPERATIONS.index(name)), strength)
    expected = [_one_operation(image, name, amount) for image, amount in zip(PICTURES, strength, strict=True)]
    assert (_difference(found, expected) == 0).mean() > 0.999


def test_rand_augment_does_one_operation_after_the_other_and_trivial_augment_one() -> None:
    policy = RandAugment(num_ops=3, magnitude=20)
    chosen, strength = policy.draw(KEYS, HEIGHT, WIDTH)
    expected = []
    for image, names, amounts in zip(PICTURES, chosen, strength, strict=True):
        for name, amount in zip(names, amounts, strict=True):
            image = _one_operation(image, OPERATIONS[name], amount)
        expected.append(image)
    assert (_difference(policy(IMAGES, KEYS), expected) == 0).mean() > 0.998
    trivial = TrivialAugmentWide()
    once = zip(PICTURES, *trivial.draw(KEYS), strict=True)
    expected = [_one_operation(image, OPERATIONS[name], amount) for image, name, amount in once]
    assert (_difference(trivial(IMAGES, KEYS), expected) == 0).mean() > 0.999


@pytest.mark.parametrize("kernel", [1, 3, [7, 5], 23])
def test_blur_is_the_weighted_sum_of_torchvisions_formula(kernel: Any) -> None:
    operation = GaussianBlur(kernel, sigma=(0.1, 3.0))
    across, down = kernel if isinstance(kernel, list) else (kernel, kernel)
    found = operation(IMAGES, KEYS)
    for image, result, sigma in zip(IMAGES.numpy(), found.numpy(), operation.draw(KEYS), strict=True):
        weights = []
        for size in (across, down):
            curve = np.exp(-0.5 * (np.linspace(-(size - 1) / 2, (size - 1) / 2, size) / sigma) ** 2)
            weights.append(curve / curve.sum())
        sides = ((0, 0), (down // 2,) * 2, (across // 2,) * 2)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, sides, "reflect"), (down, across), (1, 2))
        expected = np.einsum("chwij,i,j->chw", windows.astype(float), weights[1], weights[0])
        assert np.abs(result - expected).max() < 0.51


def test_flips_are_pillows() -> None:
    for operation, way in (
        (RandomHorizontalFlip(1.0), Image.Transpose.FLIP_LEFT_RIGHT),
        (RandomVerticalFlip(1.0), Image.Transpose.FLIP_TOP_BOTTOM),
    ):
        assert _difference(operation(IMAGES, KEYS), [image.transpose(way) for image in PICTURES]).max() == 0


@pytest.mark.parametrize("value", [0, [3, 4, 5], "random"])
def test_erasing_overwrites_the_drawn_rectangle_and_nothing_else(value: Any) -> None:
    operation = RandomErasing(p=0.7, value=value)
    found = operation(IMAGES, KEYS).numpy()
    boxes = operation.draw(KEYS, HEIGHT, WIDTH)
    expected = IMAGES.numpy().copy()
    for image, result, (top, left, height, width) in zip(expected, found, boxes.tolist(), strict=True):
        part = (slice(None), slice(top, top + height), slice(left, left + width))
        if value == "random":
            assert height == 0 or len(np.unique(result[part])) > min(20, result[part].size // 3)
            image[part] = result[part]
        else:
            image[part] = np.reshape(value, (-1, 1, 1))
    np.testing.assert_array_equal(found, expected)
    assert 0 < (boxes[:, 2] == 0).sum() < COUNT


@pytest.mark.parametrize(("interpolation", "most"), [("bilinear", 1), ("bicubic", 2), ("nearest", 0)])
def test_a_resized_crop_is_pillows_crop_and_resize(interpolation: Any, most: int) -> None:
    operation = RandomResizedCrop([21, 30], interpolation=interpolation)
    way = getattr(Image.Resampling, interpolation.upper())
    smooth = COUNT - 6  # on noise, bicubic clips between the passes, whose order is Pillow's own affair
    for key, image, result in zip(KEYS[:smooth], PICTURES, operation(IMAGES[:smooth], KEYS[:smooth]), strict=False):
        top, left, height, width = operation.box(key, HEIGHT, WIDTH)
        part = image.crop((left, top, left + width, top + height))
        assert _difference(result[None], [part.resize((30, 21), way)]).max() <= most
        decoded = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # as decoders give it
        assert torch.equal(operation.one(decoded, key), result)


def test_mixing_is_the_papers_formula() -> None:
    x = torch.rand(COUNT, 3, 12, 17, dtype=torch.float64)
    partner = torch.rand(COUNT, 3, 12, 17, dtype=torch.float64)
    drawn = MixUp(alpha=0.4).draw(KEYS, 12, 17)
    lam = torch.from_numpy(drawn.lam).view(-1, 1, 1, 1)
    torch.testing.assert_close(MixUp().apply(x, partner, drawn), lam * x + (1 - lam) * partner)
    cut = CutMix().draw(KEYS, 12, 17)
    found = CutMix().apply(x, partner, cut)
    assert cut.boxes is not None
    for row, (top, left, height, width) in enumerate(cut.boxes.tolist()):
        expected = x[row].clone()
        expected[:, top : top + height, left : left + width] = partner[row, :, top : top + height, left : left + width]
        assert torch.equal(found[row], expected)
        assert (found[row] == x[row]).double().mean().item() == pytest.approx(cut.lam[row])


def test_photographs_are_cut_and_scaled_as_pillow_does(real_data: Path) -> None:
    operation = RandomResizedCrop(224)
    shares = []
    with tarfile.open(real_data / "photos-200.tar") as archive:
        members = [member for member in archive if member.name.lower().endswith((".jpg", ".jpeg"))][::17]
        for key, member in zip(KEYS, members, strict=False):
            picture = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")  # type: ignore[union-attr]
            image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
            top, left, height, width = operation.box(key, picture.height, picture.width)
            part = picture.crop((left, top, left + width, top + height))
            expected = part.resize((224, 224), Image.Resampling.BILINEAR)
            shares.append(_difference(operation.one(image, key)[None], [expected]).max() <= 1)
    assert len(shares) >= 10
    assert all(shares)
