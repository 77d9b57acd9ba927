"""Directories of files that are whole or not there at all, each with a manifest that tells damage.

::

    checkpoints/00000120/   model.safetensors  optimizer.safetensors  state.json  manifest.json

The name begins with a number; the greater is the newer. A directory is never changed after it was written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from torchwork import durable
from torchwork.types import RunError

FORMAT = 2
MANIFEST = "manifest.json"
_NAME = re.compile(r"(\d{1,18})(-[a-z0-9-]+)?", re.ASCII)
_AT_ONCE = 1 << 20
_LARGEST_MANIFEST = 1 << 20


def places(directory: Path) -> list[Path]:
    """Return what stands below a directory under a name that begins with a number, whole or not, the newest first."""
    if not directory.is_dir():
        return []
    found = [(match, path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda pair: (int(pair[0][1]), pair[1].name), reverse=True)]


def write(place: Path, files: Mapping[str, bytes]) -> None:
    """Write files with their manifest, read them back and compare.

    What stands at the place must be whole, or is replaced: it is what a run met as damaged, went on from an older one,
    and came here again.

    Raises:
        OSError: it could not be written; what stood elsewhere is untouched.
    """
    if os.path.lexists(place):
        if fault(place) is None:
            return
        if place.is_dir() and not place.is_symlink():
            durable.remove_directory(place)
        else:
            durable.remove_file(place)
    durable.write_directory(place, {**files, MANIFEST: _manifest({n: _digest(c) for n, c in files.items()})})
    wrong = fault(place)
    if wrong is not None:
        raise OSError(errno.EIO, f"{place} was written, but reads back differently: {wrong}")


def fault(place: Path) -> str | None:
    """Return what is wrong with a directory, or None where its files are what the manifest lists, byte for byte.

    Files that the manifest does not list are no fault: nothing reads them.

    Raises:
        RunError: it has the format of another version.
    """
    try:
        if not stat.S_ISDIR(place.lstat().st_mode):
            return "it is no directory"
        text = read(place / MANIFEST, _LARGEST_MANIFEST)
        listed = json.loads(text)
        _check_format(place, listed)
        names = [str(name) for name in listed["files"]]
        if any(Path(name).name != name for name in names):
            return f"{MANIFEST} lists files elsewhere"
        found = {}
        for name in names:
            found[name] = _digest_of(place / name)
            if found[name] != (listed["files"][name]["size"], listed["files"][name]["sha256"]):
                return f"{name} is not what was written"
        return None if _manifest(found) == text else f"{MANIFEST} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except OSError as error:
        return error.strerror or str(error)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"{MANIFEST} is not what was written"


def _check_format(place: Path, manifest: object) -> None:
    if not isinstance(manifest, dict):
        raise ValueError("no mapping")
    found = manifest.get("format")
    if manifest.get("kind") == _kind(found):  # told twice, so that one wrong bit makes no other format of it
        if found == FORMAT:
            return
        raise RunError(f"{place} has format {found}; this version reads format {FORMAT}: update torchwork")
    if manifest and all(isinstance(entry, dict) and entry.keys() == {"size", "sha256"} for entry in manifest.values()):
        message = f"{place} was written by an older version (format 1); this one reads format {FORMAT}"
        raise RunError(f"{message}: finish that run with the older version, or train anew")
    raise ValueError("no format")


def _kind(number: object) -> str:
    return f"torchwork checkpoint, format {number}"


def _manifest(digests: Mapping[str, tuple[int, str]]) -> bytes:
    files = {name: {"size": size, "sha256": sha256} for name, (size, sha256) in sorted(digests.items())}
    return (json.dumps({"kind": _kind(FORMAT), "format": FORMAT, "files": files}, indent=1) + "\n").encode()


def _digest(content: bytes) -> tuple[int, str]:
    return len(content), hashlib.sha256(content).hexdigest()


def _digest_of(path: Path) -> tuple[int, str]:
    """Return size and hash of a regular file; a link leads out of the directory, so it is none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, f"{path.name} is no regular file")
        hashed, size = hashlib.sha256(), 0
        while content := file.read(_AT_ONCE):
            hashed.update(content)
            size += len(content)
    return size, hashed.hexdigest()


def read(path: Path, most: int = -1) -> bytes:
    """Read a regular file, or its first bytes; a link, a pipe or a directory is none.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, f"{path.name} is no regular file")
        return file.read(most)
