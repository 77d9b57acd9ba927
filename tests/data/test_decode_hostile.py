"""Whatever bytes stand in a file, decoding gives an image or says why not; and what no format forbids is handled."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from data.planted import ODD
from data.strange_images import HEIGHT, WIDTH, chunk, jpeg, png, png_of, saved, with_alpha, with_chunk
from torchwork.data import decode
from torchwork.data.formats import exif
from torchwork.data.unreadable import MAX_BYTES, MAX_PIXELS

CODES = {"missing", "zero-byte", "truncated", "bomb", "not-an-image", "unreadable"}

_PART = Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), dtype=np.uint8)).resize(
    (WIDTH // 2, HEIGHT // 2)
)
SEEDS = [(kind, make(_PART, 3)) for kind, (_, make) in ODD.items() if "blows up" not in kind and "behind" not in kind]


def _either(path: Path) -> None:
    for mode, channels in (("RGB", 3), ("L", 1), ("RGBA", 4)):
        image = _tried(lambda mode=mode: decode.decode(path, mode))
        if isinstance(image, decode.UnreadableError):
            assert image.code in CODES
            assert str(image)
        else:
            assert image.dtype == torch.uint8
            assert image.shape[0] == channels
            assert image.numel() > 0
    found = _tried(lambda: decode.header(path))
    if isinstance(found, decode.UnreadableError):
        assert found.code in CODES
    else:
        assert 0 < found.height * found.width <= MAX_PIXELS


def _tried(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except decode.UnreadableError as error:
        return error


_quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_quick
@given(data=st.data())
def test_changed_bytes_give_an_image_or_a_reason(tmp_path: Path, data: st.DataObject) -> None:
    """Some bytes of a good file are changed, removed, repeated; the header, where the dangers are, the most often."""
    kind, content = data.draw(st.sampled_from(SEEDS), "kind")
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        end = data.draw(st.sampled_from([40, 300, len(changed)]))
        at = data.draw(st.integers(0, max(0, min(end, len(changed)) - 1)))
        new = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff\xd9"])))
        changed[at : at + data.draw(st.sampled_from([0, len(new), 200]))] = new
    if kind.endswith("png") and data.draw(st.booleans()):  # with right checksums, so that they are looked at
        changed = bytearray(_checksums(bytes(changed)))
    path = tmp_path / "a.img"
    path.write_bytes(bytes(changed))
    _either(path)


def _checksums(content: bytes) -> bytes:
    at, parts = 8, [content[:8]]
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        parts.append(chunk(content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return b"".join(parts)


@_quick
@given(start=st.sampled_from([content[:n] for _, content in SEEDS for n in (2, 12, 40)]), rest=st.binary(max_size=400))
def test_any_bytes_behind_a_good_beginning_give_an_image_or_a_reason(tmp_path: Path, start: bytes, rest: bytes) -> None:
    path = tmp_path / "a.tga"
    path.write_bytes(start + rest)
    _either(path)


@_quick
@given(content=st.binary(max_size=600), orientation=st.integers(0, 70000))
def test_exif_data_of_any_bytes_give_an_orientation(content: bytes, orientation: int) -> None:
    assert exif.orientation(content) in range(1, 9)
    good = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHH", 1, 0x0112, 3, 1, orientation & 0xFFFF, 0)
    expected = orientation & 0xFFFF
    assert exif.orientation(good + content) == (expected if expected in range(1, 9) else 1)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")  # nobody will ever write to it
    found = {name: _refused(tmp_path / name) for name in ("folder.png", "pipe.png", "no.png", "a\0b.png")}
    assert found == {
        "folder.png": "not-an-image",
        "pipe.png": "not-an-image",
        "no.png": "missing",
        "a\0b.png": "missing",
    }
    assert _refused(Path("/dev/zero")) == "not-an-image"


def test_a_file_over_the_limit_of_bytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with open(path, "wb") as file:
        file.write(b"\xff\xd8\xff\xe0")
        file.truncate(MAX_BYTES + 1)  # a hole, which takes no room
    assert _refused(path) == "bomb"


def _refused(path: Path, mode: Any = "RGB") -> str:
    with pytest.raises(decode.UnreadableError) as caught:
        decode.header(path)
    with pytest.raises(decode.UnreadableError) as again:
        decode.decode(path, mode)
    assert caught.value.code == again.value.code
    return again.value.code


def test_the_limit_of_pixels_is_the_stated_one(tmp_path: Path) -> None:
    side = 10_000
    for height, code in ((MAX_PIXELS // side + 1, "bomb"), (MAX_PIXELS // side, "truncated")):
        (tmp_path / "a.png").write_bytes(png_of(side, height, 8, 2, zlib.compress(b"")))
        with pytest.raises(decode.UnreadableError) as caught:
            decode.decode(tmp_path / "a.png")
        assert caught.value.code == code


def test_the_old_way_of_noting_the_orientation_in_a_png_is_understood(tmp_path: Path) -> None:
    """ImageMagick wrote EXIF data as digits into a text, compressed or not."""
    data = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    text = f"\nexif\n{len(data):8}\n{data.hex()}\n".encode()
    title = b"Raw profile type exif\0"
    for name, note in ((b"tEXt", title + text), (b"zTXt", title + b"\0" + zlib.compress(text))):
        (tmp_path / "a.png").write_bytes(with_chunk(png(_PART), chunk(name, note)))
        expected = np.asarray(_PART.transpose(Image.Transpose.ROTATE_270)).transpose(2, 0, 1)
        np.testing.assert_array_equal(decode.decode(tmp_path / "a.png").numpy(), expected)
        assert decode.header(tmp_path / "a.png").height == _PART.width


def test_grey_of_16_bits_with_a_level_to_see_through_and_of_12_bits(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 1000], [30000, 65534, 65535]], np.uint16)
    rows = np.pad(levels.astype(">u2").view(np.uint8), ((0, 0), (1, 0))).tobytes()
    key = chunk(b"tRNS", struct.pack(">H", 1000))
    (tmp_path / "a.png").write_bytes(png_of(3, 2, 16, 0, zlib.compress(rows), key))
    found = decode.decode(tmp_path / "a.png", "RGB", None, [9, 8, 7])
    assert found[:, 0, 2].tolist() == [9, 8, 7]
    assert found[0].flatten().tolist() == [0, 1, 9, 117, 255, 255]
    (tmp_path / "b.tiff").write_bytes(saved(Image.fromarray(levels), "TIFF"))
    assert decode.decode(tmp_path / "b.tiff", "L").flatten().tolist() == [0, 1, 4, 117, 255, 255]


@pytest.mark.parametrize("options", [{"compression": "jpeg"}, {"big_tiff": True}, {"compression": "group4"}])
def test_unusual_tiffs_equal_pillow(tmp_path: Path, options: dict[str, Any]) -> None:
    image = _PART.convert("1") if "group4" in options.values() else _PART
    image.save(tmp_path / "a.tiff", **options)
    with Image.open(tmp_path / "a.tiff") as opened:
        expected = np.asarray(opened.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(decode.decode(tmp_path / "a.tiff").numpy(), expected)


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000", "PPM", "TGA"])
def test_further_formats_equal_pillow(tmp_path: Path, kind: str) -> None:
    library = {"AVIF": "avif", "JPEG2000": "jpg_2000"}.get(kind)
    if library is not None and not features.check(library):
        pytest.skip(f"this Pillow was built without {kind}")
    path = tmp_path / "a.tga"
    path.write_bytes(saved(_PART, kind))
    with Image.open(path) as opened:
        np.testing.assert_array_equal(decode.decode(path).numpy(), np.asarray(opened).transpose(2, 0, 1))
    path.write_bytes(path.read_bytes()[:-90])
    assert _refused(path) in ("truncated", "unreadable")


def test_white_is_zero_in_a_tiff_is_turned_round(tmp_path: Path) -> None:
    levels = np.array([[0, 65535]], np.uint16)
    content = bytearray(saved(Image.fromarray(levels), "TIFF"))
    (start,) = struct.unpack_from("<I", content, 4)
    place = next(at for at in range(start + 2, len(content), 12) if content[at : at + 2] == struct.pack("<H", 262))
    content[place + 8] = 0
    (tmp_path / "a.tiff").write_bytes(bytes(content))
    assert decode.decode(tmp_path / "a.tiff", "L").flatten().tolist() == [255, 0]


def test_a_jpeg_of_unusual_subsampling_is_read_by_pillow(tmp_path: Path) -> None:
    content = bytearray(jpeg(_PART.resize((64, 64)), subsampling=0))
    at = content.find(b"\xff\xc0")
    content[at + 11] = 0x42  # the header of 4 by 2, to which the pixels do not belong; Pillow reads it in any case
    (tmp_path / "a.jpg").write_bytes(bytes(content))
    with Image.open(tmp_path / "a.jpg") as image:
        expected = np.asarray(image).transpose(2, 0, 1)
    np.testing.assert_array_equal(decode.decode(tmp_path / "a.jpg").numpy(), expected)


def test_a_header_says_format_and_mode_whatever_the_name(tmp_path: Path) -> None:
    grey = _PART.convert("L")
    for content, said in (
        (jpeg(_PART), ("JPEG", "RGB")),
        (jpeg(grey), ("JPEG", "L")),
        (jpeg(_PART.convert("CMYK")), ("JPEG", "CMYK")),
        (png(_PART.quantize(9)), ("PNG", "P")),
        (png(grey.convert("1")), ("PNG", "1")),
        (png(Image.fromarray(np.zeros((2, 2), np.uint16))), ("PNG", "I;16")),
        (png_of(1, 1, 16, 2, zlib.compress(bytes(7))), ("PNG", "RGB;16")),
        (saved(with_alpha(_PART), "WEBP"), ("WEBP", "RGBA")),
        (saved(grey, "TIFF"), ("TIFF", "L")),
        (saved(Image.fromarray(np.zeros((2, 2), np.uint16)), "PPM"), ("PPM", "I;16")),
    ):
        (tmp_path / "a.gif").write_bytes(content)
        found = decode.header(tmp_path / "a.gif")
        assert (found.format, found.mode) == said
