"""A corpus of odd, damaged and hostile image files made from real ones, each with what has to become of it.

``plant`` writes it into class folders. Every file is made from another part of a photograph, so that no two have the
same content. Whatever is random comes from a fixed seed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

from data.strange_images import (
    bases,
    broken_exif,
    broken_fields,
    chunk,
    colours_of_16_bits,
    cut,
    flipped,
    frames,
    grey_of_16_bits,
    inks,
    jpeg,
    jpeg_of,
    last_part_lost,
    many_scans,
    noise,
    numbers,
    odd_scan_header,
    packed_tiff_cut,
    padded_end,
    patched,
    pixel_bomb,
    png,
    png_claims,
    saved,
    strange_animation,
    text_bomb,
    tiff_claims,
    turned,
    turned_by_xmp,
    webp_claims,
    with_alpha,
    without_intervals,
    without_scan,
)

READABLE = "readable"
CLASSES = ("night", "day")

# How many files of each kind; of plain ones more, so that there is something to train on.
EACH, PLAIN = 6, 20


class Planted(NamedTuple):
    """A file, what kind of file it is, and its fate: READABLE, or the code of its fault.

    The fate of a file of another ending is that of a file in a class folder; by its content it is an image.
    """

    path: Path
    kind: str
    fate: str


Make = Callable[[Image.Image, int], bytes]

# Kind: the ending of the name, the fate, and how to make it from a part of a photograph and a number.
ODD: dict[str, tuple[str, Make]] = {
    "plain jpeg": (".jpg", lambda image, n: jpeg(image)),
    "plain png": (".png", lambda image, n: png(image)),
    "grey jpeg": (".jpeg", lambda image, n: jpeg(image.convert("L"))),
    "progressive jpeg": (".jpg", lambda image, n: jpeg(image, progressive=True)),
    "jpeg of other subsampling": (
        ".jpg",
        lambda image, n: simplejpeg.encode_jpeg(np.array(image), 90, "RGB", ("440", "411", "422", "444")[n % 4]),
    ),
    "cmyk jpeg": (".jpg", lambda image, n: jpeg(image.convert("CMYK"))),
    "ycck jpeg": (".jpg", inks),
    "turned jpeg": (".jpg", lambda image, n: turned(image, n, "JPEG")),
    "turned jpeg by xmp": (".jpg", turned_by_xmp),
    "turned png": (".png", lambda image, n: turned(image, n, "PNG")),
    "turned webp": (".webp", lambda image, n: turned(image, n, "WEBP")),
    "turned tiff": (".tiff", lambda image, n: turned(image, n, "TIFF")),
    "jpeg padded before its end mark": (".jpg", padded_end),
    "jpeg with something behind it": (".jpg", lambda image, n: jpeg(image) + noise(n, 9000)),
    "jpeg with an odd scan header": (".jpg", odd_scan_header),
    "jpeg with broken exif": (".jpg", broken_exif),
    "palette png": (".png", lambda image, n: png(image.quantize(32))),
    "palette png with one colour to see through": (".png", lambda image, n: png(image.quantize(32), transparency=n)),
    "palette png with alpha": (".png", lambda image, n: png(image.quantize(16), transparency=bytes(range(0, 256, 16)))),
    "png with a colour to see through": (
        ".png",
        lambda image, n: png(image, transparency=image.getpixel((n, n))),
    ),
    "rgba png": (".png", lambda image, n: png(with_alpha(image))),
    "grey png with alpha": (".png", lambda image, n: png(with_alpha(image, "LA"))),
    "1-bit png": (".png", lambda image, n: png(image.convert("1"))),
    "16-bit grey png": (".png", lambda image, n: grey_of_16_bits(image, "PNG")),
    "16-bit grey tiff": (".tif", lambda image, n: grey_of_16_bits(image, "TIFF")),
    "16-bit colour png": (".png", colours_of_16_bits),
    "png with a note that blows up": (".png", text_bomb),
    "png with a strange animation": (".png", strange_animation),
    "bmp": (".bmp", lambda image, n: saved(image, "BMP")),
    "gif": (".gif", lambda image, n: saved(image.quantize(64), "GIF")),
    "moving gif": (".gif", frames),
    "webp": (".webp", lambda image, n: saved(image, "WEBP", quality=80)),
    "webp with alpha": (".webp", lambda image, n: saved(with_alpha(image), "WEBP", lossless=True, exact=True)),
    "tiff": (
        ".tiff",
        lambda image, n: saved(image, "TIFF", compression=("raw", "tiff_lzw", "tiff_deflate", "packbits")[n % 4]),
    ),
    "tiff with alpha": (".tiff", lambda image, n: saved(with_alpha(image), "TIFF")),
    "cmyk tiff": (".tiff", lambda image, n: saved(image.convert("CMYK"), "TIFF")),
    "tiff with broken fields": (".tiff", broken_fields),
    "png named jpg": (".jpg", lambda image, n: png(image)),
    "jpeg named png": (".png", lambda image, n: jpeg(image)),
    "gif named jpg": (".jpg", lambda image, n: saved(image.quantize(64), "GIF")),
    "webp named png": (".png", lambda image, n: saved(image, "WEBP", lossless=True)),
    "tiff named gif": (".gif", lambda image, n: saved(image, "TIFF")),
}
BAD: dict[str, tuple[str, str, Make]] = {
    "text": (".jpg", "not-an-image", lambda image, n: b"no image, but line %d\n" % n * 50),
    "page": (".png", "not-an-image", lambda image, n: b"<!DOCTYPE html><html><body>404 %d</body></html>" % n),
    "noise": (".jpg", "not-an-image", lambda image, n: b"\x01" + noise(n)),
    "zeros": (".jpg", "not-an-image", lambda image, n: bytes(4096 + n)),
    "archive": (".png", "not-an-image", lambda image, n: b"PK\x03\x04" + noise(n)),
    "sound": (".webp", "not-an-image", lambda image, n: b"RIFF" + struct.pack("<I", 40 + n) + b"WAVEfmt " + noise(n)),
    "other ending": (".txt", "not-an-image", lambda image, n: jpeg(image)),
    "first bytes only": (".png", "truncated", lambda image, n: png(image)[: 4 + n]),
    "jpeg cut off": (".jpg", "truncated", lambda image, n: cut(jpeg(image), n)),
    "jpeg without its end mark": (".jpg", "truncated", lambda image, n: jpeg(image)[:-2] + bytes(n)),
    "jpeg cut off, end mark put back": (".jpg", "truncated", lambda image, n: cut(jpeg(image), n) + b"\xff\xd9"),
    "jpeg without a part of its middle": (".jpg", "truncated", without_intervals),
    "progressive jpeg cut off": (".jpg", "truncated", lambda image, n: cut(jpeg(image, progressive=True), n)),
    "progressive jpeg without a scan": (".jpg", "truncated", without_scan),
    "cmyk jpeg cut off, end mark put back": (
        ".jpg",
        "truncated",
        lambda image, n: cut(jpeg(image.convert("CMYK")), n) + b"\xff\xd9",
    ),
    "jpeg without its tables": (
        ".jpg",
        "unreadable",
        lambda image, n: jpeg(image).replace(b"\xff\xdb", b"\xff\xfe"),
    ),
    "jpeg of many scans": (".jpg", "bomb", many_scans),
    "jpeg that claims too much": (".jpg", "bomb", lambda image, n: jpeg_of(image, 65500, 65000 - n)),
    "jpeg that claims more than it holds": (".jpg", "truncated", lambda image, n: jpeg_of(image, 8000, 7000 - n)),
    "png cut off": (".png", "truncated", lambda image, n: cut(png(image), n)),
    "png cut off, end mark put back": (".png", "truncated", lambda image, n: cut(png(image), n) + chunk(b"IEND", b"")),
    "png without its last part": (".png", "truncated", last_part_lost),
    "png with a wrong byte": (".png", "unreadable", lambda image, n: flipped(png(image), n)),
    "png that claims too much": (".png", "bomb", lambda image, n: png_claims(image, 100_000, 100_000 + n)),
    "png that claims more than it holds": (".png", "truncated", lambda image, n: png_claims(image, 9000, 9000 + n)),
    "png that blows up": (".png", "bomb", pixel_bomb),
    "gif cut off": (".gif", "truncated", lambda image, n: cut(saved(image.quantize(64), "GIF"), n)),
    "gif that claims too much": (
        ".gif",
        "bomb",
        lambda image, n: patched(saved(image.quantize(64), "GIF"), 6, "<HH", 65535, 65535),
    ),
    "webp cut off": (".webp", "truncated", lambda image, n: cut(saved(image, "WEBP", lossless=True), n)),
    "webp that claims too much": (".webp", "bomb", webp_claims),
    "bmp cut off": (".bmp", "truncated", lambda image, n: cut(saved(image, "BMP"), n)),
    "bmp that claims too much": (
        ".bmp",
        "bomb",
        lambda image, n: patched(saved(image, "BMP"), 18, "<ii", 30_000, 30_000 + n),
    ),
    "tiff cut off": (".tiff", "truncated", lambda image, n: cut(saved(image, "TIFF"), n)),
    "packed tiff cut off": (".tiff", "truncated", packed_tiff_cut),
    "tiff that claims too much": (".tiff", "bomb", lambda image, n: tiff_claims(image, 50_000, 50_000 + n)),
    "tiff of 32-bit numbers": (".tiff", "unreadable", lambda image, n: numbers(image, (np.float32, np.int32)[n % 2])),
    "jp2 cut off": (".jp2", "unreadable", lambda image, n: cut(saved(image, "JPEG2000"), n)),
}


def plant(folder: Path) -> list[Planted]:
    """Write the corpus into class folders below ``folder`` and return what was planted: over 400 files."""
    source = bases()
    planted: list[Planted] = []

    def place(kind: str, number: int, ending: str) -> Path:
        path = folder / CLASSES[number % 2] / f"{kind.replace(',', '').replace(' ', '-')}-{number}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    for kind, (ending, make) in ODD.items():
        for number in range(PLAIN if kind.startswith("plain") else EACH):
            path = place(kind, number, ending)
            path.write_bytes(make(next(source), number))
            planted.append(Planted(path, kind, READABLE))
    for kind, (ending, fate, damaged) in BAD.items():
        for number in range(EACH):
            path = place(kind, number, ending)
            path.write_bytes(damaged(next(source), number))
            planted.append(Planted(path, kind, fate))
    for number in range(EACH):
        path = place("empty", number, ".jpg")
        path.write_bytes(b"")
        planted.append(Planted(path, "empty", "zero-byte"))
    for number in range(EACH):
        path = place("link to nothing", number, ".png")
        path.symlink_to(folder / "nothing" / str(number))
        planted.append(Planted(path, "link to nothing", "missing"))
    return planted
