"""Sound files as a source, decoded when they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from torchwork.data import threads
from torchwork.data.remembered import remembered
from torchwork.data.sound.decode import UnreadableSoundError, decode, header
from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, InputError, Schema

_KIND = "sound-header-1"


class SoundFiles:
    """Sounds in files, one channel each, all at one rate.

    The headers of all files are read first: a file that is missing, cut off or no sound is a fault. One whose damage
    only shows in decoding is named when it is read, together with all others.

    Args:
        paths: The files.
        names: What a person calls each.
        targets: The raw targets [N] or float64 [N, k], or None.
        schema: What the samples are; its ``sample_rate`` is the rate to read at, None that of the files.
        given: The splits that the files come with.
        annotations: Further columns by name, a value for each file.

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
    ) -> None:
        self.paths = list(paths)
        self.targets = targets
        self.given = given
        self.annotations = annotations or {}
        self._names = list(names)
        found = remembered(_KIND, self.paths, _examined)
        self.faults: Sequence[Fault] = tuple(
            Fault(index, said["code"], said["reason"]) for index, said in enumerate(found) if "code" in said
        )
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
            InputError: names all of the wanted files that cannot be read.
        """

        def attempt(index: int) -> Tensor | UnreadableSoundError:
            try:
                return decode(self.paths[index], self.sample_rate)
            except UnreadableSoundError as error:
                return error

        wanted = np.asarray(indices).tolist()
        found = threads.over(attempt, wanted)
        sounds = [sound for sound in found if isinstance(sound, Tensor)]
        if len(sounds) < len(wanted):
            wrong = [
                f"{self._names[index]} ({sound})"
                for index, sound in zip(wanted, found, strict=True)
                if isinstance(sound, UnreadableSoundError)
            ]
            message = f"{counted(len(wrong), 'sound', 'sounds')} cannot be read: {named(wrong)}"
            raise InputError(Finding("unreadable-sounds", "error", "data.source", message, "mend or remove them"))
        return sounds, None if self.targets is None else self.targets[indices]


def _examined(path: Path) -> dict[str, Any]:
    """Return the header of a file, or why it cannot be read, as JSON can hold it."""
    try:
        return asdict(header(path))
    except UnreadableSoundError as error:
        return {"code": error.code, "reason": str(error)}
