"""Image files as a source, and what is wrong with files: missing, unreadable, of another kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from torchwork.data import decode, threads
from torchwork.data.remembered import remembered
from torchwork.data.unreadable import UnreadableError
from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, InputError, Schema

# The number changes when the same file would give another answer.
_PIXELS = "image-pixels-1"


class ImageFiles:
    """Images in files, decoded when they are read.

    The headers of all files are read first: a file that is missing, cut off or no image is a fault. One whose damage
    only shows in decoding is found by ``verify``, or named when it is read, together with all others.

    Args:
        paths: The files.
        names: What a person calls each.
        targets: The raw targets [N] or float64 [N, k], or None.
        schema: What the samples are.
        given: The splits that the files come with.
        mode: RGB, L or RGBA.
        reduced: Let JPEGs be decoded at a smaller scale where ``read`` is given a size: faster, other pixel values.
        annotations: Further columns by name, a value for each image.
        background: What shows through where an image is transparent: white, black or levels of red, green and blue.
        faults: Files that are known to be none, which are not looked at.

    Raises:
        InputError: a mode or background that there is not.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        names: Sequence[str],
        targets: np.ndarray | None,
        schema: Schema,
        given: Mapping[str, np.ndarray] | None = None,
        mode: decode.Mode = "RGB",
        reduced: bool = False,
        annotations: Mapping[str, np.ndarray] | None = None,
        background: decode.Background = "white",
        faults: Sequence[Fault] = (),
    ) -> None:
        _check(mode, background)
        self.paths = list(paths)
        self.targets = targets
        self.schema = schema
        self.given = given
        self.annotations = annotations or {}
        self.mode = mode
        self.reduced = reduced
        self.background = background
        self._names = list(names)
        known = {fault.index: fault for fault in faults}
        looked_at = [index for index in range(len(self.paths)) if index not in known]
        found = [_size(self.paths[index]) for index in looked_at]  # no slower than to remember it, or than by threads
        #: Height and width of each image, int64 [N, 2]; (0, 0) of a fault.
        self.sizes = np.zeros((len(self.paths), 2), np.int64)
        for index, said in zip(looked_at, found, strict=True):
            if "code" in said:
                known[index] = Fault(index, said["code"], said["reason"])
            else:
                self.sizes[index] = said["height"], said["width"]
        self.faults: Sequence[Fault] = tuple(known[index] for index in sorted(known))

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self._names[index]

    @property
    def reading(self) -> str:
        """How pixels come from a file, in words: what is kept of them is only good for files that are read alike."""
        reduced = ", reduced" if self.reduced else ""
        return f"{self.mode} on {decode.colour(self.background)}{reduced}"

    def decode(self, index: int, size: tuple[int, int] | None = None, into: np.ndarray | None = None) -> Tensor:
        """Return one image uint8 [C, H, W]; ``size`` is the hint that ``read`` takes, ``into`` as for ``decode``.

        Raises:
            UnreadableError: ``read`` says it in words.
        """
        return decode.decode(self.paths[index], self.mode, size if self.reduced else None, self.background, into)

    def read(
        self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None
    ) -> tuple[Tensor | list[Tensor], np.ndarray | None]:
        wanted = np.asarray(indices).tolist()
        try:
            images = threads.over(lambda index: self.decode(index, size), wanted)
        except UnreadableError as error:
            raise self._unreadable(wanted, error) from error
        alike = all(image.shape == images[0].shape for image in images)
        return (torch.stack(images) if alike else images), None if self.targets is None else self.targets[indices]

    def _unreadable(self, wanted: Sequence[int], error: UnreadableError) -> InputError:
        """Return an error that names all files that cannot be read, but those that were known and are not wanted."""
        known = {fault.index for fault in self.faults} - set(wanted)
        looked_at = [index for index in range(len(self)) if index not in known]
        found = damage(self, looked_at)
        message = f"one of {counted(len(wanted), 'image', 'images')} could not be read for a moment: {error}"
        return InputError(refusal(found, self.name, len(self), "data.source") if found else _finding(message))


def damage(source: Any, indices: Sequence[int], progress: Callable[[int], None] | None = None) -> list[Fault]:
    """Decode image files to the last pixel and return the faults of those that cannot be; what is found is remembered.

    Args:
        source: Has ``paths``.
        indices: Which of them.
        progress: Told how many are done.
    """
    found = remembered(_PIXELS, [source.paths[index] for index in indices], _decoded, progress)
    return [
        Fault(index, said["code"], said["reason"]) for index, said in zip(indices, found, strict=True) if "code" in said
    ]


def refusal(faults: Sequence[Fault], name: Callable[[int], str], total: int, where: str, fix: str = "") -> Finding:
    """Return the finding that names the first ten files that cannot be read, with the reasons, and says how many."""
    wrong = named(f"{name(fault.index)} ({fault.reason})" for fault in faults)
    message = f"{len(faults)} of {counted(total, 'image', 'images')} cannot be read: {wrong}"
    return _finding(message, where, fix or "mend or remove them")


def _finding(message: str, where: str = "data.source", fix: str = "") -> Finding:
    return Finding("unreadable-images", "error", where, message, fix)


def _check(mode: str, background: Any) -> None:
    findings = []
    if mode not in get_args(decode.Mode):
        findings.append(Finding("unknown-mode", "error", "mode", f"got {mode!r}", "expected RGB, L or RGBA"))
    try:
        decode.colour(background)
    except ValueError as error:
        findings.append(Finding("no-colour", "error", "background", str(error)))
    if findings:
        raise InputError(findings)


def _size(path: Path) -> dict[str, Any]:
    return _said(path, lambda: decode.header(path))


def _decoded(path: Path) -> dict[str, Any]:
    return _said(path, lambda: decode.decode(path))


def _said(path: Path, look: Callable[[], decode.Header | Tensor]) -> dict[str, Any]:
    """Return the size of an image, or why it cannot be read, as JSON can hold it."""
    try:
        found = look()
    except UnreadableError as error:
        return {"code": error.code, "reason": str(error)}
    height, width = (found.height, found.width) if isinstance(found, decode.Header) else found.shape[1:]
    return {"height": int(height), "width": int(width)}
