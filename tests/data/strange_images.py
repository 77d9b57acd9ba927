"""Odd, damaged and hostile image files as bytes, each made from a part of a real photograph."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

HEIGHT, WIDTH = 48, 64

_EXIF, _XMP = 0x0112, b"http://ns.adobe.com/xap/1.0/\0"


def bases() -> Iterator[Image.Image]:
    """Yield parts of real photographs, RGB, all different: of TORCHWORK_TEST_DATA, else of those of scikit-learn."""
    archive = Path(os.environ.get("TORCHWORK_TEST_DATA", "")) / "photos-200.tar"
    if archive.is_file():
        photographs: Iterator[Image.Image] = _from_archive(archive)
    else:
        place = find_spec("sklearn")  # found, not imported: its two photographs are files
        assert place is not None
        assert place.origin is not None
        files = sorted((Path(place.origin).parent / "datasets" / "images").glob("*.jpg"))
        whole = [Image.open(file).convert("RGB") for file in files]
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
    """Return a PNG with a note that would take 30 MB."""
    return with_chunk(png(image), chunk(b"zTXt", b"Comment\0\0" + packed_zeros(3 * 10**7)))


def pixel_bomb(image: Image.Image, number: int) -> bytes:
    """Return a PNG that is as large as it says: 10,000 by 10,000 pixels."""
    return png_of(10_000, 10_000, 1, 0, packed_zeros(1251 * 10_000), chunk(b"tEXt", b"n\0%d" % number))


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


def fields(content: bytes) -> dict[int, int]:
    """Return where the entries of a TIFF's directory stand, by tag."""
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    return {struct.unpack_from("<H", content, at)[0]: at for at in range(start + 2, start + 2 + 12 * count, 12)}


def tiff_claims(image: Image.Image, width: int, height: int) -> bytes:
    content = saved(image, "TIFF")
    for tag, value in ((256, width), (257, height)):
        content = patched(content, fields(content)[tag] + 2, "<HII", 4, 1, value)
    return content


def packed_tiff_cut(image: Image.Image, number: int) -> bytes:
    """Return a TIFF whose one strip stands behind all else and is not all there."""
    content = saved(image, "TIFF", compression="tiff_deflate")
    start, length = (struct.unpack_from("<I", content, fields(content)[tag] + 8)[0] for tag in (273, 279))
    moved = patched(content, fields(content)[273] + 2, "<HII", 4, 1, len(content))
    return moved + content[start : start + length * (5 + number) // 12]


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
