"""Decoding equals Pillow's, applies the orientation, and says of a damaged file that it is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from torchwork.data import decode
from torchwork.data.luminance import luminance

Smooth = Callable[..., np.ndarray]


def _pillow(path: Path, mode: str) -> np.ndarray:
    with Image.open(path) as image:
        pixels = np.asarray(ImageOps.exif_transpose(image).convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "gif", "webp", "tiff", "ppm"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_format_equals_pillow(tmp_path: Path, smooth: Smooth, suffix: str, mode: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth(0, 21, 34)).save(path)
    decoded = decode.decode(path, mode)
    assert decoded.dtype == torch.uint8
    np.testing.assert_array_equal(decoded.numpy(), _pillow(path, mode))
    found = decode.header(path)
    assert (found.height, found.width) == (21, 34)
    assert found.format == {"jpg": "JPEG"}.get(suffix, suffix.upper())


@pytest.mark.parametrize("options", [{"quality": 95, "subsampling": 0}, {"progressive": True}, {"quality": 10}])
def test_every_kind_of_jpeg_equals_pillow(tmp_path: Path, smooth: Smooth, options: dict[str, int]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(1, 33, 47)).save(path, **options)
    np.testing.assert_array_equal(decode.decode(path).numpy(), _pillow(path, "RGB"))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_equal_pillow(tmp_path: Path, smooth: Smooth, mode: str) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(2)).convert(mode).save(path)
    np.testing.assert_array_equal(decode.decode(path).numpy(), _pillow(path, "RGB"))
    np.testing.assert_array_equal(decode.decode(path, "L").numpy(), _pillow(path, "L"))


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK", "turned", "another shape"])
def test_a_jpeg_is_decoded_into_memory_of_its_shape_and_else_the_memory_is_left_alone(
    tmp_path: Path, smooth: Smooth, kind: str
) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 3 if kind == "turned" else 1
    Image.fromarray(smooth(4, 10, 24)).convert(kind if kind in ("L", "CMYK") else "RGB").save(path, exif=exif)
    shape = {"L": (10, 24, 1), "another shape": (24, 10, 3)}.get(kind, (10, 24, 3))
    into = np.full(shape, 77, np.uint8)
    decoded = decode.decode(path, into=into)
    assert torch.equal(decoded, decode.decode(path))
    if kind in ("RGB", "L"):
        assert decoded.data_ptr() == into.ctypes.data
    else:
        assert (into == 77).all()


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(tmp_path: Path, smooth: Smooth, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth(3, 10, 24)).save(path, exif=exif)
    expected = _pillow(path, "RGB")
    np.testing.assert_array_equal(decode.decode(path).numpy(), expected)
    found = decode.header(path)
    assert (found.height, found.width) == expected.shape[1:]


def _composed(path: Path, background: tuple[int, int, int]) -> np.ndarray:
    """The formula: (a · colour + (255 - a) · background) / 255, rounded to the nearest."""
    with Image.open(path) as opened:
        levels = np.asarray(opened.convert("RGBA")).astype(int)
    alpha = levels[..., 3:]
    sums = alpha * levels[..., :3] + (255 - alpha) * np.array(background)
    return ((2 * sums + 255) // 510).transpose(2, 0, 1)


@pytest.fixture
def see_through(tmp_path: Path, smooth: Smooth) -> dict[str, Path]:
    """The same image with every kind of transparency."""
    image = Image.fromarray(smooth(4))
    alpha = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(12, 16))
    paths = {name: tmp_path / name for name in ("rgba.png", "la.png", "palette.png", "one.png", "key.png", "a.webp")}
    rgba = image.copy()
    rgba.putalpha(alpha)
    rgba.save(paths["rgba.png"])
    rgba.save(paths["a.webp"], lossless=True, exact=True)
    rgba.convert("LA").save(paths["la.png"])
    image.quantize(8).save(paths["palette.png"], transparency=bytes(range(0, 256, 32)))
    image.quantize(8).save(paths["one.png"], transparency=3)
    image.save(paths["key.png"], transparency=image.getpixel((2, 3)))
    rgba.save(tmp_path / "a.tiff")
    image.quantize(8).save(tmp_path / "a.gif", transparency=2)
    return {**paths, "a.tiff": tmp_path / "a.tiff", "a.gif": tmp_path / "a.gif"}


@pytest.mark.parametrize(
    ("background", "levels"), [("white", (255,) * 3), ("black", (0,) * 3), ((250, 3, 120), (250, 3, 120))]
)
def test_every_kind_of_transparency_shows_the_background(
    see_through: dict[str, Path], background: decode.Background, levels: tuple[int, int, int]
) -> None:
    for path in see_through.values():
        expected = _composed(path, levels)
        assert (expected != _composed(path, (1, 2, 3))).any()
        found = decode.decode(path, "RGB", None, background)
        np.testing.assert_array_equal(found.numpy(), expected, str(path))
        grey = decode.decode(path, "L", None, background)
        np.testing.assert_array_equal(grey.numpy(), luminance(found).numpy())
    np.testing.assert_array_equal(decode.decode(path).numpy(), _composed(path, (255, 255, 255)))


def test_mode_rgba_keeps_colours_and_alpha_as_they_are_stored(see_through: dict[str, Path], tmp_path: Path) -> None:
    for path in see_through.values():
        np.testing.assert_array_equal(decode.decode(path, "RGBA").numpy(), _pillow(path, "RGBA"))
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "grey.jpg")
    assert decode.decode(tmp_path / "grey.jpg", "RGBA").shape == (4, 8, 8)
    assert bool((decode.decode(tmp_path / "grey.jpg", "RGBA")[3] == 255).all())


@pytest.mark.parametrize("wrong", ["red", [1, 2], [0, 0, 256], [0, 0, -1], [0.5, 0, 0], None])
def test_a_background_is_a_colour(wrong: object) -> None:
    with pytest.raises(ValueError, match="expected white, black or three levels"):
        decode.colour(wrong)  # type: ignore[arg-type]


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "a.png")
    expected = np.rint(levels / 257).astype(np.uint8)
    np.testing.assert_array_equal(decode.decode(tmp_path / "a.png", "L")[0].numpy(), expected)


def test_1_bit_images_become_black_and_white(tmp_path: Path) -> None:
    bits = np.eye(8, dtype=bool)
    Image.fromarray(bits).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode.decode(tmp_path / "a.png", "L")[0].numpy(), bits * np.uint8(255))


def test_32_bit_images_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(decode.UnreadableError, match="32-bit"):
        decode.decode(tmp_path / "a.tiff")


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_a_file_that_was_cut_off_is_found_by_its_header(
    tmp_path: Path, smooth: Smooth, suffix: str, share: float
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth(5, 64, 64)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(decode.UnreadableError):
        decode.header(path)


@pytest.mark.parametrize(("content", "said"), [(b"", "empty"), (b"hello", "not an image")])
def test_what_is_no_image_says_so(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(decode.UnreadableError, match=said):
        decode.decode(tmp_path / "a.png")
    with pytest.raises(decode.UnreadableError):
        decode.header(tmp_path / "a.png")


def test_damaged_pixels_of_a_png_are_found_on_decoding(tmp_path: Path, smooth: Smooth) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(smooth(6, 64, 64)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(decode.UnreadableError):
        decode.decode(path)


def test_a_reduced_image_never_falls_below_the_size_asked_for(tmp_path: Path, smooth: Smooth) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # shown 90 high and 60 wide, stored 60 by 90
    Image.fromarray(smooth(7, 60, 90)).save(path, exif=exif)
    assert decode.decode(path, "RGB", (20, 20)).shape[1:] != (90, 60)
    for size in ((20, 20), (45, 30), (46, 30), (90, 10), (200, 200)):
        height, width = decode.decode(path, "RGB", size).shape[1:]
        assert height >= min(size[0], 90)
        assert width >= min(size[1], 60)


def test_luminance_equals_pillow_for_every_level() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (64, 512, 3), dtype=np.uint8)
    colours[0, :256] = np.arange(256)[:, None]
    expected = np.asarray(Image.fromarray(colours).convert("L"))
    np.testing.assert_array_equal(luminance(torch.from_numpy(colours).permute(2, 0, 1))[0].numpy(), expected)
