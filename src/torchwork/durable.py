"""Writing that survives a crash: a file or directory is either wholly there under its name, or not at all.

Everything is written beside its place, synced, renamed, and the folder that holds the name is synced too. What is done
to the disk is done by the six functions at the end of this module, which tests replace by ones that record and fail.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torchwork.types import Finding, InputError

LEFTOVERS = (".partial", ".gone")
_AT_ONCE = 1 << 24  # bytes a write: so that a large file does not hold up a signal for long
_NO_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


def write_file(path: Path, content: str | bytes) -> None:
    """Write a whole file: beside its place, synced, then renamed over what stood there.

    Texts become UTF-8; the bytes of a file's name that are none become escapes, as ``\\udce9``, which JSON reads back.

    Raises:
        OSError: what stood there before stands there still.
    """
    partial = _beside(path, "partial")
    try:
        create_file(partial, content.encode(errors="backslashreplace") if isinstance(content, str) else content)
        sync(partial)
        rename(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_file(partial)
        raise
    sync(path.parent)


def check_output(path: Path) -> None:
    """Refuse the place of a file that is still to be made: so that nobody waits for what cannot be written.

    Raises:
        InputError: it is a directory, or its folder is not there.
    """
    with output(path):
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"the folder {path.parent} is not there")


@contextmanager
def output(path: Path) -> Iterator[None]:
    """Write a file below this where a user said that it should go.

    Raises:
        InputError: it cannot be there: that is a directory, its folder is not there or nothing may be written in it.
        OSError: another reason, such as a full disk.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a directory")
        yield
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        message = f"cannot be written: {error.strerror}"
        fix = "choose a file in a folder that you can write to with --out"
        raise InputError(Finding("out-unwritable", "error", str(path), message, fix)) from error


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a whole directory of files: beside its place, every file synced, then renamed.

    Raises:
        FileExistsError: it is there already; nothing is ever overwritten.
        OSError: nothing is there under its name.
    """
    if os.path.lexists(path):
        raise FileExistsError(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path, "partial")
    try:
        make_directory(partial)
        for name, content in files.items():
            create_file(partial / name, content)
            sync(partial / name)
        sync(partial)
        rename(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove_tree(partial)
        raise
    sync(path.parent)


def remove_directory(path: Path) -> None:
    """Remove a directory and the files in it: first its name, durably, so that no half of it is ever met."""
    gone = _beside(path, "gone")
    rename(path, gone)
    sync(path.parent)
    _remove_tree(gone)


def remove_leftovers(directory: Path) -> None:
    """Remove what writing or removing left below a directory when it was cut off; one writer at a time, see `lock`."""
    for path in directory.iterdir():
        if path.name.startswith(".") and path.suffix in LEFTOVERS:
            if path.is_dir() and not path.is_symlink():
                _remove_tree(path)
            else:
                remove_file(path)


class LockedError(Exception):
    """Another living process holds the lock; the message is what it wrote there."""


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock while inside. The system frees it when the process ends, however it ends.

    Raises:
        LockedError: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(os.read(descriptor, 200).decode(errors="replace").strip()) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.{ending}")


def _remove_tree(path: Path) -> None:
    if not path.is_dir():
        return
    for entry in sorted(path.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            _remove_tree(entry)
        else:
            remove_file(entry)
    remove_empty(path)


def create_file(path: Path, content: bytes) -> None:
    """Create a file that was not there and write its content, unsynced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest[:_AT_ONCE]) :]
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make an empty directory."""
    path.mkdir()


def sync(path: Path) -> None:
    """Ask the system to make a file's content, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # some file systems know no syncing of directories; any other failure means that nothing is sure
        if error.errno != errno.EINVAL or not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise
    finally:
        os.close(descriptor)


def rename(path: Path, new: Path) -> None:
    """Rename, over a file that stood there."""
    os.replace(path, new)


def remove_file(path: Path) -> None:
    """Remove a file, or do nothing where there is none."""
    path.unlink(missing_ok=True)


def remove_empty(path: Path) -> None:
    """Remove an empty directory."""
    path.rmdir()
