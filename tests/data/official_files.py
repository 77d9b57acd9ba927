"""Small files in the official formats, with known content."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np

MNIST_FILES = {
    "train-images-idx3-ubyte": (30, 28, 28),
    "train-labels-idx1-ubyte": (30,),
    "t10k-images-idx3-ubyte": (20, 28, 28),
    "t10k-labels-idx1-ubyte": (20,),
}
CIFAR10_FILES = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]


def as_idx(array: np.ndarray) -> bytes:
    """Return an array of bytes as the content of an IDX file."""
    return b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def mnist_arrays() -> dict[str, np.ndarray]:
    """Return images and labels by the names of the official files."""
    random = np.random.default_rng(0)
    return {
        name: np.arange(shape[0]) % 10 if len(shape) == 1 else random.integers(0, 256, shape)
        for name, shape in MNIST_FILES.items()
    }


def mnist_contents() -> dict[str, bytes]:
    """Return the gzipped files by their official names."""
    return {f"{name}.gz": gzip.compress(as_idx(array), mtime=0) for name, array in mnist_arrays().items()}


def cifar_records(names: list[str], labels: tuple[int, ...], count: int = 4) -> dict[str, np.ndarray]:
    """Return uint8 [count, labels + 3072] for each file: labels below those numbers, in turn, then pixels."""
    random = np.random.default_rng(1)
    found = {}
    for place, name in enumerate(names):
        pixels = random.integers(0, 256, (count, 3072))
        at = np.arange(count)[:, None] + count * place
        found[name] = np.concatenate([(at * 7) % np.array(labels), pixels], 1).astype(np.uint8)
    return found


def as_archive(records: dict[str, np.ndarray], folder: str) -> bytes:
    """Return a tar.gz as the official one: the files in a folder, beside a readme."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in {"readme.html": b"<html>", **{n: r.tobytes() for n, r in records.items()}}.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def place(folder: Path, contents: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder
