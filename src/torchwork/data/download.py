"""Files from the network: resumed where they broke off, checked before they get their name, never half there."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any

from torchwork.durable import sync
from torchwork.types import Finding, InputError

try:
    import fcntl
except ImportError:  # Windows: what two processes at once write into one file there, its checksum refuses
    fcntl = None  # type: ignore[assignment]

_CHUNK = 1 << 18
# A server that gives fewer bytes than this in the time of `timeout` stalls.
_LEAST = 1024
# Answers that another attempt may change; all others of 400 and above are the server's last word.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_SECONDS_BETWEEN_LINES = 2.0


class DownloadError(Exception):
    """A file could not be fetched; the text says why."""


class _BrokenError(Exception):
    """An attempt failed in a way that another one may mend."""


def to_stderr(line: str) -> None:
    """Print a line of progress, as downloads do unless they are told otherwise."""
    print(line, file=sys.stderr, flush=True)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return a file's checksum in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


@dataclass
class _Order:
    """What to fetch, how patiently, and of which version (its strong ETag) that is which has arrived."""

    url: str
    checksum: str
    progress: Callable[[str], None]
    timeout: float
    attempts: int
    pause: float
    etag: str = ""

    @property
    def title(self) -> str:
        return self.url.rstrip("/").rpartition("/")[2] or self.url


def download(
    url: str,
    to: Path,
    checksum: str,
    *,
    progress: Callable[[str], None] = to_stderr,
    timeout: float = 30.0,
    attempts: int = 4,
    pause: float = 1.0,
) -> Path:
    """Fetch a file; it stands under its name only when it is whole, right and synced to the disk.

    What has arrived is kept beside it as ``.<name>.partial``: the next attempt, of this process or a later one, asks
    for the rest. It starts anew where the server has another version meanwhile (its ETag says so), gives no parts, or
    the whole has the wrong checksum. A second process that wants the same file waits for the first.

    Args:
        url: Where it is; http or https. Redirects are followed.
        to: Where it goes. A file that is there already is left as it is.
        checksum: ``sha256:`` or ``md5:`` and the digits; what arrives with another is refused.
        progress: Is given a line at the start, now and then, and at the end.
        timeout: Seconds without an answer, or with less than a kilobyte, after which an attempt is given up.
        attempts: How many fail in a row, none of which brought the file further, until that is the end.
        pause: Seconds before the second attempt; twice as many before each further one.

    Raises:
        DownloadError: no network, no such file, a server that fails, stalls or has another file, a full disk.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url!r} is no address that begins with http:// or https://")
    order = _Order(url, checksum, progress, timeout, attempts, pause)
    partial = to.with_name(f".{to.name}.partial")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with _owned(partial, to, progress) as file:
            if file is not None:
                _complete(order, file)
                os.fsync(file.fileno())
                os.replace(partial, to)
                sync(to.parent)
    except OSError as error:
        raise DownloadError(f"{to} cannot be written: {error.strerror or error}") from error
    return to


@contextmanager
def _owned(partial: Path, to: Path, progress: Callable[[str], None]) -> Iterator[BufferedRandom | None]:
    """Open the partial file for this process alone; None where another one has finished it meanwhile.

    The lock belongs to the file, not to its name: whoever waited for it looks whether the name has moved on.
    """
    while not to.exists():
        with partial.open("a+b") as file:
            _lock(file, lambda: progress(f"{to.name}: another process is fetching it; waiting"))
            try:
                mine = os.path.samestat(os.fstat(file.fileno()), partial.stat())
            except FileNotFoundError:
                mine = False
            if mine and not to.exists():
                try:
                    yield file
                finally:
                    if not to.exists() and file.seek(0, os.SEEK_END) == 0:
                        partial.unlink(missing_ok=True)
                return
    yield None


def _lock(file: BufferedRandom, tell: Callable[[], None]) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        tell()
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        pass


def _complete(order: _Order, file: BufferedRandom) -> None:
    """Fill the file until it has the right checksum."""
    furthest = file.seek(0, os.SEEK_END)
    resumed, anew, failed = furthest > 0, False, 0
    while True:
        try:
            fresh = _fetch(order, file)
        except _BrokenError as error:
            reached = file.seek(0, os.SEEK_END)
            failed = 1 if reached >= furthest + _LEAST else failed + 1
            furthest, resumed = max(furthest, reached), reached > 0
            if failed >= order.attempts:
                tries = "1 attempt" if failed == 1 else f"{failed} attempts"
                raise DownloadError(f"{order.url} cannot be fetched: {error} ({tries})") from error
            seconds = order.pause * 2 ** (failed - 1)
            order.progress(f"{order.title}: {error}; trying again in {seconds:g} s")
            time.sleep(seconds)
            continue
        wrong = _wrong(file, order.checksum)
        if not wrong:
            return
        file.truncate(0)
        if fresh or anew or not resumed:
            raise DownloadError(f"{order.url} gives another file than the one that was published: {wrong}")
        order.progress(f"{order.title}: what was there of it is of another version; starting anew")
        order.etag, resumed, anew, furthest = "", False, True, 0


def _wrong(file: BufferedRandom, checksum: str) -> str:
    """Say what is wrong with the file's checksum; "" where nothing is."""
    algorithm, _, wanted = checksum.partition(":")
    file.seek(0)
    found = hashlib.file_digest(file, algorithm).hexdigest()
    return "" if found == wanted.lower() else f"its {algorithm} is {found}, not {wanted.lower()}"


def _fetch(order: _Order, file: BufferedRandom) -> bool:
    """Ask for what is missing and append it; return whether all came anew."""
    start = file.seek(0, os.SEEK_END)
    answer = _ask(order, start)
    if answer is None:
        return False
    with answer:
        kept, total = _place(answer, start)
        file.truncate(kept)
        said = answer.headers.get("ETag", "")
        order.etag = "" if said.startswith("W/") else said
        _receive(answer, file, total, order)
    return kept == 0


def _ask(order: _Order, start: int) -> Any:
    """Return the server's answer; None where it has nothing after ``start``: the checksum tells whether that is all."""
    request = urllib.request.Request(order.url, headers={"User-Agent": "torchwork"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if order.etag:
            request.add_header("If-Range", order.etag)
    try:
        return urllib.request.urlopen(request, timeout=order.timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return None
        said = f"the server says {error.code} {error.reason}"
        if error.code in _PASSING:
            raise _BrokenError(said) from error
        raise DownloadError(f"{order.url} cannot be fetched: {said}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_said(error, order.timeout)) from error
    except ValueError as error:  # an address or a redirect that is none
        raise DownloadError(f"{order.url} cannot be fetched: {error}") from error


def _place(answer: Any, start: int) -> tuple[int, int | None]:
    """Return how much of the file stands before what the answer brings, and how long it then is, where it says so."""
    length = answer.headers.get("Content-Length")
    length = int(length) if length is not None and length.isdecimal() else None
    if answer.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if found is not None and int(found[1]) == start:
            return start, None if found[2] == "*" else int(found[2])
        raise _BrokenError("the server gives another part than the one asked for")
    return 0, length


def _receive(answer: Any, file: BufferedRandom, total: int | None, order: _Order) -> None:
    """Write what arrives into the file, with a line now and then."""
    done = file.seek(0, os.SEEK_END)
    of = "" if total is None else f" of {_size(total)}"
    order.progress(f"{order.title}: fetching{f' {_size(total)}' if total else ''} from {order.url}")
    told = since = time.monotonic()
    brought = 0
    while chunk := _next(answer, order):
        file.write(chunk)
        done += len(chunk)
        brought += len(chunk)
        now = time.monotonic()
        if now - since > order.timeout:
            if brought < _LEAST:
                file.flush()
                raise _BrokenError(f"the server gave {brought} bytes in {order.timeout:g} s")
            since, brought = now, 0
        if now - told > _SECONDS_BETWEEN_LINES:
            told = now
            order.progress(f"{order.title}: {_size(done)}{of}")
    file.flush()
    if total is not None and done != total:
        raise _BrokenError(f"the connection ended after {_size(done)}{of}")
    order.progress(f"{order.title}: {_size(done)}, whole")


def _next(answer: Any, order: _Order) -> bytes:
    """Return what has arrived, at least a byte; nothing at the end."""
    try:
        found: bytes = answer.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_said(error, order.timeout)) from error
    return found


def _said(error: Exception, timeout: float) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        return f"the server gave nothing for {timeout:g} s"
    if isinstance(reason, http.client.IncompleteRead):
        return "the connection ended before the file did"
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"


def fetch(
    folder: Path, files: Mapping[str, tuple[str, str]], *, progress: Callable[[str], None] = to_stderr
) -> list[Path]:
    """Download those files into a folder that are not there yet; return where all of them are.

    Args:
        folder: Where they go; it is made where it is not there.
        files: Address and checksum by file name.
        progress: Is given lines.

    Raises:
        InputError: at ``download``: one could not be fetched; says what to place where.
    """
    for name, (url, checksum) in files.items():
        if (folder / name).exists():
            continue
        try:
            download(url, folder / name, checksum, progress=progress)
        except DownloadError as error:
            lacking = [name for name in files if not (folder / name).exists()]
            fix = f"place {', '.join(lacking)} in {folder.resolve()} by hand, or name another address in url"
            raise InputError(Finding("download-failed", "error", "download", str(error), fix)) from error
    return [folder / name for name in files]
