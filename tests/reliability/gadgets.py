"""Files made to do harm: what is in them runs a program, reads elsewhere, or asks for more memory than there is."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

CANARY = "canary"  # the file that a gadget makes, in the working directory


class Gadget:
    """An object whose unpickling runs a program."""

    def __init__(self, call: Any = None, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, Any]:
        import os

        return self.call or os.system, self.arguments or (f"touch {CANARY}",)


def pickled(*call: Any) -> bytes:
    """Return a pickle that runs a program, or calls something else."""
    return pickle.dumps(Gadget(*call))


def torch_zip(payload: bytes) -> bytes:
    """Return a file as ``torch.save`` writes it, with another pickle inside."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("archive/data.pkl", payload)
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/version", "3\n")
    return content.getvalue()


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a safetensors file with any header, and any length said of it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(start: int, end: int, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, Any]:
    """Return the entry of a tensor in a header."""
    return {"dtype": dtype, "shape": shape or [(end - start) // 4], "data_offsets": [start, end]}


def npz(**arrays: bytes) -> bytes:
    """Return an ``.npz`` file of what may be no arrays."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in arrays.items():
            file.writestr(f"{name}.npy", array)
    return content.getvalue()


def npy(array: np.ndarray) -> bytes:
    """Return an ``.npy`` file; objects are pickled."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def npy_of_objects() -> bytes:
    """Return an ``.npy`` file whose objects run a program when they are unpickled."""
    return npy(np.array([Gadget(), Gadget()], object))


def npy_that_claims(shape: tuple[int, ...]) -> bytes:
    """Return an ``.npy`` file that says that it has a shape, with no numbers."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def npy_with_code() -> bytes:
    """Return an ``.npy`` file whose header is an expression."""
    header = f"__import__('os').system('touch {CANARY}')".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def tar(members: dict[str, bytes | str], sizes: dict[str, int] | None = None) -> bytes:
    """Return a ``.tar.gz`` file: bytes are files, a text is where a link leads; sizes may be lies."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as file:
        for name, member in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(member, str):
                info.type, info.linkname = tarfile.SYMTYPE, member
                file.addfile(info)
            else:
                info.size = len(member)
                file.addfile(info, io.BytesIO(member))
    if sizes:
        plain = bytearray(zlib.decompress(content.getvalue(), 31))
        for name, size in sizes.items():
            at = plain.index(name.encode())
            plain[at + 124 : at + 136] = b"%011o\0" % size
            plain[at + 148 : at + 156] = b" " * 8
            plain[at + 148 : at + 156] = b"%06o\0 " % sum(plain[at : at + 512])
        packed = zlib.compressobj(wbits=31)
        return packed.compress(bytes(plain)) + packed.flush()
    return content.getvalue()


def zeros_gzipped(start: bytes, megabytes: int) -> bytes:
    """Return a small gzip file that becomes very large: one part of it after the other."""
    first, part = (zlib.compressobj(9, wbits=31) for _ in range(2))
    zeros = part.compress(bytes(32 << 20)) + part.flush()
    return first.compress(start) + first.flush() + zeros * (megabytes // 32)


def png_that_claims(width: int, height: int) -> bytes:
    """Return a PNG file that says that it is very large, with hardly any pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, content)
        for kind, content in ((b"IHDR", size), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    )


def deep(opening: str, closing: str = "", inside: str = "") -> str:
    """Return a text nested a hundred thousand times."""
    return opening * 100_000 + inside + closing * 100_000


def aliases(levels: int = 40) -> str:
    """Return YAML of some lines that stands for 10 to the power of ``levels`` items."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def place(path: Path, content: bytes | str) -> Path:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
