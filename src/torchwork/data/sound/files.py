"""Sound files as a source, decoded when they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from torchwork.data import threads
from torchwork.data.remembered import remembered
from torchwork.data.sound.decode import decode, header
from torchwork.data.unreadable import UnreadableError
from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, InputError, Schema

# The number changes when the same file would give another answer.
_HEADER, _SAMPLES = "sound-header-1", "sound-samples-1"


class SoundFiles:
    """Sounds in files, one channel each, all at one rate.

    The headers of all files are read first: a file that is missing, cut off or no sound is a fault. One whose damage
    only shows in decoding is found by `damage`, or named when it is read, together with all others.

    Args:
        paths: The files.
        names: What a person calls each.
        targets: The raw targets [N] or float64 [N, k], or None.
        schema: What the samples are; its ``sample_rate`` is the rate to read at, None that of the files.
        given: The splits that the files come with.
        annotations: Further columns by name, a value for each file.
        faults: Files that are known to be no sounds, which are not looked at.

    Raises:
        InputError: no file can be read, or they differ in rate and none is wanted.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        names: Sequence[str],
        targets: np.ndarray | None,
        schema: Schema,
        given: Mapping[str, np.ndarray] | None = None,
        annotations: Mapping[str, np.ndarray] | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.paths = list(paths)
        self.targets = targets
        self.given = given
        self.annotations = annotations or {}
        self._names = list(names)
        known = {fault.index: {"code": fault.code, "reason": fault.reason} for fault in faults}
        looked_at = [index for index in range(len(self.paths)) if index not in known]
        headers = remembered(_HEADER, [self.paths[index] for index in looked_at], _examined)
        told = known | dict(zip(looked_at, headers, strict=True))
        found = [told[index] for index in range(len(self.paths))]
        self.faults: Sequence[Fault] = _faults(range(len(found)), found)
        if len(self.faults) == len(self.paths):
            shown = named(f"{self._names[fault.index]} ({fault.reason})" for fault in self.faults)
            raise InputError(Finding("unreadable-sounds", "error", "", f"no file can be read: {shown}"))
        rates = Counter(said["sample_rate"] for said in found if "code" not in said)
        if schema.sample_rate is None and len(rates) > 1:
            said = ", ".join(f"{counted(count, 'file', 'files')} of {rate:,} Hz" for rate, count in rates.most_common())
            fix = f"say which rate to bring them all to, as sample_rate: {min(rates)}"
            raise InputError(Finding("several-rates", "error", "sample_rate", f"the files differ in rate: {said}", fix))
        self.sample_rate: int = schema.sample_rate or next(iter(rates))
        self.schema = replace(schema, sample_rate=self.sample_rate)
        #: The length of each sound in seconds, float64 [N]; 0 for a fault.
        self.seconds = np.array([said.get("length", 0) / said.get("sample_rate", 1) for said in found], np.float64)

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self._names[index]

    def read(
        self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None
    ) -> tuple[list[Tensor], np.ndarray | None]:
        """Return a list of float32 [n], each as long as it is, and the targets.

        Raises:
            InputError: names all files that cannot be read, but those that were known and are not wanted.
        """
        wanted = np.asarray(indices).tolist()
        try:
            sounds = threads.over(lambda index: decode(self.paths[index], self.sample_rate), wanted)
        except UnreadableError as error:
            raise self._unreadable(wanted, error) from error
        return sounds, None if self.targets is None else self.targets[indices]

    def _unreadable(self, wanted: Sequence[int], error: UnreadableError) -> InputError:
        known = {fault.index for fault in self.faults} - set(wanted)
        found = damage(self, [index for index in range(len(self)) if index not in known])
        wrong = named(f"{self._names[fault.index]} ({fault.reason})" for fault in found)
        message = f"{len(found)} of {counted(len(self), 'sound', 'sounds')} cannot be read: {wrong}"
        if not found:
            message = f"one of {counted(len(wanted), 'sound', 'sounds')} could not be read for a moment: {error}"
        return InputError(Finding("unreadable-sounds", "error", "data.source", message, "mend or remove them"))


def damage(source: Any, indices: Sequence[int], progress: Callable[[int], None] | None = None) -> list[Fault]:
    """Decode sound files to the end and return the faults of those that cannot be; what is found is remembered.

    Args:
        source: Has ``paths``.
        indices: Which of them.
        progress: Told how many are done.
    """
    found = remembered(_SAMPLES, [source.paths[index] for index in indices], _heard, progress)
    return list(_faults(indices, found))


def _faults(indices: Iterable[int], found: Iterable[Mapping[str, Any]]) -> tuple[Fault, ...]:
    pairs = zip(indices, found, strict=True)
    return tuple(Fault(index, said["code"], said["reason"]) for index, said in pairs if "code" in said)


def _heard(path: Path) -> dict[str, Any]:
    try:
        return {"samples": len(decode(path, header(path).sample_rate))}
    except UnreadableError as error:
        return {"code": error.code, "reason": str(error)}


def _examined(path: Path) -> dict[str, Any]:
    """Return the header of a file, or why it cannot be read, as JSON can hold it."""
    try:
        return asdict(header(path))
    except UnreadableError as error:
        return {"code": error.code, "reason": str(error)}
