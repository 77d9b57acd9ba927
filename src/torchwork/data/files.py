"""Image files as a source, and what is wrong with files: missing, unreadable, of another kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from torchwork.data import decode, threads
from torchwork.data.wording import counted, named
from torchwork.types import Fault, Finding, InputError, Schema

Result = TypeVar("Result")


class ImageFiles:
    """Images in files, decoded when they are read.

    The headers of all files are read first: a file that is missing, cut off or no image is found before training. One
    whose damage only shows in decoding is named when it is read, together with all others.

    Args:
        paths: The files.
        names: What a person calls each.
        targets: The raw targets [N] or float64 [N, k], or None.
        schema: What the samples are.
        given: The splits that the files come with.
        mode: RGB or L.
        reduced: Let JPEGs be decoded at a smaller scale where ``read`` is given a size: faster, other pixel values.
        annotations: Further columns by name, a value for each image.

    Raises:
        InputError: unreadable files, the first ten by name and how many.
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
    ) -> None:
        self.paths = list(paths)
        self.targets = targets
        self.schema = schema
        self.given = given
        self.faults: Sequence[Fault] = ()
        self.annotations = annotations or {}
        self.mode = mode
        self.reduced = reduced
        self._names = list(names)
        headers = self._all(decode.header)
        #: Height and width of each image, int64 [N, 2].
        self.sizes = np.array([(found.height, found.width) for found in headers], np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self._names[index]

    def decode(self, index: int, size: tuple[int, int] | None = None) -> Tensor:
        """Return one image uint8 [C, H, W]; ``size`` is the hint that ``read`` takes.

        Raises:
            decode.UnreadableError: ``read`` says it in words.
        """
        return decode.decode(self.paths[index], self.mode, size if self.reduced else None)

    def read(
        self, indices: np.ndarray, *, epoch: int, size: tuple[int, int] | None = None
    ) -> tuple[Tensor | list[Tensor], np.ndarray | None]:
        wanted = np.asarray(indices).tolist()
        try:
            images = threads.over(lambda index: self.decode(index, size), wanted)
        except decode.UnreadableError:
            self._all(lambda path: decode.decode(path, self.mode).shape, "data.source")
            raise  # not reached, unless the file has been mended meanwhile
        alike = all(image.shape == images[0].shape for image in images)
        return (torch.stack(images) if alike else images), None if self.targets is None else self.targets[indices]

    def _all(self, function: Callable[[Path], Result], where: str = "") -> list[Result]:
        """Return the function of every file, or raise one error that names all that cannot be read."""

        def attempt(path: Path) -> Result | decode.UnreadableError:
            try:
                return function(path)
            except decode.UnreadableError as error:
                return error

        results, wrong = [], []
        for result, name in zip(threads.over(attempt, self.paths), self._names, strict=True):
            if isinstance(result, decode.UnreadableError):
                wrong.append(f"{name} ({result})")
            else:
                results.append(result)
        if wrong:
            message = f"{len(wrong)} of {counted(len(self.paths), 'image', 'images')} cannot be read: {named(wrong)}"
            raise InputError(Finding("unreadable-images", "error", where, message, "mend or remove them"))
        return results
