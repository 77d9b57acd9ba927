"""Data sets by name, read from the files that their authors published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from torchwork.data.download import digest
from torchwork.data.memory import InMemory
from torchwork.data.wording import counted, named
from torchwork.types import Finding, InputError, Schema


@dataclass(frozen=True)
class Published:
    """What is known of a data set beforehand: the SHA-256 of each file as it is published, the classes in order."""

    files: Mapping[str, str]
    classes: tuple[str, ...]

    def checksum(self, name: str) -> str:
        """Return a file's checksum as ``download`` takes it."""
        return f"sha256:{self.files[name]}"


class Official(InMemory):
    """The images of a published data set: those of train first, then those of test.

    Args:
        images: uint8 [N, C, H, W].
        targets: The places among the classes, int64 [N].
        classes: Their names, in the official order.
        num_train: How many of the images are for training.
        findings: What is to be told of the files.
        annotations: Further columns by name, a value for each image.
    """

    def __init__(
        self,
        images: Tensor,
        targets: np.ndarray,
        classes: tuple[str, ...],
        num_train: int,
        findings: Sequence[Finding],
        annotations: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        given = {"train": np.arange(num_train), "test": np.arange(num_train, len(targets))}
        super().__init__(images, targets, Schema("image", "class", classes), given, annotations=annotations)
        self._num_train = num_train
        self.findings = tuple(findings)

    def name(self, index: int) -> str:
        part, number = ("train", index) if index < self._num_train else ("test", index - self._num_train)
        return f"{part} {number}"


def no_files(root: Path, lacking: Sequence[str], title: str) -> InputError:
    """Return the error for official files that are not there; says what to place where."""
    said = f"{root} is not there" if not root.exists() else f"{root} lacks {', '.join(lacking)}"
    fix = f"place {', '.join(lacking)} of {title} in {root.resolve()}, or add download: true"
    return InputError(Finding("missing-path", "error", "root", said, fix))


def other_checksums(published: Published, paths: Mapping[str, Path]) -> list[Finding]:
    """Return what is to be told of files that are not as published: no mistake, as others may be meant."""
    other = [str(path) for name, path in paths.items() if digest(path) != published.files[name]]
    if not other:
        return []
    are = "is not the one that was" if len(other) == 1 else "are not those that were"
    message = f"{', '.join(other)} {are} published: the SHA-256 {'is' if len(other) == 1 else 'are'} others"
    fix = "if that is not meant, remove them and add download: true"
    return [Finding("other-checksum", "info", "data.source.root", message, fix)]


def wrong_labels(labels: np.ndarray, num_classes: int, where: str) -> list[Finding]:
    """Return a finding where labels are out of range."""
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if not len(bad):
        return []
    said = counted(len(bad), "label is", "labels are")
    message = f"{said} out of range in {where}: {named(f'{labels[at]} of record {at}' for at in bad.tolist())}"
    return [Finding("label-range", "error", "root", message, f"expected 0 to {num_classes - 1}")]
