"""A corpus of odd, damaged and hostile image files made from real ones, each with what has to become of it.

``plant`` writes it into class folders. Every file of one kind is made from another part of a real image, so that no two
have the same content. Whatever is random comes from a fixed seed.
"""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

READABLE = "readable"
CLASSES = ("night", "day")
HEIGHT, WIDTH = 48, 64

# How many files of each kind; of plain ones more, so that there is something to train on.
EACH, PLAIN = 6, 20

_EXIF, _XMP = 0x0112, b"http://ns.adobe.com/xap/1.0/\0"


class Planted(NamedTuple):
    """A file, what kind of file it is, and its fate: READABLE, or the code of its fault."""

    path: Path
    kind: str
    fate: str


Make = Callable[[Image.Image, int], bytes]


def bases() -> Iterator[Image.Image]:
    """Yield parts of real photographs, RGB, all different: of TORCHWORK_TEST_DATA, else of those of scikit-learn."""
    archive = Path(os.environ.get("TORCHWORK_TEST_DATA", "")) / "photos-200.tar"
    if archive.is_file():
        photographs: Iterator[Image.Image] = _from_archive(archive)
    else:
        from sklearn.datasets import load_sample_images

        whole = [Image.fromarray(image) for image in load_sample_images().images]
        shifts = ((0, 0), (24, 32), (12, 48), (36, 16))  # the parts overlap, as there are but two photographs
        photographs = (image.crop((x, y, image.width, image.height)) for y, x in shifts for image in whole)
    for photograph in photographs:
        for top in range(0, photograph.height - HEIGHT, HEIGHT):
            for left in range(0, photograph.width - WIDTH, WIDTH):
                part = photograph.crop((left, top, left + WIDTH, top + HEIGHT))
                if np.asarray(part).std() > 12:  # not a piece of sky
                    yield part


def _from_archive(archive: Path) -> Iterator[Image.Image]:
    with tarfile.open(archive) as files:
        for member in files:
            if member.name.endswith(".JPEG"):
                file = files.extractfile(member)
                assert file is not None
                yield Image.open(file).convert("RGB")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return what Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def jpeg(image: Image.Image, **options: object) -> bytes:
    return saved(image, "JPEG", **{"quality": 90, **options})


def png(image: Image.Image, **options: object) -> bytes:
    return saved(image, "PNG", **options)


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a part of a PNG with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(width: int, height: int, bits: int, colour: int, stream: bytes, *extra: bytes) -> bytes:
    """Return a PNG from its compressed rows."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def with_chunk(content: bytes, *extra: bytes) -> bytes:
    """Return a PNG with further parts behind its header."""
    return content[:33] + b"".join(extra) + content[33:]


def wide_levels(image: Image.Image) -> np.ndarray:
    """Return levels of 16 bits, [H, W, 3], whose high bytes are the image's."""
    high = np.asarray(image).astype(np.uint16)
    low = np.random.default_rng(int(high.sum())).integers(0, 256, high.shape, dtype=np.uint16)
    return high << 8 | low


def colours_of_16_bits(image: Image.Image, _: int) -> bytes:
    rows = np.pad(wide_levels(image).astype(">u2").reshape(image.height, -1).view(np.uint8), ((0, 0), (1, 0)))
    return png_of(image.width, image.height, 16, 2, zlib.compress(rows.tobytes()))


def grey_of_16_bits(image: Image.Image, kind: str) -> bytes:
    return saved(Image.fromarray(wide_levels(image)[..., 0]), kind)


def turned(image: Image.Image, number: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[_EXIF] = 2 + number % 7
    return saved(image, kind, exif=exif)


def turned_by_xmp(image: Image.Image, number: int) -> bytes:
    packet = _XMP + f'<x:xmpmeta><rdf tiff:Orientation="{2 + number % 7}"/></x:xmpmeta>'.encode()
    return segment(jpeg(image), 0xE1, packet)


def segment(content: bytes, marker: int, payload: bytes) -> bytes:
    """Return a JPEG with a segment before all others."""
    return content[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload + content[2:]


def with_alpha(image: Image.Image, mode: str = "RGBA") -> Image.Image:
    alpha = np.linspace(0, 255, image.width * image.height).reshape(image.height, image.width)
    image = image.convert("RGB")
    image.putalpha(Image.fromarray(alpha.round().astype(np.uint8)))
    return image.convert(mode)


def inks(image: Image.Image, _: int) -> bytes:
    """Return CMYK as YCCK, inverted as Adobe does."""
    return simplejpeg.encode_jpeg(255 - np.array(image.convert("CMYK")), 90, "CMYK", "444")


def frames(image: Image.Image, _: int) -> bytes:
    other = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).quantize(64)
    return saved(image.quantize(64), "GIF", save_all=True, append_images=[other], duration=50)


def padded_end(image: Image.Image, number: int) -> bytes:
    return jpeg(image)[:-2] + bytes(2 + number) + b"\xff\xd9"


def odd_scan_header(image: Image.Image, _: int) -> bytes:
    content = bytearray(jpeg(image))
    at = content.find(b"\xff\xda")
    content[at + 12] = 0x3E  # the last coefficient of the scan, which a sequential file has no use for
    return bytes(content)


def broken_exif(image: Image.Image, number: int) -> bytes:
    return segment(jpeg(image), 0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\x00" + bytes(range(number + 3)))


def broken_fields(image: Image.Image, _: int) -> bytes:
    """Return a TIFF with a field too many that points behind the end and one with two values instead of one."""
    content = saved(image, "TIFF")
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    entries = content[start + 2 : start + 2 + 12 * count]
    wrong = struct.pack("<HHII", 270, 2, 5000, len(content) + 10) + struct.pack("<HHII", 296, 3, 2, 0x00020002)
    place = len(content) + len(content) % 2
    directory = struct.pack("<H", count + 2) + entries + wrong + bytes(4)
    return content[:4] + struct.pack("<I", place) + content[8:].ljust(place - 8, b"\0") + directory


@cache
def packed_zeros(length: int) -> bytes:
    return zlib.compress(bytes(length), 9)


def text_bomb(image: Image.Image, _: int) -> bytes:
    """Return a PNG with a note that would take 100 MB."""
    return with_chunk(png(image), chunk(b"zTXt", b"Comment\0\0" + packed_zeros(10**8)))


def pixel_bomb(image: Image.Image, number: int) -> bytes:
    """Return a PNG that is as large as it says: 20,000 by 20,000 pixels."""
    return png_of(20_000, 20_000, 1, 0, packed_zeros(2501 * 20_000), chunk(b"tEXt", b"n\0%d" % number))


def strange_animation(image: Image.Image, _: int) -> bytes:
    return with_chunk(png(image), chunk(b"acTL", bytes(8)), chunk(b"acTL", bytes(8)))


def without_intervals(image: Image.Image, number: int) -> bytes:
    """Return a JPEG that lost eight intervals from its middle: the numbers of its restart marks go on as if whole."""
    content = jpeg(image, restart_marker_blocks=1, subsampling=0)
    marks = [at for at in range(len(content) - 1) if content[at] == 0xFF and 0xD0 <= content[at + 1] <= 0xD7]
    return content[: marks[number + 1]] + content[marks[number + 9] :]


def scans(content: bytes) -> list[tuple[int, int]]:
    """Return where each scan of a JPEG begins, with the tables before it, and ends."""
    starts = [at for at in range(len(content) - 1) if content[at : at + 2] == b"\xff\xda"]
    begins = []
    for at in starts:
        begin = at
        while True:  # the tables before a scan end where it begins
            table = content.rfind(b"\xff\xc4", 0, begin)
            if table < 0 or table + 2 + int.from_bytes(content[table + 2 : table + 4], "big") != begin:
                break
            begin = table
        begins.append(begin)
    return list(zip(begins, [*begins[1:], len(content) - 2], strict=True))


def without_scan(image: Image.Image, number: int) -> bytes:
    content = jpeg(image, progressive=True)
    places = scans(content)
    begin, end = places[1 + number % (len(places) - 1)]
    return content[:begin] + content[end:]


def many_scans(image: Image.Image, number: int) -> bytes:
    content = jpeg(image, progressive=True)
    begin, end = scans(content)[-1]
    return content[:-2] + content[begin:end] * (300 + number) + content[-2:]


def cut(content: bytes, number: int) -> bytes:
    """Return the first part of a file: from a third of it to all but a few bytes."""
    return content[: int(len(content) * (0.35 + 0.12 * number)) - 3]


def flipped(content: bytes, number: int) -> bytes:
    at = len(content) // 2 + number
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def patched(content: bytes, at: int, form: str, *values: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


def jpeg_of(image: Image.Image, width: int, height: int) -> bytes:
    """Return a JPEG whose header lies."""
    content = jpeg(image)
    return patched(content, content.find(b"\xff\xc0") + 5, ">HH", height, width)


def png_claims(image: Image.Image, width: int, height: int) -> bytes:
    content = png(image)
    return content[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + content[24:29]) + content[33:]


def tiff_claims(image: Image.Image, width: int, height: int) -> bytes:
    content = bytearray(saved(image, "TIFF"))
    (start,) = struct.unpack_from("<I", content, 4)
    for at in range(start + 2, len(content) - 12, 12):
        tag = struct.unpack_from("<H", content, at)[0]
        if tag in (256, 257):
            struct.pack_into("<HIi", content, at + 2, 4, 1, width if tag == 256 else height)
    return bytes(content)


def webp_claims(image: Image.Image, number: int) -> bytes:
    content = saved(with_alpha(image), "WEBP", lossless=True, exif=b"Exif\0\0" + bytes([number]))
    assert content[12:16] == b"VP8X"
    return content[:24] + b"\xff\x3f\x00\xff\x3f\x00" + content[30:]


def last_part_lost(image: Image.Image, _: int) -> bytes:
    """Return a PNG of many parts without the last one that holds pixels."""
    rows = zlib.decompress(_stream(png(image)))
    packed = zlib.compress(rows, 0)
    parts = [chunk(b"IDAT", packed[at : at + 1000]) for at in range(0, len(packed), 1000)]
    return png(image)[:33] + b"".join(parts[:-2]) + chunk(b"IEND", b"")


def _stream(content: bytes) -> bytes:
    at, stream = 8, b""
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        stream += content[at + 8 : at + 8 + length] if content[at + 4 : at + 8] == b"IDAT" else b""
        at += 12 + length
    return stream


def noise(number: int, length: int = 3000) -> bytes:
    return np.random.default_rng(number).bytes(length)


def numbers(image: Image.Image, dtype: type) -> bytes:
    return saved(Image.fromarray(np.asarray(image.convert("L")).astype(dtype)), "TIFF")


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
    "packed tiff cut off": (
        ".tiff",
        "truncated",
        lambda image, n: cut(saved(image, "TIFF", compression="tiff_deflate"), n),
    ),
    "tiff that claims too much": (".tiff", "bomb", lambda image, n: tiff_claims(image, 50_000, 50_000 + n)),
    "tiff of 32-bit numbers": (".tiff", "unreadable", lambda image, n: numbers(image, (np.float32, np.int32)[n % 2])),
    "jp2 cut off": (".jp2", "unreadable", lambda image, n: cut(saved(image, "JPEG2000"), n)),
}


def plant(folder: Path) -> list[Planted]:
    """Write the corpus into class folders below ``folder`` and return what was planted: over 400 files."""
    source = bases()
    planted: list[Planted] = []

    def place(kind: str, number: int, ending: str) -> Path:
        path = folder / CLASSES[number % 2] / f"{kind.replace(' ', '-')}-{number}{ending}"
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
