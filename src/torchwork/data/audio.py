"""Sounds in class folders, named by an annotations file, or with their class in the name of the file."""

from __future__ import annotations

from torchwork.data import kinds
from torchwork.data.folders import Sort, labelled
from torchwork.data.sound.decode import is_sound
from torchwork.data.sound.files import SoundFiles
from torchwork.types import Finding, InputError, Schema

SOUNDS = Sort(
    is_sound,
    "sound",
    "sounds",
    "not-a-sound",
    ".wav",
    otherwise=", or give a pattern that finds the class in the names",
)


class AudioFolder(SoundFiles):
    """WAV, FLAC and OGG files, mixed down to one channel and brought to one rate.

    What a sound shows is said by the folder that it lies in, at the top of ``root`` (or of its train, val and test, as
    in ``ImageFolder``); or by its name, which ``pattern`` fits; or by a CSV file, ``annotations``. Files that are
    missing, empty, cut off or no sound are faults of their samples (see ``data.clean``), and so is any other file below
    a class folder.

    Args:
        root: The folder, or ``{train: folder, val: folder, test: folder}``; with ``annotations`` the folder that the
            names start from, by default that of the CSV file.
        pattern: A regular expression with a group ``label`` that fits the whole name of each file, as
            ``(?P<label>\\d)_(?P<speaker>\\w+)_\\d+\\.wav``. Where it has a ``/``, it fits the path below root. Other
            groups are further columns, by which samples can be grouped.
        annotations: The CSV file: one row a sound.
        file_column: Its column with the file names; by default the first.
        target_column: Its column with the target; by default the second.
        split_column: Its column that says train, val or test, where there is one.
        kind: Whether the target is a class or a number; guessed where left out: floats are numbers, all else classes.
        header: Whether the first line of ``annotations`` names the columns.
        sample_rate: Samples a second that all are brought to; null: those of the files, where they are all alike.
        ignore: Patterns of files to pass over, as ``*.txt`` or ``notes/*``.

    Raises:
        InputError: a missing path or column, an empty folder, one class only, files that are no sounds by name, names
            that the pattern does not fit, several rates and none is wanted, options that exclude each other.
    """

    def __init__(
        self,
        root: str | dict[str, str] | None = None,
        pattern: str | None = None,
        annotations: str | None = None,
        file_column: str | None = None,
        target_column: str | None = None,
        split_column: str | None = None,
        kind: kinds.Kind | None = None,
        header: bool = True,
        sample_rate: int | None = None,
        ignore: list[str] | None = None,
    ) -> None:
        if sample_rate is not None and sample_rate < 1:
            raise InputError(Finding("wrong-value", "error", "sample_rate", f"got {sample_rate}", "expected 1 or more"))
        of_csv = {"file_column": file_column, "target_column": target_column, "split_column": split_column}
        _check_together(root, pattern, annotations, [*(name for name, value in of_csv.items() if value), *_said(kind)])
        if annotations is None:
            assert root is not None
            found = labelled(root, SOUNDS, ignore or [], pattern)
            schema = Schema("audio", "class", sample_rate=sample_rate)
        else:
            assert not isinstance(root, dict)
            from torchwork.data.annotated import read_annotations  # pandas, which folders go without

            found = read_annotations(annotations, root, **of_csv, kind=kind, header=header, sort=SOUNDS)
            schema = Schema("audio", found.kind, target_names=found.target_names, sample_rate=sample_rate)
        super().__init__(found.paths, found.names, found.targets, schema, found.given, found.annotations, found.faults)


def _said(kind: str | None) -> list[str]:
    return [] if kind is None else ["kind"]


def _check_together(
    root: str | dict[str, str] | None, pattern: str | None, annotations: str | None, of_csv: list[str]
) -> None:
    """Refuse options that exclude each other, or too few of them."""
    findings = []
    if annotations is None:
        if root is None:
            fix = "give the folder of the sounds, or annotations, a CSV file that names them"
            findings.append(Finding("missing-option", "error", "root", "is not given", fix))
        for name in of_csv:
            fix = "give annotations, or leave it out"
            findings.append(Finding("no-annotations", "error", name, "is for annotations, which are not given", fix))
    else:
        if pattern is not None:
            fix = "keep one of them"
            findings.append(Finding("excludes", "error", "pattern", "annotations say the target already", fix))
        if isinstance(root, dict):
            fix = "give one folder, and split_column"
            findings.append(Finding("excludes", "error", "root", "annotations take no root for each split", fix))
    if findings:
        raise InputError(findings)
